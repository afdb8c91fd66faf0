"""Every control that needs no model, measured on target after target; what it learns comes from the source."""

import dataclasses
import functools
from collections.abc import Callable, Sequence

import numpy as np
from jaxtyping import Float

from lingjax.evaluation import local_alignment
from lingjax.evaluation.controls import (
    Control,
    LabelledScores,
    SkippedControl,
    majority,
    threshold_control,
    token_overlap,
)
from lingjax.evaluation.pair_sides import PairSides
from lingjax.evaluation.shortcuts import (
    LinearScorer,
    common_letters,
    composition_features,
    fit_linear_scorer,
    length_features,
)
from lingjax.evaluation.text_similarity import KMER_SIZES, choose_kmer_size, edit_similarity, kmer_overlap

KMER_SIZE_WITHOUT_SOURCE = 3
"""Fixed beforehand, for when there is no source dev set to choose on."""

MOST_SOURCE_ROWS = 50_000
"""Source training rows that suffice for the regressions; the study's source has 49,401."""

_NO_SOURCE = "the source training set, on which it is fitted, is not known"

Score = Callable[[PairSides], Float[np.ndarray, " rows"]]


class TextControls:
    """Controls set up once on the source task and then measured on every target.

    Args:
      source: the source's training rows, or `MOST_SOURCE_ROWS` of them; None if they are not known.
      dev: the source's dev rows, which choose thresholds and the k-mer size; None if they are not known.
      kmer_sizes: candidates for k; a single one is fixed beforehand.
      seed: decides which rows are aligned, where not all are.
      most_cells: see `local_alignment.local_alignment`.
    """

    def __init__(
        self,
        *,
        source: PairSides | None,
        dev: PairSides | None,
        kmer_sizes: Sequence[int] = KMER_SIZES,
        seed: int = 0,
        most_cells: int = local_alignment.MOST_CELLS,
    ):
        self._source = source
        self._dev = dev
        self._kmer_sizes = tuple(kmer_sizes)
        self._seed = seed
        self._most_cells = most_cells
        self._on_dev: dict[str, LabelledScores] = {}  # by control: the same for every target

    def measure(self, target: PairSides) -> dict[str, Control]:
        """Returns the controls by name."""
        k, chosen = self._kmer_size
        return {
            "majority": majority(target.labels),
            "token_jaccard": self._scored(target, _token_overlap, name="token_jaccard"),
            "kmer_jaccard": self._scored(
                target, functools.partial(_kmer_overlap, k=k), name="kmer_jaccard", settings={"k": k, "chosen": chosen}
            ),
            "edit_similarity": self._scored(target, _edit_similarity, name="edit_similarity"),
            "length_only": self._fitted(target, length_features, self._length_scorer, name="length_only"),
            "composition_only": self._fitted(
                target,
                functools.partial(composition_features, letters=self._letters),
                self._composition_scorer,
                name="composition_only",
            ),
            "local_alignment": self._aligned(target),
        }

    @functools.cached_property
    def _kmer_size(self) -> tuple[int, str]:
        if len(self._kmer_sizes) == 1:
            return self._kmer_sizes[0], "fixed beforehand"
        if self._dev is None:
            return KMER_SIZE_WITHOUT_SOURCE, "fixed beforehand, there is no source dev set"
        dev = self._dev
        k = choose_kmer_size(dev.first, dev.second, dev.labels, sizes=self._kmer_sizes)
        return k, f"highest AUROC on the source dev set among {', '.join(map(str, self._kmer_sizes))}"

    @functools.cached_property
    def _letters(self) -> str:
        return "" if self._source is None else common_letters(self._source)

    @functools.cached_property
    def _length_scorer(self) -> LinearScorer | None:
        source = self._source
        return None if source is None else fit_linear_scorer(length_features(source), source.labels)

    @functools.cached_property
    def _composition_scorer(self) -> LinearScorer | None:
        source = self._source
        if source is None:
            return None
        return fit_linear_scorer(composition_features(source, self._letters), source.labels)

    def _dev_scores(self, name: str, score: Score) -> LabelledScores | None:
        if self._dev is None:
            return None
        if name not in self._on_dev:
            self._on_dev[name] = LabelledScores(scores=score(self._dev), labels=self._dev.labels)
        return self._on_dev[name]

    def _scored(
        self, target: PairSides, score: Score, *, name: str, settings: dict[str, str | int] | None = None
    ) -> Control:
        return threshold_control(
            score(target),
            target.labels,
            source=self._dev_scores(name, score),
            groups=target.groups.of_row,
            settings=settings,
        )

    def _fitted(
        self,
        target: PairSides,
        features: Callable[[PairSides], Float[np.ndarray, "rows features"]],
        scorer: LinearScorer | None,
        *,
        name: str,
    ) -> Control:
        if self._source is None:
            return SkippedControl(_NO_SOURCE)
        if scorer is None:
            return SkippedControl("the source training set holds one label only")
        settings = {"fitted_on": "source training set", "rows": len(self._source)}
        return self._scored(target, lambda sides: scorer.scores(features(sides)), name=name, settings=settings)

    def _aligned(self, target: PairSides) -> Control:
        kinds = local_alignment.column_kinds(target.first, target.second)
        if kinds is None:
            return SkippedControl("not both columns are DNA or protein")
        if not local_alignment.is_installed():
            return SkippedControl("Biopython is not installed; pip install biopython", is_missing=True)

        def align(sides: PairSides) -> local_alignment.AlignedRows:
            return local_alignment.local_alignment(
                sides.first, sides.second, kinds, most_cells=self._most_cells, seed=self._seed
            )

        source = None
        if self._dev is not None and local_alignment.column_kinds(self._dev.first, self._dev.second) == kinds:
            dev = align(self._dev)
            source = LabelledScores(scores=dev.scores, labels=self._dev.labels[dev.rows])
        aligned = align(target)
        control = threshold_control(
            aligned.scores,
            target.labels[aligned.rows],
            source=source,
            groups=target.groups.of_row[aligned.rows],
            settings={"columns": f"{kinds[0]}, {kinds[1]}", "rows": len(aligned.rows)},
        )
        return dataclasses.replace(control, rows=aligned.rows)


def _token_overlap(sides: PairSides) -> Float[np.ndarray, " rows"]:
    return token_overlap(sides.first_tokens, sides.second_tokens)


def _kmer_overlap(sides: PairSides, *, k: int) -> Float[np.ndarray, " rows"]:
    return kmer_overlap(sides.first, sides.second, k=k)


def _edit_similarity(sides: PairSides) -> Float[np.ndarray, " rows"]:
    return edit_similarity(sides.first, sides.second)
