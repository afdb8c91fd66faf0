"""Counts by name, kept while a dataset is read and added up over its parts."""

import dataclasses
from collections import Counter, defaultdict
from collections.abc import Iterable

# A file of the wrong kind has a problem in each of its millions of records.
MOST_PROBLEMS = 1000


class TooManyProblemsError(Exception):
    """Ends the reading of a file."""


@dataclasses.dataclass
class Tally:
    """What was read, changed and left out of a part of a dataset, and what is wrong with it.

    Attributes:
      counts: by group ("dropped", a split ...) and name within it; a count that was never raised is absent.
      problems: texts that each name their own place; any of them forbids the dataset.
    """

    counts: defaultdict[str, Counter[str]] = dataclasses.field(default_factory=lambda: defaultdict(Counter))
    problems: list[str] = dataclasses.field(default_factory=list)

    def add(self, group: str, name: str, amount: int = 1) -> None:
        """Raises a count; by nothing, it stays absent."""
        if amount:
            self.counts[group][name] += amount

    def add_problem(self, problem: str) -> None:
        """Keeps a problem.

        Raises:
          TooManyProblemsError: there are so many that reading on is of no use.
        """
        self.problems.append(problem)
        if len(self.problems) >= MOST_PROBLEMS:
            raise TooManyProblemsError

    def group(self, group: str) -> dict[str, int]:
        """Returns the counts of one group, sorted by name, so that the order of reading does not show."""
        return dict(sorted(self.counts.get(group, {}).items()))


def add_up(tallies: Iterable[Tally]) -> Tally:
    """Adds up tallies; problems keep their order."""
    whole = Tally()
    for tally in tallies:
        for group, names in tally.counts.items():
            whole.counts[group].update(names)
        whole.problems += tally.problems
    return whole
