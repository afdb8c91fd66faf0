"""Names of sources: DATABASE:ENTRY."""

import re

from data_prep.downloads.assemblies import want_assembly
from data_prep.downloads.cache import Cache, Wanted
from data_prep.downloads.entrez import want_record
from data_prep.downloads.uniprot import CURRENT, want_entry, want_swissprot
from lingjax.errors import InputError

_NAME = re.compile(r"(nuccore|assembly|uniprot):(.*)")
_NUCCORE = re.compile(r"(?=[A-Z])([A-Z]{2}_)?[A-Z]{0,6}\d{5,13}(\.\d+)?")  # as M12345, NC_004829.1, NZ_CP012345.1
_ASSEMBLY = re.compile(r"GC[AF]_\d{9}\.\d+")
_SWISSPROT = re.compile(rf"swissprot@({CURRENT}|\d{{4}}_\d\d)")
# Source: https://www.uniprot.org/help/accession_numbers
_ENTRY = re.compile(r"[OPQ][0-9][A-Z0-9]{3}[0-9]|[A-NR-Z][0-9]([A-Z][A-Z0-9]{2}[0-9]){1,2}")


def is_name(text: str) -> bool:
    """Tells the name of a source from a path.

    >>> is_name("nuccore:NC_004829.1"), is_name("genomes/NC_004829.gbk")
    (True, False)
    """
    return _NAME.fullmatch(text) is not None


def ask_for(name: str, cache: Cache) -> Wanted:
    """Returns what a name stands for.

    Raises:
      InputError: the database has no such names.
    """
    database, entry = _NAME.fullmatch(name).groups()
    if database == "uniprot" and (match := _SWISSPROT.fullmatch(entry)):
        return want_swissprot(name, match[1], cache)
    accession = entry.strip().upper()
    pattern, want, example = {
        "nuccore": (_NUCCORE, want_record, "nuccore:NC_004829.1"),
        "assembly": (_ASSEMBLY, want_assembly, "assembly:GCF_000286675.1"),
        "uniprot": (_ENTRY, want_entry, "uniprot:P04637 or uniprot:swissprot@2025_03"),
    }[database]
    if not pattern.fullmatch(accession):
        raise InputError(f"{name} is no name of this database; expected something like {example}")
    return want(name, accession, cache)
