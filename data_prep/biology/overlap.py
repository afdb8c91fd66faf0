"""How much texts of different splits or datasets have in common: equal texts, and texts that BLAST finds homologous."""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from data_prep.biology import blast
from data_prep.biology.homology import sensitive_searches
from lingjax.data import PairSource, open_split, split_reference

TEXTS = ("sentence1", "sentence2")
_ALPHABETS = {"blastn": "ACGTN", "blastp": "ACDEFGHIKLMNPQRSTVWYX"}
# Of the letters of a sequence, the rest being ambiguity codes.
_LEAST_SHARE = 0.9


def guess_program(text: str) -> str | None:
    """Returns the program that searches for texts like this one, or None for texts that are no sequences.

    >>> guess_program("ACCGTAN"), guess_program("MKVLAT"), guess_program("A cat.")
    ('blastn', 'blastp', None)
    """
    if not text.isupper() or not text.isalpha() or not text.isascii():
        return None
    for program, alphabet in _ALPHABETS.items():
        if sum(map(text.count, alphabet)) >= _LEAST_SHARE * len(text):
            return program
    return None


def collect_texts(records: Iterable[Mapping[str, object]]) -> list[str]:
    """Returns the distinct texts of pairs, sorted."""
    return sorted({record[side] for record in records for side in TEXTS})


def find_homologs(
    texts: Sequence[str], others: Sequence[str], *, programs: Sequence[str], evalue: float
) -> Iterator[tuple[str, str]]:
    """Yields pairs of a text and one of the others that BLAST finds similar, some of them more than once.

    Args:
      texts: distinct texts to search for.
      others: distinct texts to search in; E-values are those of a database of them.
      programs: "blastn" searches the texts that look like DNA, "blastp" those that look like proteins.
      evalue: hits above do not count.
    """
    for program in programs:
        queries = {str(number): text for number, text in enumerate(texts) if guess_program(text) == program}
        subjects = {str(number): text for number, text in enumerate(others) if guess_program(text) == program}
        shortest = min((len(text) for text in [*queries.values(), *subjects.values()]), default=0)
        for options in sensitive_searches(program, shortest):
            # One alignment of two texts tells as much as all.
            options = [*options, "-max_hsps", "1"]
            for hit in blast.search(queries, subjects, program=program, evalue=evalue, options=options):
                yield queries[hit.query], subjects[hit.subject]


def measure_overlap(
    texts: Sequence[str], others: Sequence[str], *, programs: Sequence[str], evalue: float
) -> dict[str, int]:
    """Returns how many of the texts are among the others, and how many have a homolog among them.

    Args:
      texts, others: distinct texts; sentences are compared for equality alone.
      programs, evalue: as `find_homologs`; without a program, homologs are not counted.
    """
    measured = {"texts": len(texts), "equal_texts": len(set(texts) & set(others))}
    if programs:
        homologs = find_homologs(texts, others, programs=programs, evalue=evalue)
        measured["texts_with_homologs"] = len({text for text, _ in homologs})
    return measured


def read_texts(references: Iterable[str]) -> dict[str, list[str]]:
    """Returns the distinct texts of each split of other datasets, by `NAME@SPLIT`.

    Args:
      references: each is a dataset, `PATH` for all their splits or `PATH@SPLIT` for one.

    Raises:
      InputError: a dataset cannot be read.
    """
    texts = {}
    for reference in references:
        named = bool(split_reference(reference)[1])
        splits = [None]
        if not named:
            any_split = open_split(reference, default=("train", "validation", "test"))
            splits = sorted(any_split.info["splits"])
        for split in splits:
            opened = open_split(reference if split is None else f"{reference}@{split}", default=())
            pairs = PairSource(opened)
            distinct = {text for pair in pairs for text in (pair.sentence1, pair.sentence2)}
            texts[f"{opened.name}@{opened.split}"] = sorted(distinct)
    return texts


def measure_all(
    by_split: Mapping[str, Sequence[Mapping[str, object]]],
    others: Mapping[str, Sequence[str]],
    programs: Sequence[str],
    evalue: float,
    *,
    verified: bool,
) -> dict[str, object]:
    """Returns the overlap of each split with each later one and with every split of other datasets.

    Args:
      verified: whether pairs were dropped until BLAST found nothing between splits, so that it need not run again.
    """
    texts = {split: collect_texts(rows) for split, rows in by_split.items()}
    splits, measured = list(by_split), {}
    for number, split in enumerate(splits):
        for later in splits[number + 1 :]:
            between = measure_overlap(texts[later], texts[split], programs=() if verified else programs, evalue=evalue)
            measured[f"{later} with {split}"] = {
                **between,
                **({"texts_with_homologs": 0} if verified and programs else {}),
            }
    for other, other_texts in others.items():
        for split in splits:
            measured[f"{split} with {other}"] = measure_overlap(
                texts[split], other_texts, programs=programs, evalue=evalue
            )
    return {"evalue": evalue, "programs": list(programs), "measured": measured}
