"""Dataset repositories of the Hugging Face hub: which files a subset consists of, and the files, from the hub's cache.

`HF_ENDPOINT`, `HF_HOME`, `HF_TOKEN` and the like are honoured, as anywhere.
"""

import dataclasses
import logging
import os
import re
from collections.abc import Callable, Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath
from typing import TypeVar

from data_prep.downloads.patience import TRANSIENT_STATUS, DownloadError, Patience, TransientError
from lingjax.errors import InputError, nearest, raise_problems
from lingjax.sealed import read_sealed, write_sealed

Result = TypeVar("Result")

DEFAULT_SPLIT = "train"
_EXTENSIONS = (".jsonl", ".ndjson", ".json", ".csv", ".tsv", ".parquet")
_CARD = "README.md"
_COMMIT = re.compile(r"[0-9a-f]{40}")
_SPLIT_WORDS = {
    "train": "train",
    "training": "train",
    "test": "test",
    "validation": "validation",
    "valid": "validation",
    "val": "validation",
    "dev": "validation",
}
_SHARD = re.compile(r"[-_.]\d+(-of-\d+)?$")
# Names of exceptions, as the hub's client is built on requests or on httpx, depending on its version.
_UNREACHABLE = ("ConnectError", "ConnectTimeout", "ProxyError")


@dataclasses.dataclass(frozen=True)
class HubFiles:
    """Files of a repository at one commit, by split; `licence` is what its card says, empty if nothing."""

    commit: str
    paths: Mapping[str, Sequence[Path]]
    licence: str


def fetch_subset(
    repo: str,
    subset: str | None,
    *,
    revision: str,
    notes: Path,
    offline: bool,
    splits: Sequence[str] | None = None,
    patience: Patience | None = None,
) -> HubFiles:
    """Returns the files of a subset, downloaded unless they are in the cache.

    A subset is a configuration of the repository's card, else a folder, else files named `SUBSET.json`,
    `SUBSET_test.csv` and the like.

    Args:
      repo: OWNER/NAME of a dataset repository.
      subset: its name; None if there is but one.
      revision: branch, tag or commit.
      notes: folder where the list of a repository's files is kept: what is in the hub's cache need not be all of them.
      offline: whether the cache must do.
      splits: those that are wanted; None for all.
      patience: with the hub.

    Raises:
      InputError: there is no such repository, revision, subset or split, or the hub does not give it.
    """
    if not re.fullmatch(r"[\w.-]+/[\w.-]+", repo):
        raise InputError(f"--repo={repo} is not OWNER/NAME, as in dnagpt/gene_lan_transfer")
    hub = _CachedHub(repo, revision, notes) if offline else _Hub(repo, revision, notes, patience or Patience())
    metadata = hub.read_card() if _CARD in hub.files else {}
    chosen = choose_files(hub.files, metadata.get("configs") or [], subset, repo=repo)
    problems = [f"no split '{split}'; {nearest(split, chosen)}" for split in splits or () if split not in chosen]
    raise_problems(f"--published_splits of {repo}", problems)
    chosen = {split: files for split, files in chosen.items() if splits is None or split in splits}
    licence = metadata.get("license") or ""
    return HubFiles(
        hub.commit,
        {split: [hub.fetch(file) for file in files] for split, files in chosen.items()},
        licence if isinstance(licence, str) else ", ".join(map(str, licence)),
    )


def choose_files(
    files: Sequence[str], configs: Sequence[Mapping], subset: str | None, *, repo: str
) -> dict[str, list[str]]:
    """Returns the files of a subset by split.

    Args:
      files: all files of the repository.
      configs: `configs` of the card's metadata.
      subset: its name, or None if there is but one.
      repo: for messages.

    Raises:
      InputError: there is no such subset, or more than one and none is named.

    Source: https://huggingface.co/docs/hub/datasets-manual-configuration
    """
    data = sorted(file for file in files if _extension(file) in _EXTENSIONS and not file.startswith("."))
    subsets = {str(config["config_name"]): _of_config(config, data) for config in configs if "config_name" in config}
    for file in data:
        folder = file.partition("/")[0] if "/" in file else _without_split(_stem(file))
        if not any(file in listed for by_split in subsets.values() for listed in by_split.values()):
            subsets.setdefault(folder, {}).setdefault(_guess_split(file), []).append(file)
    subsets = {name: by_split for name, by_split in subsets.items() if any(by_split.values())}
    if not subsets:
        raise InputError(f"--repo={repo} holds no data files; known are {', '.join(_EXTENSIONS)}, each also .gz")
    if subset is None:
        if len(subsets) > 1:
            raise InputError(
                f"--repo={repo} has several subsets; choose one with --subset: {', '.join(sorted(subsets))}"
            )
        return next(iter(subsets.values()))
    if subset not in subsets:
        raise InputError(f"--subset={subset} is not in {repo}; {nearest(subset, subsets)}")
    return subsets[subset]


