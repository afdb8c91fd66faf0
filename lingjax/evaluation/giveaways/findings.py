"""What an audit of rows found, in words and as JSON."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from lingjax.evaluation.auroc_interval import Interval

Category = Literal["shortcut", "leak", "label"]
CATEGORIES: Mapping[Category, str] = {
    "shortcut": "the label can be told without what the task is about",
    "leak": "rows repeat others, or those that a model is trained on",
    "label": "labels contradict one another, or hang on a way of making rows",
}


@dataclasses.dataclass(frozen=True)
class ShownRow:
    """A row as an example.

    Attributes:
      name: its id, or its number.
      label: 0 or 1.
      texts: the beginning of each.
    """

    name: str
    label: int
    texts: Sequence[str]


@dataclasses.dataclass(frozen=True)
class Told:
    """How well one family of features tells the label.

    Attributes:
      family: its name.
      reads: "text 1 alone", "text 2 alone", "the text", "both texts", "unlike features of both texts", "no text".
      auroc: cross-validated.
      ci95: its interval over items.
      lower_bound: what the AUROC is above, corrected for all the families tried.
      is_giveaway: whether the family should tell nothing at all and its lower bound says it does; never of families
        that read what both texts share, whose likeness is what a task of pairs is about.
      is_telling: whether the lower bound says that it tells anything.
      features: those that weigh most, in words.
      rows: those that the model is most surely right about.
    """

    family: str
    reads: str
    auroc: float
    ci95: Interval | None
    lower_bound: float
    is_giveaway: bool
    is_telling: bool
    features: Sequence[str]
    rows: Sequence[ShownRow]

    def to_json(self) -> dict[str, Any]:
        """The family as a report holds it."""
        return dataclasses.asdict(self) | {
            "ci95": self.ci95 and list(self.ci95),
            "features": list(self.features),
            "rows": [_shown(row) for row in self.rows],
        }


@dataclasses.dataclass(frozen=True)
class Finding:
    """Something to know before a result on these rows is believed.

    Attributes:
      category: what kind of trouble it is; see `CATEGORIES`.
      name: short, the same for the same kind of finding.
      words: a sentence.
      count: rows that it concerns; None where it is about all.
      rows: examples.
    """

    category: Category
    name: str
    words: str
    count: int | None
    rows: Sequence[ShownRow]

    def to_json(self) -> dict[str, Any]:
        """The finding as a report holds it."""
        return dataclasses.asdict(self) | {"rows": [_shown(row) for row in self.rows]}


@dataclasses.dataclass(frozen=True)
class RowAudit:
    """An audit of rows.

    Attributes:
      rows: audited.
      rows_read: by the models, where there are many rows.
      families: all that were tried, the most telling first.
      findings: what is wrong.
    """

    rows: int
    rows_read: int
    families: Sequence[Told]
    findings: Sequence[Finding]

    def of(self, categories: Sequence[str]) -> list[Finding]:
        """Returns the findings of some categories."""
        return [finding for finding in self.findings if finding.category in categories]

    def to_json(self) -> dict[str, Any]:
        """The audit as a report holds it."""
        return {
            "rows": self.rows,
            "rows_read": self.rows_read,
            "families": [one.to_json() for one in self.families],
            "findings": [one.to_json() for one in self.findings],
        }


def _shown(row: ShownRow) -> dict[str, Any]:
    return dataclasses.asdict(row) | {"texts": list(row.texts)}
