"""What one document of each domain is, and how it is read; the fields of a reader are the flags of its domain."""

import dataclasses
from collections.abc import Mapping

from data_prep.documents.dna import DnaReader
from data_prep.documents.document import Document
from data_prep.documents.english import EnglishReader
from data_prep.documents.protein import ProteinReader
from lingjax.errors import InputError, nearest, raise_problems

__all__ = ["READERS", "Document", "Reader", "make_reader"]

Reader = EnglishReader | DnaReader | ProteinReader
READERS: dict[str, type[Reader]] = {"english": EnglishReader, "dna": DnaReader, "protein": ProteinReader}


def make_reader(domain: str, given: Mapping[str, object]) -> Reader:
    """Returns the reader of a domain.

    Args:
      domain: one of `READERS`.
      given: the flags that were given, among those of all domains.

    Raises:
      InputError: the domain is unknown, or a flag is not one of its own or out of range.
    """
    if domain not in READERS:
        raise InputError(f"--domain={domain} is unknown; {nearest(domain, READERS)}")
    users = {
        flag: [other for other, reader in READERS.items() if flag in _flags(reader)]
        for flag in given
        if flag not in _flags(READERS[domain])
    }
    raise_problems(
        f"--domain={domain}", [f"--{flag} is for --domain={' or '.join(others)}" for flag, others in users.items()]
    )
    return READERS[domain](**given)


def _flags(reader: type[Reader]) -> list[str]:
    return [field.name for field in dataclasses.fields(reader)]
