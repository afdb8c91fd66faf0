"""Dataset `protein_pairs`: are two proteins homologous? data_prep/README.md states the rules."""

import dataclasses
from collections.abc import Sequence

import numpy as np

from data_prep.biology.alignment import LetterRuler, WindowPlan
from data_prep.biology.dealt_pairs import ALL_KINDS, deal_pairs
from data_prep.biology.pair_requests import (
    FULL,
    GENBANK_LICENCE,
    check_choice,
    choose_letters,
    describe_dropped,
    parse_identity,
    parse_shares,
)
from data_prep.biology.protein_homologs import MOST_PER_PROTEIN, add_hard_negatives, find_homologs
from data_prep.biology.protein_sources import collect_proteins
from data_prep.biology.significance import least_evalue
from data_prep.builders.dataset import as_function, flag
from data_prep.builders.pair_task import IDENTICAL, IDENTITY, InputFiles, MadePairs, SourceTask
from data_prep.tally import Tally

_LETTERS, _LEAST_LETTERS = 50, 20  # with fewer, blastp finds nothing
# In a search of one text in another alone; one in a hundred unrelated pairs is refused by chance.
_UNRELATED_EVALUE = 0.01
_SPARE_SHARE, _SPARE_PAIRS = 1.2, 500
_FASTA_LICENCE = (
    "Proteins of UniProt are under CC BY 4.0 (https://www.uniprot.org/help/license); others as their source says."
)
_TASK = (
    "Both sentences are {texts}. Label 1: the two proteins are homologs by blastp with E <= {evalue:g}, {how}; "
    "`identity` and `cigar` are of the columns that the texts share. Label 0: the second text is that of another "
    "pair, of another cluster of homologs, and its best local alignment of all with the first text has E > "
    "{bound:g}; it is of the same organism and as long as the true one (`random`), also of nearly the same "
    "residues (`composition`), or also among those that blastp aligns best (`hard`); or it is the true one in "
    "another order (`shuffled`). But for `shuffled`, each text stands in as many pairs of either label."
)


@dataclasses.dataclass(frozen=True)
class ProteinPairs(SourceTask):
    """Homologous proteins, close or remote, against others."""

    dataset = "protein_pairs"
    title = "homologous proteins"
    description = "Pairs of proteins; label 1 if they are homologous."
    programs = ("blastp",)

    length: str | None = flag(
        "residues of each text, cut at aligned positions, or 'full' for whole proteins; without it, 50", None
    )
    identity: Sequence[str] = flag(IDENTITY, ("0", "1"))
    identical: str = flag(IDENTICAL, "drop")
    negatives: Sequence[str] = flag(
        f"kinds and their shares, as in random:0.5,hard:0.5; {', '.join(ALL_KINDS)}", ("random:1",)
    )

    def check(self) -> None:
        """Checks the flags; as `PairTask.check`."""
        super().check()
        check_choice("identical", self.identical, ("drop", "keep"))
        parse_identity(self.identity)
        parse_shares(self.negatives, ALL_KINDS)
        choose_letters(self.length, default=_LETTERS, least=_LEAST_LETTERS)

    @property
    def letters(self) -> int | None:
        """Residues of each text, None for whole proteins."""
        return choose_letters(self.length, default=_LETTERS, least=_LEAST_LETTERS)

    @property
    def _bound(self) -> float:
        """The E-value that the texts of a negative must have more than."""
        return max(self.evalue, _UNRELATED_EVALUE)

    def told(self) -> dict[str, object]:
        """Tells the flags; as `PairTask.told`."""
        return {**super().told(), "length": str(self.letters or FULL)}

    def make(self, files: InputFiles) -> MadePairs:
        """Makes the pairs; as `PairTask.make`."""
        tally, num_pairs = Tally(), self.num_pairs
        sources = collect_proteins(files.paths, tally)
        plan = WindowPlan(
            evalue=self.evalue,
            ruler=LetterRuler(self.letters) if self.letters else None,
            identity=parse_identity(self.identity),
            keep_identical=self.identical == "keep",
            most=None if num_pairs is None else int(num_pairs / 2 * _SPARE_SHARE) + _SPARE_PAIRS,
            seed=self.seed,
        )
        per_protein = 1 if num_pairs is None else MOST_PER_PROTEIN
        positives = find_homologs(sources.proteins, plan, tally, per_protein=per_protein)
        negatives = parse_shares(self.negatives, ALL_KINDS)
        if "hard" in negatives:
            positives = add_hard_negatives(positives)
        pairs = deal_pairs(
            positives,
            num_pairs=num_pairs,
            negatives=negatives,
            split_by=self.split_by,
            fractions=self.fractions,
            rng=np.random.default_rng(self.seed),
            accept=lambda first, second: least_evalue(first, second, program="blastp") > self._bound,
        )
        return MadePairs(
            pairs.records,
            sources.sources,
            {**sources.filters, **tally.counts["read"], **describe_dropped(tally), **pairs.filters},
            pairs.assigned,
            licences=[_FASTA_LICENCE, *([GENBANK_LICENCE] if sources.has_genbank else [])],
        )

    def explain(self, files: InputFiles) -> str:
        """Explains the task; as `PairTask.explain`."""
        alone = "cut at aligned positions, and align so when compared with nothing but each other"
        return _TASK.format(
            texts=f"{self.letters} residues of a protein" if self.letters else "whole proteins",
            how=alone if self.letters else "in a search of all in all",
            evalue=self.evalue,
            bound=self._bound,
        )


build = as_function(ProteinPairs)
