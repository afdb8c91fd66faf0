"""Letters of DNA and protein: what a column of texts holds, the other strand, the six reading frames."""

import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import Literal

SequenceKind = Literal["dna", "protein"]

NUCLEOTIDES = "ACGT"
AMBIGUITY_LETTERS = "RYSWKMBDHVN"
"""Letters for one of several nucleotides. Source: IUPAC, https://iubmb.qmul.ac.uk/misc/naseq.html."""

AMINO_ACIDS = "ACDEFGHIKLMNPQRSTVWYOUBJZX"
"""The 20 of the genetic code, pyrrolysine O, selenocysteine U, and B, J, Z, X for what is not known exactly.

Source: IUPAC, https://iubmb.qmul.ac.uk/misc/aminoacid.html.
"""
STOP, UNKNOWN_RESIDUE = "*", "X"

_COMPLEMENT = str.maketrans("ACGTURYSWKMBDHVNacgturyswkmbdhvn", "TGCAAYRSWMKVHDBNtgcaayrswmkvhdbn")
_NUCLEIC = frozenset(NUCLEOTIDES + "U" + AMBIGUITY_LETTERS)
_CERTAIN = frozenset(NUCLEOTIDES + "UN")  # N may be masked
_PROTEIC = frozenset(AMINO_ACIDS + STOP)
# Every ambiguity letter is an amino acid, too: of proteins' letters a quarter are among ACGTUN, of DNA nearly all.
_LEAST_CERTAIN = 0.8
# A stray row of another alphabet does not decide what a column is.
_LEAST_FRACTION_OF_ROWS = 0.95
# All letters of the alphabet name amino acids, so that every word is one: the shortest peptides in use have 8 residues.
_SHORTEST_PROTEIN = 8
# The standard code, codons in the order TTT, TTC, TTA, ... GGG. Source: NCBI translation table 1,
# https://www.ncbi.nlm.nih.gov/Taxonomy/Utils/wprintgc.cgi
_RESIDUES = "FFLLSSSSYY**CC*WLLLLPPPPHHQQRRRRIIIMTTTTNNKKSSRRVVVVAAAADDEEGGGG"
STANDARD_CODE: Mapping[str, str] = {
    "".join(codon): residue for codon, residue in zip(itertools.product("TCAG", repeat=3), _RESIDUES, strict=True)
}


def is_nucleic(text: str) -> bool:
    """Whether a text is DNA or RNA in either case: IUPAC's letters alone, at least four fifths among A, C, G, T, U, N.

    >>> is_nucleic("acgtrygcagt"), is_nucleic("ACGUN"), is_nucleic("MKVRS"), is_nucleic("")
    (True, True, False, False)
    """
    letters = text.upper()
    if not letters or not _NUCLEIC.issuperset(letters):
        return False
    return sum(letters.count(letter) for letter in _CERTAIN) >= _LEAST_CERTAIN * len(letters)


def is_proteic(text: str) -> bool:
    """Whether a text has letters of amino acids and stops alone, in either case, and is no DNA or RNA.

    >>> is_proteic("MKV*"), is_proteic("GATTACA"), is_proteic("a cat")
    (True, False, False)
    """
    return bool(text) and _PROTEIC.issuperset(text.upper()) and not is_nucleic(text)


def column_kind(column: Sequence[str]) -> SequenceKind | None:
    """Returns what at least 95 % of a column's texts are: DNA or RNA, proteins of 8 residues or more, or neither.

    >>> column_kind(["acgtn"]), column_kind(["MKVLAAGHT"]), column_kind(["a cat"]), column_kind(["fox"])
    ('dna', 'protein', None, None)
    """
    if _mostly(is_nucleic, column):
        return "dna"
    return "protein" if _mostly(lambda text: len(text) >= _SHORTEST_PROTEIN and is_proteic(text), column) else None


def column_kinds(first: Sequence[str], second: Sequence[str]) -> tuple[SequenceKind | None, SequenceKind | None]:
    """Returns what the two columns of pairs hold; beside DNA, proteins may be as short as they like.

    >>> column_kinds(["ATGGCT"], ["MA"]), column_kinds(["owl"], ["fox"])
    (('dna', 'protein'), (None, None))
    """
    kinds = column_kind(first), column_kind(second)
    if kinds == ("dna", None) and _mostly(is_proteic, second):
        return "dna", "protein"
    if kinds == (None, "dna") and _mostly(is_proteic, first):
        return "protein", "dna"
    return kinds


def reverse_complement(letters: str) -> str:
    """Returns the other strand of DNA or RNA, as DNA; ambiguity letters and case are kept.

    >>> reverse_complement("AACGRn")
    'nYCGTT'
    """
    return letters.translate(_COMPLEMENT)[::-1]


def six_frames(dna: str, code: Mapping[str, str] = STANDARD_CODE) -> list[str]:
    """Translates the three frames of a strand and the three of the other; X is a codon that is not in the code.

    Args:
      dna: DNA or RNA in either case.
      code: residue by codon, `*` for a stop.

    >>> six_frames("ATGGCT")
    ['MA', 'W', 'G', 'SH', 'A', 'P']
    """
    forward = dna.upper().replace("U", "T")
    return [
        "".join(code.get(strand[first : first + 3], UNKNOWN_RESIDUE) for first in range(shift, len(strand) - 2, 3))
        for strand in (forward, reverse_complement(forward))
        for shift in range(3)
    ]


def _mostly(test: Callable[[str], bool], column: Sequence[str]) -> bool:
    return bool(column) and sum(map(test, column)) >= _LEAST_FRACTION_OF_ROWS * len(column)
