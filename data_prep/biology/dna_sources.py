"""The regions of the files that `--query` and `--subject` name, and what a card says of these files."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from data_prep.biology.regions import Region, read_regions
from data_prep.tally import Tally
from data_prep.writer import describe_sources
from lingjax.errors import InputError


def read_dna(
    files: Mapping[str, Sequence[Path]], tally: Tally, *, regions: str, least_letters: int
) -> tuple[list[Region], list[Region], list[Mapping[str, object]]]:
    """Reads the regions to search for and to search in, and describes each file for a card.

    Args:
      files: those of the flags `query` and `subject`.
      tally, regions, least_letters: as `read_regions`.

    Raises:
      InputError: the files cannot be used, or no region is long enough.
    """
    paths = list(dict.fromkeys([*files["query"], *files["subject"]]))
    by_file = read_regions(paths, tally, regions=regions, least_letters=least_letters)
    regions_of = dict(zip(paths, by_file, strict=True))
    sides = [[region for path in files[flag] for region in regions_of[path]] for flag in ("query", "subject")]
    for flag, found in zip(("query", "subject"), sides, strict=True):
        if not found:
            raise InputError(
                f"--{flag}: no sequence has the {least_letters:,} letters of a text; give a lower --length"
            )
    described = [
        {
            **source,
            "accession": ", ".join(dict.fromkeys(region.record for region in found)),
            "organism": ", ".join(dict.fromkeys(region.organism for region in found)),
            "regions": len(found),
        }
        for source, found in zip(describe_sources(paths), by_file, strict=True)
    ]
    return *sides, [_shorten(source) for source in described]


def _shorten(source: Mapping[str, object], *, most: int = 200) -> dict[str, object]:
    """Returns a description without the names of the thousands of records that a FASTA file may hold."""
    return {
        key: value if not isinstance(value, str) or len(value) <= most else f"{value[:most].rpartition(', ')[0]}, ..."
        for key, value in source.items()
    }
