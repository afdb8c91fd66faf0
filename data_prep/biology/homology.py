"""Clusters of homologous sequences, and splits that hold whole clusters."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence

from data_prep.biology import blast
from lingjax.data import hash_fraction
from lingjax.errors import InputError

# Up to here the search for short sequences, with words of 7 letters, is made as well; NCBI made it for primers, and
# beyond some 100 letters unrelated sequences share such words as a rule.
SHORT_LETTERS = 100
# Differs from the seed of splits by hash, so that ties are broken independently of them.
_TIE_SEED = 20_250_206
# Sequences that are known to belong together are not compared with each other from here on.
_LARGE_FAMILY = 100


class Components:
    """Connected components of named things, named by their smallest member."""

    def __init__(self, names: Iterable[str] = ()):
        self._parents = {name: name for name in names}

    def find(self, name: str) -> str:
        """Returns the smallest name that is linked with this one, by however many steps."""
        root = self._parents.setdefault(name, name)
        while root != self._parents[root]:
            root = self._parents[root]
        while name != root:  # what has been walked points at the root from now on
            self._parents[name], name = root, self._parents[name]
        return root

    def link(self, first: str, second: str) -> None:
        """Makes one component of those of two names."""
        first, second = sorted((self.find(first), self.find(second)))
        self._parents[second] = first


def sensitive_searches(program: str, letters: int) -> list[list[str]]:
    """Returns the options of each search that together find what BLAST can find, low complexity included.

    Args:
      program: "blastn" or "blastp".
      letters: length of the shortest sequences that matter.
    """
    if program != "blastn":
        return [[]]
    tasks = ["blastn", "blastn-short"] if letters <= SHORT_LETTERS else ["blastn"]
    return [["-task", task, "-dust", "no"] for task in tasks]


def cluster_sequences(
    sequences: Mapping[str, str],
    *,
    program: str,
    evalue: float,
    links: Iterable[tuple[str, str]] = (),
    progress: str = "clustering",
) -> dict[str, str]:
    """Returns the cluster of each sequence: the connected components of BLAST hits, named by their smallest member.

    A hit's E-value is no higher than that of a search in all the sequences. In a database of a share of them it is
    lower, at most by that share: who wants no hits under E between two shares asks for clusters at E / share.

    Args:
      sequences: letters by name.
      program: "blastn" or "blastp".
      evalue: hits above do not count.
      links: pairs of names that belong together whatever BLAST says.
      progress: what the bar on a terminal is called.

    Raises:
      InputError: BLAST+ is not installed or refuses the sequences.
    """
    components = Components(sequences)
    for first, second in links:
        components.link(first, second)
    shortest = min(map(len, sequences.values()), default=0)
    # What is linked already is a family whose hits, in the square of its size, say nothing new, so that each large one
    # is searched in what is behind it alone, and nothing is searched in a large one.
    members = defaultdict(list)
    for name in sequences:
        members[components.find(name)].append(name)
    large = sorted((names for names in members.values() if len(names) >= _LARGE_FAMILY), key=len, reverse=True)
    rest = {name for names in members.values() if len(names) < _LARGE_FAMILY for name in names}
    behind = [*large, [name for name in sequences if name in rest]]
    searches = [
        (names, [name for others in behind[number + 1 :] for name in others]) for number, names in enumerate(large)
    ]
    for queries, subjects in [*searches, (behind[-1], behind[-1])]:
        for options in sensitive_searches(program, shortest):
            hits = blast.search(
                {name: sequences[name] for name in queries},
                {name: sequences[name] for name in subjects},
                program=program,
                evalue=evalue,
                options=[*options, "-max_hsps", "1"],
                progress=progress,
            )
            for hit in hits:
                components.link(hit.query, hit.subject)
    return {name: components.find(name) for name in sequences}


def assign_splits(keys: Sequence[str], fractions: Mapping[str, float]) -> dict[str, str]:
    """Returns the split of each cluster, or whatever else may not be in two splits.

    The largest cluster comes first, and each goes to the split that lacks most rows, so that the fractions are met as
    well as whole clusters allow. The order of `keys` decides nothing.

    Args:
      keys: the cluster of every row.
      fractions: the share of rows that each split should have.

    Raises:
      InputError: there are fewer clusters than splits.
    """
    sizes = Counter(keys)
    if len(sizes) < len(fractions):
        raise InputError(
            f"all {len(keys):,} rows lie in {len(sizes)} cluster{'s' * (len(sizes) != 1)}, too few for the splits "
            f"{', '.join(fractions)}; give more input, fewer --splits, or another --split_by"
        )
    lacking = {split: fraction * len(keys) for split, fraction in fractions.items()}
    chosen = {}
    for key in sorted(sizes, key=lambda key: (-sizes[key], hash_fraction(key, seed=_TIE_SEED), key)):
        split = max(lacking, key=lacking.get)  # the first of equals
        chosen[key] = split
        lacking[split] -= sizes[key]
    return chosen
