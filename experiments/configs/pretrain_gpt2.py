"""Pretrains GPT-2 from scratch on mixed, packed corpora.

Command: python -m experiments.pretrain --config=experiments/configs/pretrain_gpt2.py --workdir=runs/pretrain
    --config.model.tokenizer=TOKENIZER_DIR --config.data.mixture=DIR/english:1,DIR/dna:1,DIR/protein:1
"""

from ml_collections import ConfigDict
from ml_collections.config_dict import placeholder


def get_config() -> ConfigDict:
    """Returns every key of pretraining."""
    return ConfigDict(
        {
            "model": {
                "family": "gpt2",
                "size": "small",  # tiny | mini | small | medium | large | xl
                "tokenizer": "",  # the one that packed the corpora
                "max_length": 1024,  # positions; at least the length of a packed row
                "dropout_rate": 0.1,
                "attention_dropout_rate": 0.1,
                "scan_layers": placeholder(bool),  # None: scanned, but unrolled on a CPU
            },
            "data": {
                "mixture": "",  # packed folders and their shares of the tokens, DIR/english:0.5,DIR/dna:0.5
            },
            "seed": 0,
            "train": {
                "batch_size": 32,  # rows
                "steps": 10_000,
                "learning_rate": 6e-4,
                "schedule": "cosine",
                "warmup_fraction": 0.02,
                "weight_decay": 0.1,
                "beta1": 0.9,
                "beta2": 0.95,
                "epsilon": 1e-8,
                "clip_norm": 1.0,
                "accumulation": 1,
            },
            "mesh": "",
            "dtype": "float32",
            "log_every": 50,
            "save_every": 500,
            "evaluate_every": 500,
            "offline": False,
        }
    )
