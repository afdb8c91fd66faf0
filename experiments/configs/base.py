"""Every key of fine-tuning and transfer, with the study's recipe (arXiv 2412.07678) as the default."""

from ml_collections import ConfigDict
from ml_collections.config_dict import placeholder


def get_config() -> ConfigDict:
    """Returns the defaults; `--config.a.b=value` overrides one."""
    return ConfigDict(
        {
            "model": {
                "init": "",  # Hugging Face folder or hub name, or a workdir of ours; empty: from scratch
                "family": "gpt2",  # gpt2 | bert; used from scratch only
                "size": "small",  # tiny | mini | small | medium | large | xl (gpt2); tiny | mini | base | large (bert)
                "tokenizer": "",  # Hugging Face folder or hub name: from scratch, or where init has none
                "dropout_rate": placeholder(float),  # None: the model's own
                "attention_dropout_rate": placeholder(float),
                "remat": "none",  # products | layers: keep less for the backward pass, compute it again
                "scan_layers": placeholder(bool),  # one loop, or unrolled. None: scanned on a TPU
                "attention": "plain",  # for long pairs bands (gpt2) | cudnn (NVIDIA, bfloat16, no dropout of it) | auto
            },
            # Datasets are folders of `data_prep.build`: DIR/NAME, DIR/NAME/VERSION, each also with @SPLIT.
            "source": "",
            "dev": "",  # empty: the source's validation split, or dev_fraction of its training rows
            "dev_fraction": 0.1,
            "targets": "",  # comma-separated
            "seed": 0,
            "seeds": 1,  # seed, seed + 1, ...
            "seeds_at_once": 0,  # runs in one program; 0: as many as fit a device's memory, on a CPU one
            "train": {
                "batch_size": 20,
                "epochs": 4.0,
                "steps": 0,  # 0: as many as epochs says
                "learning_rate": 1e-5,
                "schedule": "constant",  # constant | linear | cosine, after warm-up
                "warmup_fraction": 0.1,
                "weight_decay": 0.0,
                "beta1": 0.9,
                "beta2": 0.999,
                "epsilon": 1e-8,
                "clip_norm": 1.0,  # 0: no clipping
                "label_smoothing": 0.0,
                "accumulation": 1,  # micro-batches an update
                "max_length": 128,  # tokens of a pair
                "pair_format": "",  # concat | separated | bert; empty: concat for gpt2, bert for bert
                "pairs_per_row": 8,  # most pairs packed into one row; 1: plain padding
                "best_by": "loss",  # loss | accuracy | last, on the dev set
                "patience": 0,  # evaluations without improvement before stopping; 0: never
            },
            "max_characters": 0,  # cut each sentence to so many characters; 0: whole
            "max_word_characters": 0,  # WordPiece's max_input_chars_per_word; 0: the tokenizer's own
            "text": "",  # for the tokenizer: letters (set apart) | kmers:K (overlapping words); empty: as it is
            "allow_unknown": False,  # evaluate a target even if over 1 % of its tokens are unknown
            "evaluation_batch_size": 64,
            "curve_rows": 256,  # of each target, measured at each evaluation for the learning curve; 0: none
            "shots": "",  # 16,64,256: fine-tune further on so many of a target's own training pairs; empty: never
            "shots_epochs": 20.0,  # passes over them
            "bootstrap_replicates": 1000,
            "control_seeds": 1,  # seeds of each control that is a model; 0 skips them
            "trained_controls": "random_init",  # and shuffled_labels; comma-separated, each a fine-tuning a seed
            "kmer_sizes": "1,2,3,4,5,6",  # the source dev set chooses among them; one alone is fixed beforehand
            "alignment_rows": 0,  # rows of source and of each target whose hidden states are compared; 0: none
            "correction": "bonferroni",  # of the tests of several targets; or benjamini_hochberg: false discovery rate
            "mesh": "",  # data:8, or data:2,fsdp:2,tensor:2; empty: all devices on data
            "dtype": "float32",  # float32 | bfloat16: type of the computation; parameters stay float32
            "log_every": 50,  # steps
            "save_every": 0,  # steps; a checkpoint follows each evaluation in any case
            "keep_checkpoints": 1,  # the newest, beside the best
            "profile_at": 0,  # first of three steps that JAX's profiler records into the run's profile/; 0: none
            "wandb": "",  # project of Weights & Biases to log to as well
            "evaluate_every": 0,  # steps; 0: once an epoch
            "offline": False,  # never touch the network
        }
    )
