"""What length and letters alone say about a label: features, and the logistic regression that reads them."""

import dataclasses
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from lingjax.evaluation.auroc_interval import Groups, Interval, auroc_interval
from lingjax.evaluation.metrics import Labels, auroc, checked_labels
from lingjax.evaluation.pair_sides import PairSides, sampled_rows
from lingjax.evaluation.text_groups import linked_rows, numbered_texts

FOLDS = 5
# Letters beyond these are rare; Chinese has thousands, and a column each would cost memory and fit noise.
_MOST_LETTERS = 64
# Two of each class a fold: with fewer a fold may have no ranking.
_FEWEST_ROWS_OF_A_CLASS = 10
_LARGEST_GROUP_FRACTION = 0.05
# Of 200 simulated targets of 300 rows whose labels followed from nothing, the plain interval lay above 0.5 in 6.5 %,
# one half as wide again in 1.5 %.
_CROSS_VALIDATION_SPREAD = 1.5
# 20,000 rows leave an interval of the AUROC of about +-0.01, in seconds.
_MOST_ROWS = 20_000


@dataclasses.dataclass(frozen=True)
class PredictedLabel:
    """How well something that should not matter predicts the labels: cross-validated AUROC and its interval."""

    auroc: float
    ci95: Interval | None

    @property
    def ci95_widened(self) -> Interval | None:
        """The interval, half as wide again: fits on overlapping folds vary more than an interval over items knows."""
        if self.ci95 is None:
            return None
        low, high = (self.auroc + _CROSS_VALIDATION_SPREAD * (end - self.auroc) for end in self.ci95)
        return max(0.0, low), min(1.0, high)

    def to_json(self) -> dict[str, Any]:
        """The figure as the report holds it."""
        intervals = {"ci95": self.ci95, "ci95_widened": self.ci95_widened}
        return {"auroc": self.auroc} | {name: one and list(one) for name, one in intervals.items()}


@dataclasses.dataclass(frozen=True)
class LinearScorer:
    """A fitted logistic regression over standardised features: a pipeline of scikit-learn."""

    fitted: Any

    def scores(self, features: Float[np.ndarray, "rows features"]) -> Float[np.ndarray, " rows"]:
        """Returns the log-odds of label 1, which unlike probabilities still rank far outside the fitted range."""
        return self.fitted.decision_function(features)


