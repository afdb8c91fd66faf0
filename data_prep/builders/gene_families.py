"""Dataset `gene_families`: are two genes of the same family? data_prep/README.md states the rules."""

import dataclasses
from collections.abc import Sequence

import numpy as np

from data_prep.biology.dealt_pairs import DEALT_KINDS, deal_pairs
from data_prep.biology.families import choose_members, make_family_pairs, read_families
from data_prep.biology.gene_sources import collect_genes
from data_prep.biology.pair_requests import FULL, choose_letters, describe_dropped, parse_identity, parse_shares
from data_prep.builders.dataset import as_function, flag
from data_prep.builders.dna_protein_pairs import NEGATIVES
from data_prep.builders.pair_task import IDENTITY, InputFiles, MadePairs, SourceTask
from data_prep.sources import find_files
from data_prep.tally import Tally
from data_prep.writer import describe_sources
from lingjax.errors import InputError, nearest

_LETTERS = {"dna": 150, "protein": 50}  # as in the study's pairs of DNA and protein
_TEXTS = {"dna": "coding DNA, introns left out", "protein": "protein"}
_SPARE = 500
_TASK = (
    "Both sentences are the {text} of a gene{cut}. Label 1: the two genes are of one family, by {families}. Label 0: "
    "they are of two families and no homologs, as BLAST finds none between their clusters. The second gene of a "
    "negative is the second gene of another pair, of the same organism as the true one and of a length as near as can "
    "be and, for the kind `composition`, of nearly the same letters. So each gene stands in as many pairs of either "
    "label."
)


@dataclasses.dataclass(frozen=True)
class GeneFamilies(SourceTask):
    """Two genes of one family, or of two."""

    dataset = "gene_families"
    title = "genes of one family"
    programs = ("blastn", "blastp")

    clusters: str | None = flag(
        "a table of gene and family; without it, products and names of genes tell the family", None, decides=False
    )
    domain: str = flag("dna or protein, what the texts are", "dna")
    length: str | None = flag(
        "letters of each text, from the start of the gene, or 'full': but whole genes of one family often have exactly "
        "the same length, which then tells; without it, 150 of DNA and 50 of proteins",
        None,
    )
    identity: Sequence[str] = flag(IDENTITY, ("0", "1"))
    negatives: Sequence[str] = flag(NEGATIVES, ("composition:1",))

    def check(self) -> None:
        """Checks the flags; as `PairTask.check`."""
        if self.domain not in _TEXTS:
            raise InputError(f"--domain={self.domain} is not for genes; {nearest(self.domain, _TEXTS)}")
        super().check()
        parse_identity(self.identity)
        parse_shares(self.negatives, DEALT_KINDS)
        choose_letters(self.length, default=_LETTERS[self.domain])

    @property
    def letters(self) -> int | None:
        """Letters of each text, None for whole genes."""
        return choose_letters(self.length, default=_LETTERS[self.domain])

    @property
    def description(self) -> str:
        """One sentence for TFDS."""
        return f"Pairs of genes ({self.domain}); label 1 if they are of one family."

    @property
    def measured_programs(self) -> Sequence[str]:
        """The program that looks for homologs between splits."""
        return ("blastn",) if self.domain == "dna" else ("blastp",)

    def told(self) -> dict[str, object]:
        """Tells the flags; as `PairTask.told`."""
        return {**super().told(), "length": str(self.letters or FULL)}

    def find(self) -> InputFiles:
        """Finds or downloads the files; as `PairTask.find`."""
        tables = find_files([self.clusters], flag="--clusters") if self.clusters else []
        return InputFiles({**super().find().by_flag, "clusters": tables})

    def make(self, files: InputFiles) -> MadePairs:
        """Makes the pairs; as `PairTask.make`."""
        paths, tables = files.by_flag["sources"], files.by_flag["clusters"]
        families = read_families(tables[0]) if tables else None
        genes = collect_genes(paths)
        rng, tally = np.random.default_rng(self.seed), Tally()
        members = choose_members(genes.genes, families, domain=self.domain, length=self.letters, tally=tally)
        positives = make_family_pairs(
            members,
            domain=self.domain,
            # More than twice as many as are needed: some find no negative, some lie between organisms of two splits.
            most=None if self.num_pairs is None else self.num_pairs + _SPARE,
            identity=parse_identity(self.identity),
            evalue=self.evalue,
            rng=rng,
            tally=tally,
        )
        pairs = deal_pairs(
            positives,
            num_pairs=self.num_pairs,
            negatives=parse_shares(self.negatives, DEALT_KINDS),
            split_by=self.split_by,
            fractions=self.fractions,
            rng=rng,
        )
        filters = {**genes.filters, **tally.counts["read"], **describe_dropped(tally), **pairs.filters}
        return MadePairs(pairs.records, [*genes.sources, *describe_sources(tables)], filters, pairs.assigned)

    def explain(self, files: InputFiles) -> str:
        """Explains the task; as `PairTask.explain`."""
        tables = files.by_flag["clusters"]
        named = f"the table {tables[0].name}" if tables else "product, or else gene name, in their annotation"
        cut = f", its first {self.letters} letters" if self.letters else ""
        return _TASK.format(text=_TEXTS[self.domain], cut=cut, families=named)


build = as_function(GeneFamilies)
