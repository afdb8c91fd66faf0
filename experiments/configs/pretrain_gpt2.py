"""Pretrains GPT-2 on mixed, packed corpora, from scratch or from a checkpoint.

Command: python -m experiments.pretrain --config=experiments/configs/pretrain_gpt2.py --workdir=runs/pretrain
    --config.model.tokenizer=TOKENIZER_DIR --config.data.mixture=DIR/english:1,DIR/dna:1,DIR/protein:1
Hardware and time: as large as the corpora; `experiments.compile_check` says what fits a TPU slice.
`--config.model.size=mini` (4 layers of width 256) suits a laptop; `--config.model.{width,depth,num_heads}` give any
other shape.
Learning rate, Adam's betas, decay and clipping are nanoGPT's for GPT-2; choose steps and batch by the tokens you have.
"""

from ml_collections import ConfigDict
from ml_collections.config_dict import placeholder


def get_config() -> ConfigDict:
    """Returns every key of pretraining."""
    return ConfigDict(
        {
            "model": {
                "init": "",  # Hugging Face folder or hub name, or a workdir of ours, to go on from; empty: from scratch
                "family": "gpt2",  # gpt2 | bert; used from scratch only
                "size": "small",  # tiny | mini | small | medium | large | xl (gpt2); tiny | mini | base | large (bert)
                "width": placeholder(int),  # in place of the size's, as are the next two; used from scratch only
                "depth": placeholder(int),
                "num_heads": placeholder(int),
                "tokenizer": "",  # the one that packed the corpora; with init, empty means that model's own
                "new_rows": "mean",  # embeddings of tokens that init's tokenizer lacks: mean (and noise) | zeros
                "max_length": 1024,  # positions; at least the length of a packed row; used from scratch only
                "dropout_rate": 0.1,
                "attention_dropout_rate": 0.1,
                "vocab_multiple": 128,  # the token table's rows are rounded up to it, so that devices can share them
                "remat": "none",  # products | layers: keep less for the backward pass, compute it again
                "scan_layers": placeholder(bool),  # None: scanned on a TPU, else unrolled
                "attention": "auto",  # plain | bands (gpt2) | cudnn (NVIDIA, bfloat16, no attention dropout) | auto
            },
            "data": {
                "mixture": "",  # packed folders and their shares of the tokens, DIR/english:0.5,DIR/dna:0.5
            },
            "seed": 0,
            "train": {
                "batch_size": 32,  # rows, over all devices
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
                "mask_fraction": 0.15,  # bert: share of the tokens that is predicted
            },
            "mesh": "",  # data:8, or data:2,fsdp:2,tensor:2; empty: all devices on data
            "dtype": "float32",
            "log_every": 50,
            "save_every": 500,
            "keep_checkpoints": 2,  # the newest, beside the best
            "evaluate_every": 500,
            "evaluation_rows": 0,  # held-out rows a domain; 0: all
            "markov_tokens": 2_000_000,  # read of each corpus for a Markov model (gpt2) and what was seen; 0: neither
            "profile_at": 0,  # first of three steps that JAX's profiler records into WORKDIR/profile; 0: none
            "wandb": "",  # project of Weights & Biases to log to as well
            "offline": False,
        }
    )