def fit_linear_scorer(features: Float[np.ndarray, "rows features"], labels: Labels) -> LinearScorer | None:
    """Fits scikit-learn's logistic regression (L2 penalty, C=1); None if only one class occurs."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    positive = checked_labels(labels, np.zeros(len(features)))
    if positive.all() or not positive.any():
        return None
    return LinearScorer(make_pipeline(StandardScaler(), LogisticRegression(max_iter=5000)).fit(features, positive))


def length_features(sides: PairSides) -> Float[np.ndarray, "rows 8"]:
    """Returns for characters and for tokens: both lengths, their absolute difference, and shorter over longer."""
    columns = []
    for texts in ((sides.first, sides.second), (sides.first_tokens, sides.second_tokens)):
        first, second = (np.array([len(text) for text in side], np.float64) for side in texts)
        longer = np.maximum(first, second)
        ratio = np.divide(np.minimum(first, second), longer, out=np.ones_like(longer), where=longer > 0)
        columns += [first, second, np.abs(first - second), ratio]
    return np.stack(columns, axis=1)


def common_letters(sides: PairSides, *, most: int = _MOST_LETTERS) -> str:
    """Returns the commonest characters of both texts but white space, by code point; ties go to the lower one."""
    counts: Counter[str] = Counter()
    for text in (*sides.first, *sides.second):
        counts.update(text)
    del counts[" "]
    chosen = sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:most]
    return "".join(sorted(letter for letter, _ in chosen))


def composition_features(sides: PairSides, letters: str) -> Float[np.ndarray, "rows features"]:
    """Returns each letter's share of the first text, of the second, and the absolute difference of the two.

    Shares of all characters but white space, so that length does not enter; those of an empty text are 0.
    """
    first, second = _letter_shares(sides.first, letters), _letter_shares(sides.second, letters)
    return np.concatenate([first, second, np.abs(first - second)], axis=1)


def cross_validated(
    features: Float[np.ndarray, "rows features"],
    labels: Labels,
    groups: Int[np.ndarray, " rows"],
    *,
    shared: Groups | None = None,
    seed: int = 0,
) -> PredictedLabel | None:
    """Returns how well a logistic regression predicts labels of rows that it was not fitted on.

    Five stratified folds. Scores are replaced by their ranks within the fold: fits of different folds share no scale,
    and pooling raw scores would push the AUROC of useless features below 0.5.

    Args:
      groups: rows of one group (say, the same pair twice) stay in one fold.
      shared: rows that the interval takes as drawn together; None if every row stands for itself.
      seed: decides the folds.

    Returns:
      None if a class has fewer than ten rows.
    """
    from scipy.stats import rankdata

    positive = checked_labels(labels, groups)
    if min(positive.sum(), (~positive).sum()) < _FEWEST_ROWS_OF_A_CLASS:
        return None
    fold_of_row = stratified_folds(positive, groups, seed=seed)
    ranks = np.zeros(positive.size)
    for fold in range(FOLDS):
        held_out = fold_of_row == fold
        scorer = fit_linear_scorer(features[~held_out], positive[~held_out])
        if scorer is None or not held_out.any():
            return None
        ranks[held_out] = rankdata(scorer.scores(features[held_out])) / held_out.sum()
    return PredictedLabel(auroc(positive, ranks), auroc_interval(positive, ranks[None], groups=shared))


def label_shortcuts(sides: PairSides, *, seed: int = 0) -> dict[str, PredictedLabel | None]:
    """Returns the audit's `length_predicts_label` and `composition_predicts_label` of one target.

    Fitted on the target's own labels by cross-validation: it judges the target, and nothing of it enters a model or a
    control. Of more than 20,000 rows a sample is taken.
    """
    sides = sides.take(sampled_rows(len(sides), most=_MOST_ROWS, seed=seed))
    groups, shared = related_rows(sides), sides.groups.of_row
    features = {
        "length_predicts_label": length_features(sides),
        "composition_predicts_label": composition_features(sides, common_letters(sides)),
    }
    return {
        name: cross_validated(columns, sides.labels, groups, shared=shared, seed=seed)
        for name, columns in features.items()
    }


def related_rows(sides: PairSides) -> Int[np.ndarray, " rows"]:
    """Returns for every row the number of its group: rows that share a text, directly or through others.

    The same sentence beside a paraphrase and beside a distractor has nearly the same features and both labels; spread
    over folds, such rows teach the wrong answer. Where many rows hang together (few genes, many pairs), there would be
    no folds, and only rows of the same pair are a group.
    """
    rows = len(sides)
    ends = numbered_texts(sides.first, sides.second)
    groups = linked_rows(ends)
    if np.bincount(groups).max() <= _LARGEST_GROUP_FRACTION * rows:
        return groups
    _, pairs = np.unique(np.sort(ends, axis=0), axis=1, return_inverse=True)
    return pairs.reshape(rows).astype(np.int64)


def _letter_shares(texts: Sequence[str], letters: str) -> Float[np.ndarray, "rows letters"]:
    codes = np.array([ord(letter) for letter in letters], np.uint32)  # increasing
    shares = np.zeros((len(texts), len(letters)))
    for row, text in enumerate(texts):
        characters = np.frombuffer(text.replace(" ", "").encode("utf-32-le", "surrogatepass"), "<u4")
        known = characters[np.isin(characters, codes)]
        shares[row] = np.bincount(np.searchsorted(codes, known), minlength=len(letters)) / max(characters.size, 1)
    return shares


def stratified_folds(positive: np.ndarray, groups: Int[np.ndarray, " rows"], *, seed: int) -> Int[np.ndarray, " rows"]:
    """Deals shuffled groups out to the folds in turn, first those whose first row is negative, then the others."""
    _, first_row, group_of_row = np.unique(groups, return_index=True, return_inverse=True)
    order = np.random.default_rng(seed).permutation(first_row.size)
    order = order[np.argsort(positive[first_row][order], kind="stable")]
    fold_of_group = np.empty(first_row.size, np.int64)
    fold_of_group[order] = np.arange(first_row.size) % FOLDS
    return fold_of_group[group_of_row]
