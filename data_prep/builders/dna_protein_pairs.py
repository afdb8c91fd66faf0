"""Dataset `dna_protein_pairs`: does the DNA code for the protein? data_prep/README.md states the rules."""

import dataclasses
from collections.abc import Sequence

import numpy as np

from data_prep.biology.coding_pairs import make_coding_pairs
from data_prep.biology.coding_windows import CodingPlan
from data_prep.biology.dealt_pairs import DEALT_KINDS, deal_pairs
from data_prep.biology.gene_sources import collect_genes
from data_prep.biology.pair_requests import describe_dropped, parse_shares
from data_prep.builders.dataset import as_function, flag
from data_prep.builders.pair_task import InputFiles, MadePairs, SourceTask
from data_prep.tally import Tally

NEGATIVES = "kinds and their shares: composition, and random, which is matched in length alone"
_TASK = (
    "Sentence 1 is {dna_length} nucleotides of DNA, sentence 2 a protein of at most {protein_length} residues. "
    "Label 1: the DNA codes for the whole protein, as its record annotates it and as a translation with the "
    "genetic code of the gene confirms. Label 0: the protein is that of another gene that is no homolog, and no "
    "five of its residues in a row are encoded in any of the six frames of the DNA, by the code of the gene or "
    "the standard one. Each DNA and each protein stands in as many pairs of either label, so that neither alone "
    "tells anything; the proteins of negatives are of the same organism, as long as the true ones and, for the "
    "kind `composition`, of nearly the same residues."
)


@dataclasses.dataclass(frozen=True)
class DnaProteinPairs(SourceTask):
    """Coding DNA with its protein, or with another one."""

    dataset = "dna_protein_pairs"
    title = "DNA and the protein that it codes for"
    programs = ("blastn", "blastp")

    dna_length: int = flag("nucleotides of the DNA", 150)
    protein_length: int = flag("residues of the protein at most", 50)
    upstream: int = flag("nucleotides before the start codon, as in the study", 0)
    frame_shifts: bool = flag("begin the DNA at any offset within a codon", False)
    reverse_strand: bool = flag("give half of the DNA, of both labels alike, as its reverse complement", False)
    negatives: Sequence[str] = flag(NEGATIVES, ("composition:1",))

    def check(self) -> None:
        """Checks the flags; as `PairTask.check`."""
        super().check()
        parse_shares(self.negatives, DEALT_KINDS)
        self.plan()

    def plan(self) -> CodingPlan:
        """Returns how windows are cut, if that can be done."""
        return CodingPlan(self.dna_length, self.protein_length, self.upstream, self.frame_shifts)

    @property
    def description(self) -> str:
        """One sentence for TFDS."""
        return f"DNA of {self.dna_length} nucleotides and proteins; label 1 if the DNA codes for the protein."

    def make(self, files: InputFiles) -> MadePairs:
        """Makes the pairs; as `PairTask.make`."""
        plan = self.plan()
        genes = collect_genes(files.paths, flank=plan.flank)
        rng, tally = np.random.default_rng(self.seed), Tally()
        positives = make_coding_pairs(
            genes.genes,
            plan,
            reverse_strand=self.reverse_strand,
            more=self.num_pairs is not None,
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
        filters = {**genes.filters, **describe_dropped(tally), **pairs.filters}
        return MadePairs(pairs.records, genes.sources, filters, pairs.assigned)

    def explain(self, files: InputFiles) -> str:
        """Explains the task; as `PairTask.explain`."""
        return _TASK.format(dna_length=self.dna_length, protein_length=self.protein_length)


build = as_function(DnaProteinPairs)
