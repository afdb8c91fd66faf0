"""Makes coding DNA and protein of one CDS feature of a GenBank record, or says why it cannot be trusted."""

import dataclasses
import re
from typing import TYPE_CHECKING

from data_prep.formats import locations
from data_prep.formats.locations import Segment
from data_prep.genetic_codes import STANDARD_TABLE, GeneticCode, find_code
from lingjax.alphabets import NUCLEOTIDES, STOP, UNKNOWN_RESIDUE

if TYPE_CHECKING:
    from Bio.SeqFeature import SeqFeature

_NUCLEOTIDES = frozenset(NUCLEOTIDES)
# As in "(pos:complement(213..215),aa:Sec)": https://www.insdc.org/submitting-standards/feature-table/#7.4
_EXCEPTION = re.compile(r"\(\s*pos:(?P<places>[^:]*?)\s*,\s*aa:\s*(?P<residue>\w+)\s*\)")


class UnusableError(Exception):
    """A feature gives no gene; the text names what such features are called in counts."""


@dataclasses.dataclass(frozen=True, slots=True)
class Coding:
    """What a feature codes for; the attributes are those of `data_prep.formats.genes.Gene`, `letters` its `coding`."""

    segments: tuple[Segment, ...]
    letters: str
    protein: str
    table: int
    has_start: bool
    exceptions: frozenset[int]