class _Hub:
    """A repository as the hub has it now."""

    def __init__(self, repo: str, revision: str, notes: Path, patience: Patience):
        from huggingface_hub import HfApi

        # The client's own client tells of every request, and absl writes what it tells.
        for logger in ("httpx", "httpx2"):
            logging.getLogger(logger).setLevel(logging.WARNING)
        self._repo, self._patience = repo, patience
        # Given here, because the client reads the variable only when it is imported.
        self._api = HfApi(endpoint=os.environ.get("HF_ENDPOINT") or None)
        info = self._ask(lambda: self._api.dataset_info(repo, revision=revision, timeout=60), f"revision {revision}")
        self.commit = info.sha
        self.files = sorted(sibling.rfilename for sibling in info.siblings or [])
        for name in {revision, self.commit}:
            write_sealed(_note_path(notes, repo, name), {"commit": self.commit, "files": self.files})

    def fetch(self, file: str) -> Path:
        return Path(
            self._ask(
                lambda: self._api.hf_hub_download(self._repo, file, repo_type="dataset", revision=self.commit), file
            )
        )

    def read_card(self) -> dict:
        return _read_metadata(self.fetch(_CARD))

    def _ask(self, request: Callable[[], Result], what: str) -> Result:
        from huggingface_hub import errors

        def attempt() -> Result:
            try:
                return request()
            except (errors.RepositoryNotFoundError, errors.RevisionNotFoundError, errors.EntryNotFoundError) as error:
                if isinstance(error, errors.LocalEntryNotFoundError):
                    raise _classify(error.__cause__ or error, self._patience) from error
                raise DownloadError(f"there is no such dataset or {what}, or it needs a token") from error
            except (OSError, errors.HTTPError) as error:
                raise _classify(error, self._patience) from error

        try:
            return self._patience.persist(attempt)
        except DownloadError as error:
            raise InputError(
                f"cannot get {what} of {self._repo} from the hub: {error}; try again, or download the files elsewhere "
                f"(https://huggingface.co/datasets/{self._repo}) and give them to --dataset=pairs --source=FILES"
            ) from error


class _CachedHub:
    """A repository as far as the cache has it."""

    def __init__(self, repo: str, revision: str, notes: Path):
        from huggingface_hub import constants

        self._where = f"--repo={repo} at revision {revision}"
        self._advice = (
            f"in the hub's cache at {constants.HF_HUB_CACHE}; run once without --offline, "
            f"or fetch it with: hf download {repo} --repo-type dataset --revision {revision}"
        )
        note = _note_path(notes, repo, revision)
        folder = Path(constants.HF_HUB_CACHE) / f"datasets--{repo.replace('/', '--')}"
        reference = folder / "refs" / revision
        listed = read_sealed(note) if note.is_file() else {}
        self.commit = listed.get("commit") or (reference.read_text().strip() if reference.is_file() else revision)
        self._snapshot = folder / "snapshots" / self.commit
        if not _COMMIT.fullmatch(self.commit) or not self._snapshot.is_dir():
            raise InputError(f"{self._where} is not {self._advice}")
        # Without a list, the whole of it was fetched by other means.
        found = (path for path in self._snapshot.rglob("*") if path.is_file())
        self.files = listed.get("files") or sorted(path.relative_to(self._snapshot).as_posix() for path in found)

    def fetch(self, file: str) -> Path:
        if not (self._snapshot / file).is_file():
            raise InputError(f"{self._where}: {file} is not {self._advice}")
        return self._snapshot / file

    def read_card(self) -> dict:
        return _read_metadata(self.fetch(_CARD))


def _note_path(notes: Path, repo: str, revision: str) -> Path:
    return notes / f"{repo.replace('/', '--')}@{revision.replace('/', '--')}.json"


def _classify(error: BaseException, patience: Patience) -> DownloadError:
    response = getattr(error, "response", None)
    if response is not None:
        reason = f"the hub says {response.status_code}"
        if response.status_code not in TRANSIENT_STATUS:
            return DownloadError(reason)
        return TransientError(reason, pause_seconds=patience.read_retry_after(response.headers.get("Retry-After")))
    if type(error).__name__ in _UNREACHABLE:
        return DownloadError(f"it cannot be reached ({type(error).__name__}); is there a network?")
    return TransientError(f"the connection broke off ({type(error).__name__})")


def _read_metadata(path: Path) -> dict:
    from huggingface_hub import metadata_load

    try:
        return metadata_load(path) or {}
    except ValueError as error:
        raise InputError(f"{path} begins with metadata that cannot be read: {' '.join(str(error).split())}") from error


def _of_config(config: Mapping, data: Sequence[str]) -> dict[str, list[str]]:
    """Returns the files of a configuration: its `data_files` are a pattern, patterns, or patterns by split."""
    listed = config.get("data_files")
    folder = str(config.get("data_dir") or "").strip("/")
    if listed is None:
        by_split = {}
        for file in data:
            if folder and file.startswith(f"{folder}/"):
                by_split.setdefault(_guess_split(file), []).append(file)
        return by_split
    entries = listed if isinstance(listed, list) else [listed]
    by_split = {}
    for entry in entries:
        split, patterns = (entry.get("split"), entry.get("path")) if isinstance(entry, Mapping) else (None, entry)
        for pattern in patterns if isinstance(patterns, list) else [patterns]:
            whole = str(PurePosixPath(folder, str(pattern)))
            for file in data:
                if fnmatchcase(file, whole):
                    by_split.setdefault(split or _guess_split(file), []).append(file)
    return by_split


def _extension(file: str) -> str:
    return PurePosixPath(file.lower().removesuffix(".gz")).suffix


def _stem(file: str) -> str:
    return PurePosixPath(file.removesuffix(".gz")).stem


def _without_split(stem: str) -> str:
    """Leaves off the number of a shard and the word for a split: `x_test-00000-of-00001` is of `x`."""
    plain = _SHARD.sub("", stem)
    before, _, word = plain.replace("-", "_").replace(".", "_").rpartition("_")
    return plain[: len(before)] if before and word.lower() in _SPLIT_WORDS else plain


def _guess_split(file: str) -> str:
    """Returns the split that a file's name, or the folder it is in, says by a usual word."""
    words = re.split(r"[-_./]", f"{PurePosixPath(file).parent}/{_SHARD.sub('', _stem(file))}".lower())
    return next((_SPLIT_WORDS[word] for word in reversed(words) if word in _SPLIT_WORDS), DEFAULT_SPLIT)
