"""Where a text lies on the letters of a record: segments in the order in which they are read."""

from collections.abc import Sequence
from typing import NamedTuple

from lingjax.alphabets import reverse_complement


class Segment(NamedTuple):
    """Letters `first` to `last`, from 0 and without the last, read on strand 1 or, as reverse complement, -1."""

    first: int
    last: int
    strand: int


def splice(letters: str, segments: Sequence[Segment]) -> str:
    """Returns what segments of a record read, end to end.

    >>> splice("AACCGGTT", [Segment(4, 7, -1), Segment(0, 2, -1)])
    'ACCTT'
    """
    pieces = []
    for first, last, strand in segments:
        piece = letters[first:last]
        pieces.append(piece if strand == 1 else reverse_complement(piece))
    return "".join(pieces)


def cut(segments: Sequence[Segment], first: int, last: int) -> list[Segment]:
    """Returns the segments of letters `first` to `last` of what they read; those that touch are joined.

    >>> cut([Segment(10, 20, 1), Segment(30, 40, 1)], 8, 12)
    [Segment(first=18, last=20, strand=1), Segment(first=30, last=32, strand=1)]
    """
    pieces, done = [], 0
    for segment in segments:
        size = segment.last - segment.first
        skipped, taken = max(first - done, 0), min(last - done, size)
        done += size
        if skipped >= taken:
            continue
        if segment.strand == 1:
            piece = Segment(segment.first + skipped, segment.first + taken, 1)
            touches = pieces and pieces[-1].strand == 1 and pieces[-1].last == piece.first
            joined = Segment(pieces[-1].first, piece.last, 1) if touches else piece
        else:
            piece = Segment(segment.last - taken, segment.last - skipped, -1)
            touches = pieces and pieces[-1].strand == -1 and pieces[-1].first == piece.last
            joined = Segment(piece.first, pieces[-1].last, -1) if touches else piece
        pieces[-1 if touches else len(pieces) :] = [joined]
    return pieces


def reverse(segments: Sequence[Segment]) -> list[Segment]:
    """Returns the segments that read the reverse complement."""
    return [Segment(first, last, -strand) for first, last, strand in reversed(segments)]


def before(segments: Sequence[Segment], count: int, *, record_length: int, circular: bool) -> list[Segment]:
    """Returns the segments of the letters that lead up to the first; fewer where a record that is no circle begins."""
    edge = segments[0].first if segments[0].strand == 1 else segments[0].last
    if segments[0].strand == 1:
        found = [Segment(max(edge - count, 0), edge, 1)]
        if circular and edge < count:
            found = [Segment(max(record_length - count + edge, edge), record_length, 1), *found]
    else:
        found = [Segment(edge, min(edge + count, record_length), -1)]
        if circular and edge + count > record_length:
            found = [Segment(0, min(edge + count - record_length, edge), -1), *found]
    return [segment for segment in found if segment.first < segment.last]


def describe(record: str, segments: Sequence[Segment]) -> str:
    """Returns a text such as "a:1-50,80-120(-)": ascending, as in GenBank's complement(join(1..50,80..120)).

    Segments of both strands, as in trans-splicing, stand in reading order with a strand each.

    >>> describe("a", [Segment(79, 120, -1), Segment(0, 50, -1)])
    'a:1-50,80-120(-)'
    >>> describe("a", [Segment(0, 9, -1), Segment(19, 30, 1)])
    'a:1-9(-),20-30(+)'
    """
    signs = {1: "(+)", -1: "(-)"}
    strands = {segment.strand for segment in segments}
    if len(strands) > 1:
        return f"{record}:" + ",".join(f"{first + 1}-{last}{signs[strand]}" for first, last, strand in segments)
    (strand,) = strands
    ascending = segments if strand == 1 else list(reversed(segments))
    return f"{record}:" + ",".join(f"{first + 1}-{last}" for first, last, _ in ascending) + signs[strand]


def overlap(segments: Sequence[Segment], others: Sequence[Segment]) -> bool:
    """Tells whether two places of one record share a letter, on whichever strand."""
    return any(piece.first < other.last and other.first < piece.last for piece in segments for other in others)