def read_coding(feature: "SeqFeature", letters: str) -> Coding:
    """Splices and translates a feature and compares the result with its /translation; nothing is guessed.

    Args:
      feature: a CDS.
      letters: those of its record, in upper case and with T for U.

    Raises:
      UnusableError: the feature is a pseudo gene, cannot be read, or is not what its /translation says.
    """
    if "pseudo" in feature.qualifiers or "pseudogene" in feature.qualifiers:
        raise UnusableError("pseudo genes")
    segments, complete_start = _read_location(feature, len(letters))
    if "translation" not in feature.qualifiers:
        raise UnusableError("genes without /translation")
    table = _read_number(feature, "transl_table", default=STANDARD_TABLE)
    code = find_code(table)
    if code is None:
        raise UnusableError("genes with an unknown /transl_table")
    skipped = _read_number(feature, "codon_start", default=1) - 1
    if skipped not in range(3):
        raise UnusableError("genes whose /codon_start is not 1, 2 or 3")
    exceptions = _read_exceptions(feature, segments, skipped)
    spliced = locations.splice(letters, segments)[skipped:]
    whole = spliced[: len(spliced) // 3 * 3]
    if not whole:
        raise UnusableError("genes shorter than a codon")
    if not _NUCLEOTIDES.issuperset(whole):
        raise UnusableError("genes with ambiguous letters")
    has_start = complete_start and not skipped and whole[:3] in code.starts
    residues = list(code.translate(whole))
    if has_start:
        residues[0] = "M"
    # A stop codon that the poly-A tail completes is beyond the whole codons.
    exceptions = {number: residue for number, residue in exceptions.items() if number < len(residues)}
    for number, residue in exceptions.items():
        residues[number] = residue
    translated = "".join(residues)
    # The stop, which most annotation leaves out, is no part of a protein.
    given = "".join(feature.qualifiers["translation"][0].split()).upper().removesuffix(STOP)
    protein = _agree(translated, given, code, last_codon=whole[-3:], rest=spliced[len(whole) :])
    if not protein:
        raise UnusableError(_describe_difference(feature, translated, given))
    return Coding(
        segments=tuple(locations.cut(segments, skipped, skipped + len(whole))),
        letters=whole,
        protein=protein,
        table=table,
        has_start=has_start,
        exceptions=frozenset(exceptions),
    )


def _read_location(feature: "SeqFeature", record_length: int) -> tuple[tuple[Segment, ...], bool]:
    """Returns where a feature lies, and whether its 5' end is complete."""
    from Bio.SeqFeature import AfterPosition, BeforePosition, ExactPosition

    if feature.location is None:
        raise UnusableError("genes whose location cannot be read")
    parts = feature.location.parts or [feature.location]
    if any(part.ref is not None for part in parts):
        raise UnusableError("genes with a part on another record")
    if getattr(feature.location, "operator", "join") != "join":
        raise UnusableError("genes whose parts are in order but not joined")
    if any(part.strand not in (1, -1) for part in parts):
        raise UnusableError("genes without a strand")
    # Transcription runs through the bounds from the first to the last; only these two may lie beyond what is known.
    bounds, outward = [], {1: (BeforePosition, AfterPosition), -1: (AfterPosition, BeforePosition)}
    for part in parts:
        bounds += [part.start, part.end][:: part.strand]
    partial = []
    for number, (bound, kind) in enumerate([(bounds[0], 0), (bounds[-1], 1)]):
        partial.append(isinstance(bound, outward[parts[-number].strand][kind]))
    inner = bounds[1 if partial[0] else 0 : -1 if partial[1] else None]
    if not all(isinstance(bound, ExactPosition) for bound in inner):
        raise UnusableError("genes without an exact location")
    if any(not 0 <= int(part.start) < int(part.end) for part in parts):
        raise UnusableError("genes with an empty part")
    if any(int(part.end) > record_length for part in parts):
        raise UnusableError("genes that reach beyond the end of their record")
    return tuple(Segment(int(part.start), int(part.end), part.strand) for part in parts), not partial[0]


def _read_number(feature: "SeqFeature", qualifier: str, *, default: int) -> int:
    """Returns the value of a qualifier, -1 if it is not a number."""
    value = str(feature.qualifiers.get(qualifier, [default])[0]).strip()
    return int(value) if value.isascii() and value.isdigit() else -1


def _read_exceptions(feature: "SeqFeature", segments: tuple[Segment, ...], skipped: int) -> dict[int, str]:
    """Returns the residue of each codon, by number, that is not translated by the genetic code."""
    from Bio.Data.IUPACData import protein_letters_3to1_extended

    known = {**protein_letters_3to1_extended, "OTHER": UNKNOWN_RESIDUE, "TERM": STOP}
    exceptions = {}
    for text in feature.qualifiers.get("transl_except", []):
        found = _EXCEPTION.fullmatch("".join(text.split()))
        places = [int(number) - 1 for number in re.findall(r"\d+", found["places"])] if found else []
        offsets = [offset for place in places if (offset := _find_offset(segments, place)) is not None]
        if not offsets or len(offsets) < len(places) or found["residue"] not in known:
            raise UnusableError("genes whose /transl_except cannot be read")
        number, within = divmod(min(offsets) - skipped, 3)
        if number < 0 or within:
            raise UnusableError("genes whose /transl_except cannot be read")
        exceptions[number] = known[found["residue"]]
    return exceptions


def _find_offset(segments: tuple[Segment, ...], place: int) -> int | None:
    """Returns the number of a record's letter in what segments read, None if they do not read it."""
    done = 0
    for first, last, strand in segments:
        if first <= place < last:
            return done + (place - first if strand == 1 else last - 1 - place)
        done += last - first
    return None


def _agree(translated: str, given: str, code: GeneticCode, *, last_codon: str, rest: str) -> str:
    """Returns the protein of whole codons, without its stop, if that is what /translation gives; "" otherwise."""
    protein = translated.removesuffix(STOP)
    # Some codes read one codon as a residue and, at the end, as a stop.
    if last_codon in code.stops and given == translated[:-1]:
        protein = translated[:-1]
    # Two letters at an incomplete end may settle the residue of their codon, and then it is given.
    if len(rest) == 2 and given[:-1] == protein == translated:
        endings = {code.translate(rest + letter) for letter in "ACGT"}
        return protein if endings == {given[-1:]} else ""
    return protein if given == protein and STOP not in protein else ""


def _describe_difference(feature: "SeqFeature", translated: str, given: str) -> str:
    beginning = "genes not translated as given"
    if "exception" in feature.qualifiers:
        return f"{beginning}: {feature.qualifiers['exception'][0]}"
    for qualifier, words in (("ribosomal_slippage", "ribosomal slippage"), ("trans_splicing", "trans-splicing")):
        if qualifier in feature.qualifiers:
            return f"{beginning}: {words} that the location does not show"
    if STOP in translated.removesuffix(STOP):
        return f"{beginning}: a stop codon inside"
    if len(translated.removesuffix(STOP)) != len(given):
        return f"{beginning}: another length"
    return f"{beginning}: other residues"
