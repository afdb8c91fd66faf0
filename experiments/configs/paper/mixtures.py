r"""Called for by the study: pretraining mixtures of English and DNA, 90/10, 50/50 and 10/90, then transfer.

Data: English pairs and corpora as in `gpt2_small_2.py`, at least 900 million tokens of each domain; one tokenizer for
all mixtures:

    python -m data_prep.train_tokenizer --kind=bpe --corpora=data/english:1,data/dna:1 --vocab_size=50000 \
        --out=runs/paper/mixtures/tokenizer
    for domain in english dna; do python -m data_prep.pack --corpus=data/$domain \
        --tokenizer=runs/paper/mixtures/tokenizer --length=1024 --data_dir=data --name=mixtures_$domain; done

Commands (shares are of the tokens; English stands first):

    for mix in 90-10 50-50 10-90; do python -m experiments.pretrain --workdir=runs/paper/mixtures/$mix \
        --config=experiments/configs/paper/mixtures.py:pretrain-$mix; done
    M=experiments/configs/paper/mixtures.py
    python -m experiments.sweep --experiment=transfer --workdir=runs/paper/mixtures/transfer \
        --vary=config=$M:transfer-90-10,$M:transfer-50-50,$M:transfer-10-90

Each model sees a billion tokens. A domain that has fewer than its share is repeated.
Hardware and time: one GPU or a TPU slice; not measured.
Published: nothing; `gpt2_small_2.py` is the study's one mixture, by size of the files.
"""

from ml_collections import ConfigDict

from experiments.configs import paper

_MIXES = ("90-10", "50-50", "10-90")
ARGUMENTS = tuple(f"{stage}-{mix}" for stage in ("transfer", "pretrain") for mix in _MIXES)


def get_config(argument: str = "transfer-50-50") -> ConfigDict:
    """Returns the configuration of one stage for one mixture, as in `pretrain-90-10`."""
    paper.check_argument("mixtures.py", argument, ARGUMENTS)
    stage, _, mix = argument.partition("-")
    if stage == "transfer":
        return paper.transfer(f"runs/paper/mixtures/{mix}")
    english, dna = mix.split("-")
    mixture = f"data/mixtures_english:{english},data/mixtures_dna:{dna}"
    return paper.pretrain("runs/paper/mixtures", mixture, tokens=1e9, batch_size=256)
