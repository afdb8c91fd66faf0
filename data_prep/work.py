"""What is done to each part of a dataset, and what an engine is that does it."""

from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")
# Tells that some more of a part is done, in the unit of the whole.
Advance = Callable[[int], object]
Work = Callable[[Item, Advance], Result]


class Engine(Protocol):
    """Applies a function to items."""

    def map(self, work: Work, items: Sequence[Item], *, total: int, unit: str) -> list[Result]:
        """Returns the results in the order of the items.

        Args:
          work: takes an item and `advance`; can be pickled, as can items and results.
          items: any number.
          total: how much there is to do in all, of which `advance` takes shares.
          unit: what `total` counts.
        """
