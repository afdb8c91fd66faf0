r"""GPT-2 small with DNA tokens added and pretraining continued on 4 GB of DNA, then the study's transfer.

Data: as in `experiments/configs/paper/__init__.py`, and DNA of your choice (4 GB; the study names no files):

    python -m data_prep.build --dataset=corpus --domain=dna --name=dna --source='genomes/*.fna.gz' --data_dir=data
    python -m data_prep.train_tokenizer --extend=gpt2 --corpora=data/dna:1 --add_tokens=8000 \
        --out=runs/paper/gpt2_small_1/tokenizer
    python -m data_prep.pack --corpus=data/dna --tokenizer=runs/paper/gpt2_small_1/tokenizer --length=512 \
        --data_dir=data --name=gpt2_small_1_dna

Commands:

    python -m experiments.pretrain --config=experiments/configs/paper/gpt2_small_1.py:pretrain \
        --workdir=runs/paper/gpt2_small_1/pretrained
    python -m experiments.transfer --config=experiments/configs/paper/gpt2_small_1.py:transfer \
        --workdir=runs/paper/gpt2_small_1

Rows of 512, learning rate 5e-5 falling by a cosine after 3 % warm-up and decay 0.01 are a later study's values for
continued pretraining; how many tokens the study added is not known here, 8,000 is ours. A billion tokens are one pass
over 4 GB if a token spells four letters; `data_prep.pack` prints how many there are.
Hardware and time: one GPU or a TPU slice; not measured.
Published: table of v1 en 0.90, fr 0.74, de 0.72, zh 0.59, DNA 0.48.
"""

from ml_collections import ConfigDict

from experiments.configs import paper

ARGUMENTS = ("transfer", "pretrain")


def get_config(stage: str = "transfer") -> ConfigDict:
    """Returns the configuration of one stage, `pretrain` or `transfer`."""
    paper.check_argument("gpt2_small_1.py", stage, ARGUMENTS)
    if stage == "transfer":
        return paper.transfer("runs/paper/gpt2_small_1/pretrained")
    folder, mixture = "runs/paper/gpt2_small_1", "data/gpt2_small_1_dna:1"
    config = paper.pretrain(folder, mixture, tokens=1e9, batch_size=256, row_tokens=512)
    config.model.init = "gpt2"
    config.train.learning_rate = 5e-5
    config.train.warmup_fraction = 0.03
    config.train.weight_decay = 0.01
    return config
