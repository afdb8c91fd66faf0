r"""Called for by the study: the tokenizer's kind, vocabulary and k-mers, equal in all else, then transfer.

Data: English pairs and corpora as in `gpt2_small_2.py`. For each of the kinds (bpe for GPT-2, wordpiece for BERT) and
sizes:

    for kind in bpe wordpiece; do for size in 1024 8192 50000; do
    python -m data_prep.train_tokenizer --kind=$kind --corpora=data/english:1,data/dna:1 --vocab_size=$size \
        --out=runs/paper/tokenizer_settings/$kind-$size/tokenizer
    for domain in english dna; do python -m data_prep.pack --corpus=data/$domain --length=512 --data_dir=data \
        --tokenizer=runs/paper/tokenizer_settings/$kind-$size/tokenizer --name=${kind}_${size}_$domain; done; done; \
        done

WordPiece needs `--max_word_characters=4096` in both commands, as a window of DNA is one word. `kmer3` and `kmer6`, of
8192 tokens, are made like bpe with `--kmer=3` or `--kmer=6` in the first command: DNA is cut into words of so many
letters.
Commands:

    for setting in bpe-1024 bpe-8192 bpe-50000 wordpiece-1024 wordpiece-8192 wordpiece-50000 kmer3-8192 kmer6-8192; do
    python -m experiments.pretrain --config=experiments/configs/paper/tokenizer_settings.py:pretrain-$setting \
        --workdir=runs/paper/tokenizer_settings/$setting/pretrained; done
    T=experiments/configs/paper/tokenizer_settings.py
    python -m experiments.sweep --experiment=transfer --workdir=runs/paper/tokenizer_settings/transfer \
        --vary=config=$T:transfer-bpe-1024,$T:transfer-bpe-8192,$T:transfer-bpe-50000,$T:transfer-kmer6-8192

Each model sees half a billion tokens of rows of 512. Tokens of a small vocabulary spell less text: compare bits per
character, which GPT-2's pretraining logs, and not losses.
Hardware and time: one GPU or a TPU slice; not measured.
Published: nothing.
"""

from ml_collections import ConfigDict

from experiments.configs import paper

_SETTINGS = (
    *(f"{kind}-{size}" for kind in ("bpe", "wordpiece") for size in (1024, 8192, 50000)),
    *("kmer3-8192", "kmer6-8192"),
)
ARGUMENTS = tuple(f"{stage}-{setting}" for stage in ("transfer", "pretrain") for setting in _SETTINGS)


def get_config(argument: str = "transfer-bpe-8192") -> ConfigDict:
    """Returns the configuration of one stage for one tokenizer, as in `pretrain-wordpiece-8192`."""
    paper.check_argument("tokenizer_settings.py", argument, ARGUMENTS)
    stage, _, setting = argument.partition("-")
    kind, _, size = setting.partition("-")
    folder = f"runs/paper/tokenizer_settings/{setting}"
    family, model_size = ("bert", "base") if kind == "wordpiece" else ("gpt2", "small")
    if stage == "transfer":
        return paper.transfer(f"{folder}/pretrained", family=family, size=model_size)
    mixture = ",".join(f"data/{kind}_{size}_{domain}:1" for domain in ("english", "dna"))
    return paper.pretrain(folder, mixture, tokens=5e8, batch_size=256, row_tokens=512, family=family)
