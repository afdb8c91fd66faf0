"""Sources that are downloaded, checked and kept: by name, as `nuccore:NC_004829.1`, by address, or from the hub."""

from data_prep.downloads.cache import Addresses, Cache, Wanted, describe_file
from data_prep.downloads.fetch import Expected, Received, fetch
from data_prep.downloads.hub import HubFiles, fetch_subset
from data_prep.downloads.names import ask_for, is_name
from data_prep.downloads.patience import DownloadError, Patience

__all__ = [
    "Addresses",
    "Cache",
    "DownloadError",
    "Expected",
    "HubFiles",
    "Patience",
    "Received",
    "Wanted",
    "ask_for",
    "describe_file",
    "fetch",
    "fetch_subset",
    "is_name",
]
