r"""Called for by the study: pairs of whole sequences, more than 10,000 of them, in place of 50 letters.

Data: English pairs as in `experiments/configs/paper/__init__.py`, and with NCBI BLAST+ installed:

    python -m data_prep.build --dataset=dna_pairs --name=dna_full --query='genomes/*.gbk' --length=full \
        --num_pairs=12000 --data_dir=data
    python -m data_prep.build --dataset=protein_pairs --name=protein_full --source=uniprot:swissprot@current \
        --length=full --num_pairs=12000 --data_dir=data

Command:

    python -m experiments.transfer --config=experiments/configs/paper/full_length.py:gpt2_small \
        --workdir=runs/paper/full_length

The argument is one of gpt2_small, gpt2_medium, gpt2_large, bert_base, bert_multilingual. Pairs fill the model's
positions, 1,024 tokens of GPT-2 and 512 of BERT; at the 1.6 letters a token that GPT-2's tokenizer gives for DNA, a
pair of genes can be longer, and the audit counts the rows that were cut.
Hardware and time: one GPU; not measured.
Published: nothing.
"""

from ml_collections import ConfigDict

from experiments.configs import paper

ARGUMENTS = tuple(paper.MODELS)

_POSITIONS = {"gpt2": 1024, "bert": 512}


def get_config(model: str = "gpt2_small") -> ConfigDict:
    """Returns the recipe for one of the study's models."""
    paper.check_argument("full_length.py", model, ARGUMENTS)
    config = paper.transfer_from(model, targets=("paws_en", "dna_full", "protein_full"))
    config.train.max_length = _POSITIONS[config.model.family]
    config.evaluation_batch_size = 8
    return config
