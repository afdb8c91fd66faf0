"""Pairs of genes of one family, by what their annotation calls them or by a table."""

import collections
import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from data_prep.biology.alignment import describe_columns
from data_prep.biology.gene_groups import cluster_genes, name_family
from data_prep.biology.gene_sources import TWO_FORMS
from data_prep.biology.pair_records import Positive, Text
from data_prep.biology.significance import find_alignments
from data_prep.formats import locations
from data_prep.formats.genes import Gene
from data_prep.formats.streams import read_lines, without_end
from data_prep.tally import Tally
from lingjax.errors import InputError, raise_problems

# An alignment takes memory and time in the product of the lengths: about 100 MB and a second at this one.
MOST_LETTERS = 10_000
NEARLY_IDENTICAL = 0.95
# Annotation gives one name to classes of proteins that are no homologs; the card counts the pairs beyond this limit.
HOMOLOG_EVALUE = 1e-3


@dataclasses.dataclass(frozen=True, slots=True)
class Member:
    """A gene in its family, with the text that stands for it."""

    gene: Gene
    family: str
    text: str

    def describe(self, cluster: str, *, domain: str) -> Text:
        """Returns the text of a pair."""
        codon = 1 if domain == "dna" else 3
        place = locations.describe(self.gene.record, locations.cut(self.gene.segments, 0, codon * len(self.text)))
        return Text(self.text, place, self.gene.organism, cluster)


def choose_members(
    genes: Sequence[Gene], families: Mapping[str, str] | None, *, domain: str, length: int | None, tally: Tally
) -> list[Member]:
    """Returns the genes that have a family, each text once.

    Args:
      genes: all genes.
      families: family by any name of a gene, as `read_families`; None takes it from products and names of genes.
      domain: "dna" for coding DNA as texts, "protein" for proteins.
      length: letters of a text, from the start of the gene; None takes all of them.
      tally: receives what is left out.
    """
    members, seen = [], set()
    if families is not None:
        tally.add("dropped", "genes of the table that no source has", len(families.keys() - _all_names(genes)))
    for gene in genes:
        family = name_family(gene) if families is None else _look_up(gene, families)
        letters = gene.coding if domain == "dna" else gene.protein
        text = letters[:length]
        if not family:
            why = "genes whose annotation names no family" if families is None else "genes that are not in the table"
            tally.add("dropped", why)
        elif length is not None and len(text) < length:
            tally.add("dropped", "genes shorter than --length")
        elif len(text) > MOST_LETTERS:
            tally.add("dropped", f"genes longer than {MOST_LETTERS:,} letters")
        elif text in seen:
            tally.add("dropped", "genes with the text of another")
        else:
            seen.add(text)
            members.append(Member(gene, family, text))
    return members


def _all_names(genes: Sequence[Gene]) -> set[str]:
    return {name for gene in genes for name in gene.names}


def _look_up(gene: Gene, families: Mapping[str, str]) -> str:
    return next((families[name] for name in gene.names if name in families), "")


def read_families(path: Path) -> dict[str, str]:
    """Reads a table of two columns between tabs: a gene and its family; lines that begin with `#` are nothing.

    Raises:
      InputError: the problems of all lines together: one has not two columns, or gives a gene another family.
    """
    families, first_line, problems = {}, {}, []
    for number, line in enumerate(read_lines(path), start=1):
        line = without_end(line)
        if not line.strip() or line.startswith("#"):
            continue
        fields = [field.strip() for field in line.split("\t")]
        if len(fields) != 2 or not all(fields):
            problems.append(f"{path}:{number}: expected a gene and its family between a tab, found {line[:60]!r}")
            continue
        gene, family = fields
        if families.setdefault(gene, family) != family:
            problems.append(
                f"{path}:{number}: gene '{gene}' is in family '{family}', but in '{families[gene]}' in line "
                f"{first_line[gene]}"
            )
        first_line.setdefault(gene, number)
    raise_problems("--clusters", problems)
    if not families:
        raise InputError(f"--clusters: {path} names no gene; expected lines of a gene and its family between a tab")
    return families


