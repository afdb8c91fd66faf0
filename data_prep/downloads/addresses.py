"""Where the databases are; environment variables name mirrors instead."""

import dataclasses
import os
from collections.abc import Mapping


@dataclasses.dataclass(frozen=True)
class Addresses:
    """Base addresses without a closing slash.

    Attributes:
      eutils: NCBI's E-utilities, with `efetch.fcgi` below it.
      genomes: NCBI's genomes, with `GCF/000/286/675/` below it.
      uniprot_files: UniProt's releases, with `current_release/` and `previous_releases/` below it.
      uniprot_entries: single entries of UniProtKB, with `P04637.fasta` below it.
    """

    eutils: str = "https://eutils.ncbi.nlm.nih.gov/entrez/eutils"
    genomes: str = "https://ftp.ncbi.nlm.nih.gov/genomes/all"
    uniprot_files: str = "https://ftp.uniprot.org/pub/databases/uniprot"
    uniprot_entries: str = "https://rest.uniprot.org/uniprotkb"

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] | None = None) -> "Addresses":
        """Returns the official addresses, or what `NCBI_EUTILS_URL` and the like give in their stead."""
        environment = os.environ if environment is None else environment
        variables = {
            "eutils": "NCBI_EUTILS_URL",
            "genomes": "NCBI_GENOMES_URL",
            "uniprot_files": "UNIPROT_FILES_URL",
            "uniprot_entries": "UNIPROT_ENTRIES_URL",
        }
        given = {field: environment.get(variable, "").rstrip("/") for field, variable in variables.items()}
        return cls(**{field: address for field, address in given.items() if address})
