r"""Recipes of the study (arXiv 2412.07678), of its follow-up (arXiv 2502.06253), and of what the study calls for.

The data of all recipes, once, in the repository's root. `paws_x` downloads; the hub's sets are those that the study
published:

    for language in en fr de zh; do python -m data_prep.build --dataset=paws_x --language=$language --data_dir=data; \
        done
    python -m data_prep.build --dataset=hub_pairs --repo=dnagpt/gene_lan_transfer --subset=dna_sim_pair_50bp \
        --splits=train:0.8,test:0.2 --data_dir=data
    python -m data_prep.build --dataset=hub_pairs --repo=dnagpt/gene_lan_transfer --subset=dna_protein_pair \
        --splits=train:0.8,test:0.2 --data_dir=data

The study drew its 20 % of DNA pairs without a seed; these are drawn by the hash of a pair's id, so figures on them
can differ by chance. Every recipe fine-tunes three seeds where the study had one. Times are either the study's or
said to be unknown: no recipe has been run at full size with lingjax.
"""

from ml_collections import ConfigDict

from experiments.configs import base, pretrain_bert, pretrain_gpt2
from lingjax.errors import InputError, nearest

MODELS = {
    "gpt2_small": ("gpt2", "gpt2", "small"),
    "gpt2_medium": ("gpt2-medium", "gpt2", "medium"),
    "gpt2_large": ("gpt2-large", "gpt2", "large"),
    "bert_base": ("bert-base-cased", "bert", "base"),
    "bert_multilingual": ("google-bert/bert-base-multilingual-cased", "bert", "base"),
}
"""The study's published models: hub name, family and size."""

STUDY_TARGETS = ("paws_en", "paws_fr", "paws_de", "paws_zh", "dna_sim_pair_50bp")

_LONGEST_SEQUENCE = 4096  # letters; a DNA sequence is one word to WordPiece, whose own limit is 100


def transfer(
    init: str, *, targets: tuple[str, ...] = STUDY_TARGETS, family: str = "gpt2", size: str = "small"
) -> ConfigDict:
    """Returns the study's fine-tuning on English pairs.

    Args:
      init: hub name, or the workdir of a pretraining.
      targets: names of datasets in `data/`; their test splits are judged.
      family: the model's.
      size: the model's; with `family` it only says what `init` is.
    """
    config = base.get_config()
    config.model.init = init
    config.model.family = family
    config.model.size = size
    config.source = "data/paws_en"
    config.targets = ",".join(f"data/{target}@test" for target in targets)
    config.seeds = 3
    if family == "bert":
        config.max_word_characters = _LONGEST_SEQUENCE
    return config


def transfer_from(model: str, *, targets: tuple[str, ...] = STUDY_TARGETS) -> ConfigDict:
    """Returns the study's fine-tuning of one of `MODELS`."""
    init, family, size = MODELS[model]
    return transfer(init, targets=targets, family=family, size=size)


def pretrain(
    folder: str, mixture: str, *, tokens: float, batch_size: int, row_tokens: int = 1024, family: str = "gpt2"
) -> ConfigDict:
    """Returns GPT-2 small or BERT base from scratch on packed corpora, with the values of `pretrain_{gpt2,bert}.py`.

    Args:
      folder: where the recipe works; its tokenizer is in `FOLDER/tokenizer`.
      mixture: packed folders and their shares of the tokens.
      tokens: to train on.
      batch_size: rows an update.
      row_tokens: length of a packed row, as given to `data_prep.pack --length`.
      family: gpt2 or bert.
    """
    config = {"gpt2": pretrain_gpt2, "bert": pretrain_bert}[family].get_config()
    config.model.tokenizer = f"{folder}/tokenizer"
    config.model.max_length = row_tokens
    config.data.mixture = mixture
    config.train.batch_size = batch_size
    config.train.steps = round(tokens / (batch_size * row_tokens))
    return config


def check_argument(file: str, argument: str, allowed: tuple[str, ...]) -> None:
    """Refuses an argument that a recipe does not have.

    Raises:
      InputError: it is none of those allowed.
    """
    if argument not in allowed:
        raise InputError(f"{file} has no '{argument}', {nearest(argument, allowed)}, as in {file}:{allowed[0]}")
