"""Accuracies that the study published, and which of them stand beside a report.

Source: "Can linguists better understand DNA?", arXiv 2412.07678, its table of accuracies (v1; v3 where marked) and the
study's public notebooks, which are newer than the table and print more digits.
"""

import dataclasses
import re
from collections.abc import Iterator

from lingjax.reporting.report import TransferReport

PUBLISHED_HEADINGS = {
    "target": "Target",
    "model": "Model",
    "accuracy": "Accuracy here",
    "published": "Accuracy published",
    "study_model": "Model of the study",
    "study_data": "Data of the study",
    "source": "Where",
}
PUBLISHED_NOTE = (
    "The study behind lingjax, arXiv 2412.07678: one seed, fine-tuned on PAWS-X English, on its own pairs. Set beside "
    "ours by the names of model and target alone; pairs, splits and training are not the same, so a difference has no "
    "single cause. Where: a version of the paper, or the study's public notebooks, which are newer."
)

_NOTEBOOKS = "notebooks"
_TABLE = "v1, table"
_TABLE_V3 = "v3"

_SETTINGS = {
    "en": "PAWS-X English test, 2,000 pairs",
    "fr": "PAWS-X French test",
    "de": "PAWS-X German test",
    "zh": "PAWS-X Chinese test",
    "dna": "BLAST hits and random pieces of genomes cut to 40-50 bp, an unrecorded random 20 % of 18,000 pairs",
    "dna_protein": "150 nt with at most 50 residues, from 16,000 pairs",
}
_SWAPPED = "labels swapped before scoring, by the text of v1"
_ALL_UNKNOWN = "DNA over 100 characters, for WordPiece most likely one [UNK]"

_TARGETS = ("en", "fr", "de", "zh", "dna", "dna_protein")
# Last part of the hub names, name in the study, accuracy by target in the order of _TARGETS.
_BY_TABLE = (
    (("gpt2",), "gpt2-small", (0.92, 0.74, 0.73, 0.61, 0.78)),
    (("gpt2-medium",), "gpt2-medium", (0.92, 0.80, 0.76, 0.62, 0.55)),
    (("gpt2-large",), "gpt2-large", (0.94, 0.81, 0.79, 0.66, 0.63)),
    # The table has one English BERT base, and does not say whether cased.
    (("bert-base-cased", "bert-base-uncased"), "bert, English", (0.91, 0.77, 0.73, 0.52, 0.54)),
    (("bert-base-multilingual-cased",), "bert, multilingual", (0.94, 0.86, 0.83, 0.77, 0.82)),
    (("gpt_dna_eng_v0",), "gpt2-small-2", (0.76, 0.59, 0.60, 0.56, 0.60)),
)
_BY_NOTEBOOKS = (
    ("gpt2", (0.9185, 0.7360, 0.7260, 0.6090, 0.7836, 0.4925)),
    ("gpt2-medium", (0.9280, 0.7995, 0.7630, 0.6260, 0.5494, 0.5213)),
    ("gpt2-large", (0.9410, 0.8130, 0.7895, 0.6570, 0.6328, 0.5113)),
    ("bert-base-cased", (0.9060, 0.7345, 0.7175, 0.4745, 0.8406, 0.5200)),
    ("bert-base-multilingual-cased", (0.9385, 0.8740, 0.8455, 0.7720, 0.8897, 0.5213)),
    ("gpt_dna_eng_v0", (0.7575, 0.5855, 0.6015, 0.5575, 0.6042, 0.4950)),
)

_LANGUAGES = {"english": "en", "french": "fr", "german": "de", "chinese": "zh"}
_FILLING = {"pair", "pairs", "test"}


@dataclasses.dataclass(frozen=True)
class PublishedFigure:
    """One accuracy of the study.

    Attributes:
      hub_name: the last part of the hub name of the model that it is set beside.
      model: the study's name of its model.
      target: `en`, `fr`, `de`, `zh`, `dna` or `dna_protein`.
      accuracy: 0 to 1, one seed, on the study's own pairs.
      setting: the study's data, and what is known to be doubtful.
      source: where it stands.
    """

    hub_name: str
    model: str
    target: str
    accuracy: float
    setting: str
    source: str


@dataclasses.dataclass(frozen=True)
class PublishedRow:
    """One published figure beside a report, as text."""

    target: str
    model: str
    accuracy: str
    published: str
    study_model: str
    study_data: str
    source: str


def _figures() -> Iterator[PublishedFigure]:
    for hub_names, name, accuracies in _BY_TABLE:
        for hub_name in hub_names:
            for target, accuracy in zip(_TARGETS, accuracies, strict=False):  # DNA-protein is not in the table
                doubt = f"; {_SWAPPED}" if target == "dna" and name.startswith("bert") else ""
                yield PublishedFigure(hub_name, name, target, accuracy, _SETTINGS[target] + doubt, _TABLE)
    yield PublishedFigure(
        "bert-base-multilingual-cased", "bert, multilingual", "dna", 0.89, _SETTINGS["dna"], _TABLE_V3
    )
    for hub_name, accuracies in _BY_NOTEBOOKS:
        for target, accuracy in zip(_TARGETS, accuracies, strict=True):
            doubt = f"; {_ALL_UNKNOWN}" if target == "dna_protein" and hub_name.startswith("bert") else ""
            yield PublishedFigure(hub_name, hub_name, target, accuracy, _SETTINGS[target] + doubt, _NOTEBOOKS)


PUBLISHED = tuple(_figures())


def find_published(report: TransferReport) -> list[PublishedFigure]:
    """Returns the study's figures for what is plausibly the same model, source task and kind of target.

    Plausibly: published weights of that name, fine-tuned on English PAWS, on a target whose name says nothing but the
    study's kind (`paws_de`, `dna_pairs`, `dna_sim_pair_50bp`). Synthetic data and names that say more match nothing.
    """
    init, source = report.model["init"], report.source
    if report.synthetic or init["kind"] != "pretrained" or not init["source"] or source is None:
        return []
    if _kind(source["dataset"]) != "en":
        return []
    hub_name = init["source"].rstrip("/").rsplit("/", 1)[-1].lower()
    kind = _kind(report.target["dataset"])
    return [figure for figure in PUBLISHED if (figure.hub_name, figure.target) == (hub_name, kind)]


def _kind(dataset: str) -> str | None:
    """Returns the study's kind of a dataset, told by its name; None if the name says anything else.

    >>> _kind("paws_x_de"), _kind("dna_pairs"), _kind("dna_protein_pairs"), _kind("paws_like_dna")
    ('de', 'dna', 'dna_protein', None)
    """
    words = set(re.findall(r"[a-z0-9]+", dataset.lower())) - _FILLING
    if words & {"paws", "pawsx"}:
        rest = words - {"paws", "pawsx", "x"}
        language = rest.pop() if len(rest) == 1 else ""
        return _LANGUAGES.get(language, language if language in _LANGUAGES.values() else None)
    # The published DNA figures are those of pairs of 40 to 50 bp.
    if words - {"sim", "simple", "40bp", "50bp"} == {"dna"}:
        return "dna"
    return "dna_protein" if words == {"dna", "protein"} else None