def pair_members(members: Sequence[Member], rng: np.random.Generator) -> Iterator[list[tuple[Member, Member]]]:
    """Yields pairs of members of one family, each pair once, in rounds of random order.

    In a round a member stands in no more than two pairs, whatever the size of its family, so that a few large families
    do not make up a dataset as long as there are others.
    """
    by_family = collections.defaultdict(list)
    for member in members:
        by_family[member.family].append(member)
    rings = [[ring[place] for place in rng.permutation(len(ring))] for ring in by_family.values() if len(ring) > 1]
    for step in range(1, max(map(len, rings), default=0) // 2 + 1):
        # In a ring of even size, half-way steps meet each pair from both ends.
        found = [
            (ring[place], ring[(place + step) % len(ring)])
            for ring in rings
            if 2 * step <= len(ring)
            for place in range(len(ring) // 2 if 2 * step == len(ring) else len(ring))
        ]
        yield [found[place] for place in rng.permutation(len(found))]


def make_family_pairs(
    members: Sequence[Member],
    *,
    domain: str,
    most: int | None,
    identity: tuple[float, float],
    evalue: float,
    rng: np.random.Generator,
    tally: Tally,
) -> list[Positive]:
    """Returns pairs of members of one family, in the order of `pair_members`.

    Args:
      members: all genes with a family.
      domain: "dna" or "protein", of their texts.
      most: more pairs are not made; None makes those of the first round.
      identity: least and greatest identity over a global alignment.
      evalue: the greatest of the hits that, besides families, connect genes to clusters.
      rng: decides which are paired.
      tally: receives what is found and left out.

    Raises:
      InputError: no family has two members in the band, or BLAST+ is not installed.
    """
    found = []
    for first, second in _take_rounds(pair_members(members, rng), most):
        if first.gene.overlaps(second.gene):
            tally.add("dropped", TWO_FORMS)
            continue
        likeness, cigar = align(first.text, second.text)
        if not identity[0] <= likeness <= identity[1]:
            tally.add("dropped", "pairs of another identity than --identity")
            continue
        tally.add("read", "pairs of one family")
        if likeness >= NEARLY_IDENTICAL:
            tally.add("read", f"of these, nearly identical (identity {NEARLY_IDENTICAL} or more)")
        found.append((first, second, likeness, cigar))
        if most is not None and len(found) >= most:
            break
    if not found:
        counts = ", ".join(f"{count:,} {name}" for name, count in tally.group("dropped").items())
        raise InputError(
            f"no family has two genes to pair, of {len({member.family for member in members}):,} families of "
            f"{len(members):,} genes ({counts}); give more genomes, or a table of families with --clusters"
        )
    proteins = [(first.gene.protein, second.gene.protein) for first, second, _, _ in found]
    aligned = find_alignments(proteins, program="blastp", evalue=HOMOLOG_EVALUE)
    unlike = sum(its_evalue > HOMOLOG_EVALUE for its_evalue, _ in aligned)
    tally.add("read", f"of these, proteins that blastp does not align (E <= {HOMOLOG_EVALUE:g})", unlike)
    clusters = _cluster(members, domain=domain, evalue=evalue)
    return [
        Positive(
            first=first.describe(clusters[first.gene.location], domain=domain),
            second=second.describe(clusters[second.gene.location], domain=domain),
            kind="same_family",
            identity=likeness,
            cigar=cigar,
            keys=frozenset({first.family}),
        )
        for first, second, likeness, cigar in found
    ]


def _take_rounds(rounds: Iterator[list[tuple[Member, Member]]], most: int | None) -> Iterator[tuple[Member, Member]]:
    for found in rounds:
        yield from found
        if most is None:
            return


def _cluster(members: Sequence[Member], *, domain: str, evalue: float) -> dict[str, str]:
    pieces = {}
    if domain == "dna":
        pieces = {member.gene.location: (member.text, member.gene.location) for member in members}
    first_of_family: dict[str, str] = {}
    links = [
        (first_of_family.setdefault(member.family, member.gene.location), member.gene.location) for member in members
    ]
    return cluster_genes([member.gene for member in members], pieces, evalue=evalue, links=links)


def align(text1: str, text2: str) -> tuple[float, str]:
    """Returns identity over the columns and CIGAR of a global alignment (match 1, mismatch -1, gap -2, longer -0.5)."""
    from Bio.Align import PairwiseAligner

    aligner = PairwiseAligner(mode="global", match_score=1, mismatch_score=-1, open_gap_score=-2, extend_gap_score=-0.5)
    alignment = aligner.align(text1, text2)[0]
    return describe_columns(alignment[0], alignment[1])
