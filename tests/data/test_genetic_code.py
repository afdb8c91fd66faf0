import itertools

import numpy as np
import pytest
from Bio.Seq import Seq

from lingjax.alphabets import six_frames
from lingjax.data import PairRecord
from lingjax.data.genetic_code import encodes_piece, encoding_fractions

GENE = "ATGGCTAAACGTTGGCTTGATTAA"  # M A K R W L D stop
PROTEIN = "MAKRWLD"


def reverse_complement(dna):
    return dna[::-1].translate(str.maketrans("ACGT", "TGCA"))


def test_frames_equal_those_of_biopython():
    dna = "".join(np.random.default_rng(1).choice(list("ACGTN"), 997, p=[0.24, 0.24, 0.24, 0.24, 0.04]))
    # Biopython resolves a codon whose unknown base does not matter (CTN = L); here it is X.
    strands = [Seq(dna), Seq(dna).reverse_complement()]
    expected = [
        "".join(
            "X" if "N" in codon else str(codon.translate())
            for codon in (strand[first : first + 3] for first in range(shift, len(dna) - 2, 3))
        )
        for strand in strands
        for shift in range(3)
    ]
    assert six_frames(dna) == expected


@pytest.mark.parametrize("shift", [0, 1, 2])
@pytest.mark.parametrize("strand", ["forward", "reverse"])
def test_all_six_frames_are_read(shift, strand):
    dna = "C" * shift + GENE
    assert encodes_piece(dna if strand == "forward" else reverse_complement(dna), PROTEIN)


def test_rna_and_lower_case_are_read():
    assert encodes_piece(GENE.lower().replace("t", "u"), PROTEIN.lower())


@pytest.mark.parametrize("protein", ["MAKR", "MAKRHWLD", "WLD*", ""])
def test_fewer_than_five_residues_do_not_count(protein):
    assert not encodes_piece(GENE, protein)


def test_unknown_bases_do_not_match_unknown_residues():
    assert not encodes_piece("N" * 30, "X" * 10)


@pytest.mark.parametrize(("nucleotides", "residues", "pairs"), [(150, 50, 300), (600, 200, 200), (1500, 500, 100)])
def test_unrelated_sequences_of_any_length_rarely_match(nucleotides, residues, pairs):
    rng = np.random.default_rng(0)
    hits = sum(
        encodes_piece(
            "".join(rng.choice(list("ACGT"), nucleotides)), "".join(rng.choice(list("ACDEFGHIKLMNPQRSTVWY"), residues))
        )
        for _ in range(pairs)
    )
    assert hits <= 0.02 * pairs


def test_a_long_gene_encodes_its_protein_however_short_the_overlap():
    rng = np.random.default_rng(1)
    gene = "".join(
        rng.choice(
            [
                codon
                for codon in map("".join, itertools.product("ACGT", repeat=3))
                if codon not in ("TAA", "TAG", "TGA")
            ],
            500,
        )
    )
    protein = str(Seq(gene).translate())
    unrelated = "".join(rng.choice(list("ACDEFGHIKLMNPQRSTVWY"), 493))
    assert encodes_piece(gene, unrelated + protein[:7])
    assert not encodes_piece(gene, unrelated + protein[:6])


def pairs(*rows):
    return [PairRecord(str(number), *row) for number, row in enumerate(rows)]


def test_either_column_may_be_the_dna():
    assert encoding_fractions(pairs((PROTEIN, GENE, 1), (PROTEIN, GENE, 0), ("MHHHHH", GENE, 0))) == (0.5, 1.0)


def test_a_label_that_does_not_occur_has_no_fraction():
    assert encoding_fractions(pairs((GENE, PROTEIN, 1))) == (None, 1.0)


@pytest.mark.parametrize("pair", [("A cat sat.", "On a mat."), (GENE, GENE), (PROTEIN, PROTEIN), (GENE, "")])
def test_other_targets_are_left_alone(pair):
    assert encoding_fractions(pairs((*pair, 1))) == (None, None)


def test_a_stray_row_does_not_hide_the_alphabet():
    rows = [(GENE, PROTEIN, 1)] * 29 + [("header line", PROTEIN, 0)]
    assert encoding_fractions(pairs(*rows)) == (0.0, 1.0)


def test_no_rows_have_no_fractions():
    assert encoding_fractions([]) == (None, None)


def test_dna_with_ambiguity_letters_beside_short_peptides_is_dna_beside_protein():
    records = [PairRecord(str(label), "ATGGCTAAACGTTGGAARTAYCTGGCT", "MAKRWKYLA", label) for label in (0, 1)]
    assert encoding_fractions(records) == (1.0, 1.0)
