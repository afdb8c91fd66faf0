"""Evaluation alone. What training fixed (pair format, lengths) comes from the checkpoint unless it is set here.

Command: python -m experiments.evaluate --checkpoint=runs/finetune --targets=DIR/a,DIR/b --out=reports
"""

from ml_collections import ConfigDict
from ml_collections.config_dict import placeholder


def get_config() -> ConfigDict:
    """Returns the keys that evaluation reads."""
    return ConfigDict(
        {
            "pair_format": "",  # empty: the checkpoint's
            "max_length": 0,  # tokens of a pair; 0: the checkpoint's
            "max_characters": placeholder(int),  # None: the checkpoint's; 0: whole sentences
            "max_word_characters": placeholder(int),
            "text": placeholder(str),  # letters | kmers:K | empty for texts as they are; None: the checkpoint's
            "allow_unknown": False,
            "evaluation_batch_size": 64,
            "bootstrap_replicates": 1000,
            "control_seeds": 1,  # seeds of the not_finetuned control; 0 skips it
            "kmer_sizes": "1,2,3,4,5,6",  # the source dev set chooses among them; one alone is fixed beforehand
            "alignment_rows": 0,  # rows of source and of each target whose hidden states are compared; 0: none
            "correction": "bonferroni",  # of the tests of several targets; or benjamini_hochberg: false discovery rate
            "mesh": "",
            "dtype": "float32",
            "offline": False,
        }
    )
