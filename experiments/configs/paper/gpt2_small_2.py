r"""GPT-2 small from scratch on 500 MB of English and 500 MB of DNA, then the study's transfer.

Data: as in `experiments/configs/paper/__init__.py`, and texts of your choice (the study names no files):

    python -m data_prep.build --dataset=corpus --domain=english --name=english --source='english/*.txt' \
        --data_dir=data
    python -m data_prep.build --dataset=corpus --domain=dna --name=dna --source='genomes/*.fna.gz' --data_dir=data
    python -m data_prep.train_tokenizer --kind=bpe --corpora=data/english:1,data/dna:1 --vocab_size=50000 \
        --out=runs/paper/gpt2_small_2/tokenizer
    for domain in english dna; do python -m data_prep.pack --corpus=data/$domain \
        --tokenizer=runs/paper/gpt2_small_2/tokenizer --length=1024 --data_dir=data --name=gpt2_small_2_$domain; \
        done

Commands (`:hub` fine-tunes the weights that the study published, `dnagpt/gpt_dna_eng_v0`, and needs no pretraining):

    python -m experiments.pretrain --config=experiments/configs/paper/gpt2_small_2.py:pretrain \
        --workdir=runs/paper/gpt2_small_2/pretrained
    python -m experiments.transfer --config=experiments/configs/paper/gpt2_small_2.py:transfer \
        --workdir=runs/paper/gpt2_small_2
    python -m experiments.transfer --config=experiments/configs/paper/gpt2_small_2.py:hub \
        --workdir=runs/paper/gpt2_small_2_hub

The size of the vocabulary and all settings of pretraining are ours. 240 million tokens are about one pass, at 4.5
characters a token of English and four letters a token of DNA; `data_prep.pack` prints how many there are.
Hardware and time: one GPU; pretraining is not measured. At the 72.4 pairs/s that the study's notebook prints for an
RTX 4090, fine-tuning takes 45 minutes a seed.
Published: table of v1 en 0.76, fr 0.59, de 0.60, zh 0.56, DNA 0.60; the notebooks print 0.7575, 0.5855, 0.6015,
0.5575, 0.6042.
"""

from ml_collections import ConfigDict

from experiments.configs import paper

ARGUMENTS = ("transfer", "pretrain", "hub")


def get_config(stage: str = "transfer") -> ConfigDict:
    """Returns the configuration of one stage, `pretrain` or `transfer`, or of the published weights, `hub`."""
    paper.check_argument("gpt2_small_2.py", stage, ARGUMENTS)
    if stage == "pretrain":
        mixture = "data/gpt2_small_2_english:1,data/gpt2_small_2_dna:1"
        return paper.pretrain("runs/paper/gpt2_small_2", mixture, tokens=2.4e8, batch_size=64)
    return paper.transfer("dnagpt/gpt_dna_eng_v0" if stage == "hub" else "runs/paper/gpt2_small_2/pretrained")
