"""Dataset `paws_like_dna`: homologs against texts of the same k-mers in another order; data_prep/README.md."""

import dataclasses
import math
from collections.abc import Sequence

import numpy as np

from data_prep.biology.aligned_pairs import SEARCH_OPTIONS, cluster_positives, collect_positives
from data_prep.biology.alignment import LetterRuler, WindowPlan
from data_prep.biology.dna_sources import read_dna
from data_prep.biology.pair_records import Positive, make_record
from data_prep.biology.pair_requests import (
    FULL,
    LEAST_LETTERS,
    choose_letters,
    choose_most,
    describe_dropped,
    describe_read,
    find_share,
)
from data_prep.biology.shuffling import shuffle_kmers
from data_prep.biology.significance import least_evalue
from data_prep.builders.dataset import as_function, flag
from data_prep.builders.dna_pairs import LETTERS
from data_prep.builders.pair_task import InputFiles, MadePairs, SearchedTask
from data_prep.tally import Tally
from lingjax.errors import InputError

_MOST_SHUFFLES = 50
# A walk through (k-1)-mers can go another way where it meets one again. With up to so many different ones for each
# letter of a text, 70 % of genomic texts or more could be brought into an order that does not align; with four times
# as many, one in ten.
_MOST_WORDS_PER_LETTER = 1.3
# Candidates for each positive that is wanted, as some cannot be reordered.
_SPARE = 4
_TASK = (
    "Each text is {length} of DNA. Label 1: the two were cut at aligned positions of a BLAST hit and align with "
    "E <= {evalue:g} when they are compared with nothing but each other. Label 0: the same first text with the second "
    "one in another order, which has exactly as many of each {kmer}-mer, and of each shorter one, but does not align "
    "under that E-value. As in PAWS, the words tell nothing and their order everything: whatever compares bags of "
    "{kmer}-mers gives both pairs of a first text the same score."
)


@dataclasses.dataclass(frozen=True)
class PawsLikeDna(SearchedTask):
    """Homologs, against the same k-mers in another order."""

    dataset = "paws_like_dna"
    programs = ("blastn",)
    search_options = SEARCH_OPTIONS

    kmer: int | None = flag(
        "letters of the words of which both labels have as many; more are a harder control but leave fewer pairs; "
        "without it, the most that texts of this length can mostly be shuffled with",
        None,
    )

    def check(self) -> None:
        """Checks the flags; as `PairTask.check`."""
        super().check()
        if self.kmer is None and self.letters is None:
            raise InputError(
                f"--length={FULL} leaves open which words are counted; give --kmer as well, as in --kmer=6"
            )
        if self.words < 2 or (self.letters is not None and self.words >= self.letters):
            raise InputError(f"--kmer={self.words}: expected 2 or more, and less than the letters of a text")

    @property
    def letters(self) -> int | None:
        """Letters of each text, None if each has its own."""
        return choose_letters(self.length, default=LETTERS, least=LEAST_LETTERS)

    @property
    def words(self) -> int:
        """Letters of the words that both labels have as many of."""
        return choose_kmer(self.letters) if self.kmer is None else self.kmer

    @property
    def title(self) -> str:
        """Title of the card."""
        return f"homologs against the same {self.words}-mers in another order"

    @property
    def description(self) -> str:
        """One sentence for TFDS."""
        return f"Pairs of DNA; label 1 for homologs, 0 for the same {self.words}-mers in another order."

    def told(self) -> dict[str, object]:
        """Tells the flags; as `PairTask.told`."""
        return {**super().told(), "length": str(self.letters or FULL), "kmer": self.words}

    def make(self, files: InputFiles) -> MadePairs:
        """Makes the pairs; as `PairTask.make`."""
        tally, letters = Tally(), self.letters
        queries, subjects, sources = read_dna(
            files.by_flag, tally, regions=self.regions, least_letters=letters or self.words
        )
        most = choose_most(self.num_pairs, self.split_by)
        plan = WindowPlan(
            evalue=self.evalue,
            ruler=LetterRuler(letters) if letters else None,
            most=_SPARE * most if most else None,
            seed=self.seed,
        )
        positives = collect_positives(queries, subjects, plan, tally)
        share = find_share(self.fractions, self.num_pairs, len(positives))
        clustered = cluster_positives(positives, evalue=self.evalue / share, by_region=self.regions == "cds")
        rng = np.random.default_rng(self.seed)
        records = reorder_pairs(clustered, self.words, most=most, evalue=self.evalue, rng=rng, tally=tally)
        if not records:
            raise InputError(
                f"no text can be brought into an order with the same {self.words}-mers that does not align; "
                "give a lower --kmer or a greater --length"
            )
        return MadePairs(records, sources, {**describe_read(tally), **describe_dropped(tally)})

    def explain(self, files: InputFiles) -> str:
        """Explains the task; as `PairTask.explain`."""
        length = f"{self.letters} letters" if self.letters else "the whole of an aligned region"
        return _TASK.format(length=length, evalue=self.evalue, kmer=self.words)


build = as_function(PawsLikeDna)


def choose_kmer(letters: int) -> int:
    """Returns the greatest k with which most texts of so many letters can be reordered.

    >>> choose_kmer(50), choose_kmer(100), choose_kmer(200)
    (4, 4, 5)
    """
    return max(2, 1 + math.floor(math.log(letters * _MOST_WORDS_PER_LETTER, 4)))


def reorder_pairs(
    positives: Sequence[Positive],
    kmer: int,
    *,
    evalue: float,
    rng: np.random.Generator,
    tally: Tally,
    most: int | None = None,
) -> list[dict[str, object]]:
    """Returns two records for each positive: itself, and its first text with the second one in another order.

    Args:
      positives: with their clusters, which negatives share.
      kmer: the counts of these words are kept exactly.
      evalue: the best local alignment with the reordered text has a higher one.
      rng: draws orders.
      tally: receives how many positives have no such order, and are left out.
      most: positives after which no more are needed.
    """
    records, taken = [], set()
    for number, positive in enumerate(positives):
        if most is not None and len(records) >= 2 * most:
            tally.add("dropped", "positives beyond what is needed", len(positives) - number)
            break
        first, second = positive.first, positive.second
        for _ in range(_MOST_SHUFFLES):
            letters = shuffle_kmers(second.letters, kmer, rng)
            if letters != second.letters and least_evalue(first.letters, letters, program="blastn") > evalue:
                break
        else:
            tally.add("dropped", f"positives without another order of their {kmer}-mers")
            continue
        negative = make_record(first, second.shuffled(letters), label=0, kind="reordered")
        if negative["pair_id"] in taken:
            tally.add("dropped", "positives whose negative is already there")
            continue
        taken.add(negative["pair_id"])
        records += [positive.record(), negative]
    return records
