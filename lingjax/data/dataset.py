"""Dataset folders: what a command-line reference names, and its pairs as a random-access sequence."""

import dataclasses
import functools
import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import SupportsIndex

import numpy as np
from etils import epath

from lingjax.data.tfrecord import TFRecordSource, parse_example
from lingjax.errors import InputError, nearest
from lingjax.files import is_in_bucket, read_object
from lingjax.sealed import read_sealed

_VERSION = re.compile(r"(\d+)\.(\d+)\.(\d+)")
_SHARD = re.compile(r"-(\d{5})-of-(\d{5})$")
_VALID_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")


def is_valid_name(name: object) -> bool:
    """Says whether a dataset or a split may be called so; names become those of files.

    TFDS's own rule: '-' separates the name from the split there.

    >>> is_valid_name("dna_pairs"), is_valid_name("../dna"), is_valid_name("=1+1")
    (True, False, False)
    """
    return isinstance(name, str) and bool(_VALID_NAME.fullmatch(name))


def fingerprint_records(payloads: Iterable[bytes]) -> str:
    """Returns the SHA-256, in hexadecimal, of records in their order.

    Each record enters with its length (8 bytes, little-endian), so that moving a byte to the next record shows.
    """
    digest = hashlib.sha256()
    for payload in payloads:
        digest.update(len(payload).to_bytes(8, "little"))
        digest.update(payload)
    return digest.hexdigest()


def hash_fraction(key: str, *, seed: int) -> float:
    """Returns a number in [0, 1) that depends on nothing but the key and the seed, for splits that never move.

    >>> hash_fraction("pair-1", seed=0)
    0.969139340050321
    """
    digest = hashlib.sha256(f"{seed}:{key}".encode()).digest()
    return (int.from_bytes(digest[:8], "big") >> 11) / 2**53  # 53 bits: more would round up to 1.0


@dataclasses.dataclass(frozen=True)
class DatasetSplit:
    """One split of a dataset folder in TFDS layout.

    Attributes:
      path: the folder, version included.
      name: the dataset's name, as its files carry it.
      split: for example "train".
      fingerprint: `fingerprint_records` of the split, as written when it was built.
      rows: number of records.
      info: the content of `lingjax.json`.
    """

    path: epath.Path
    name: str
    split: str
    fingerprint: str
    rows: int
    info: dict

    def shard_paths(self) -> list[epath.Path]:
        """Returns the split's files in order.

        Raises:
          InputError: there are none, or some are missing.
        """
        prefix = f"{self.name}-{self.split}.tfrecord"
        found = ((path, _SHARD.search(path.name)) for path in sorted(self.path.iterdir()))
        shards = [(path, match) for path, match in found if match and path.name[: match.start()] == prefix]
        if not shards:
            raise InputError(f"{self.path}: no files {prefix}-*; build the dataset again")
        total = len(self.written) if self.written is not None else int(shards[0][1][2])
        if [match.groups() for _, match in shards] != [(f"{shard:05d}", f"{total:05d}") for shard in range(total)]:
            raise InputError(f"{self.path}: found {len(shards)} files {prefix}-*, expected {total}; build it again")
        return [path for path, _ in shards]

    @property
    def written(self) -> list[dict] | None:
        """What `lingjax.json` says of each shard; None in cards of older versions."""
        return self.info["splits"][self.split].get("shards")

    def open_records(self) -> TFRecordSource:
        """Returns the split's records, which are held to what `lingjax.json` says of every shard.

        Raises:
          InputError: shards are missing, damaged, or not those that were written; also from reading a record.
        """
        return TFRecordSource(self.shard_paths(), self.written)


def _version_folder(folder: epath.Path) -> epath.Path:
    """Returns the folder itself if it holds data, otherwise its newest version."""
    if (folder / "lingjax.json").exists():
        return folder
    if folder.exists() and not folder.is_dir():
        raise InputError(
            f"{folder}: is a file, where a dataset folder is needed; make one of it with python -m data_prep.build "
            f"--dataset=pairs --name=NAME --source={folder} --data_dir=DIR"
        )
    if not folder.is_dir():
        siblings = _datasets_in(folder.parent) if folder.parent.is_dir() else []
        hint = f"; {nearest(folder.name, siblings)}" if siblings else ""
        raise InputError(f"{folder}: no such dataset folder{hint}")
    versions = _versions(folder)
    if not versions:
        raise InputError(
            f"{folder}: not a dataset folder (no lingjax.json here or in a version below); make one with "
            "python -m data_prep.build"
        )
    return max(versions, key=lambda path: tuple(int(part) for part in path.name.split(".")))


def _versions(folder: epath.Path) -> list[epath.Path]:
    return [path for path in folder.iterdir() if _VERSION.fullmatch(path.name) and (path / "lingjax.json").exists()]


def _datasets_in(folder: epath.Path) -> list[str]:
    """The names of a folder's datasets, for an error that proposes one."""
    return [
        path.name
        for path in folder.iterdir()
        if path.is_dir() and ((path / "lingjax.json").exists() or _versions(path))
    ]


def split_reference(reference: str) -> tuple[str, str]:
    """Parts a dataset reference into its path and the split that it names, empty where it names none.

    What is a folder as a whole names no split.

    >>> split_reference("data/paws@test"), split_reference("me@host/paws")
    (('data/paws', 'test'), ('me@host/paws', ''))
    """
    path, separator, split = reference.rpartition("@")
    if separator and not is_in_bucket(reference) and epath.Path(reference).is_dir():
        if epath.Path(path).is_dir():
            raise InputError(
                f"{reference}: is a folder, and {path} is one too, so that a split may be meant; name the split, as in "
                f"{reference}@train"
            )
        return reference, ""
    return (path, split) if separator and "/" not in split else (reference, "")


def open_split(reference: str, *, default: Sequence[str]) -> DatasetSplit:
    """Opens a dataset reference: `PATH` or `PATH@SPLIT`, where PATH is DATA_DIR/NAME or DATA_DIR/NAME/VERSION.

    Args:
      reference: local path or bucket; the newest version is taken if it names none.
      default: splits to take if the reference names none, the first that exists; failing that, a dataset's only split.

    Raises:
      InputError: there is no such folder or split, or the reference leaves open which split is meant.
    """
    path, split = split_reference(reference)
    folder = _version_folder(epath.Path(path))
    info = read_sealed(folder / "lingjax.json")
    splits = info.get("splits", {})
    if not isinstance(splits, dict) or not all(isinstance(each, dict) for each in splits.values()):
        raise InputError(f"{folder / 'lingjax.json'}: its splits are no JSON objects; build the dataset again")
    if not splits:
        raise InputError(f"{folder / 'lingjax.json'}: lists no splits; build the dataset again")
    if split and split not in splits:
        raise InputError(f"{folder}: no split '{split}'; {nearest(split, splits)}")
    if not split:
        split = next((name for name in default if name in splits), next(iter(splits)) if len(splits) == 1 else "")
    if not split:
        raise InputError(f"{folder}: which split? Name one as {path}@SPLIT; it has: {', '.join(sorted(splits))}")
    try:
        name = read_object(folder / "dataset_info.json")["name"]
        fingerprint, rows = splits[split]["fingerprint"], splits[split]["rows"]
    except KeyError as error:
        raise InputError(
            f"{folder}: dataset_info.json or lingjax.json lacks {error}; build the dataset again"
        ) from error
    if not isinstance(fingerprint, str) or not isinstance(rows, int):
        raise InputError(f"{folder / 'lingjax.json'}: rows and fingerprint of '{split}' are not a number and a text")
    for what, value in (("dataset", name), ("split", split)):
        if not is_valid_name(value):
            raise InputError(
                f"{folder}: a {what} cannot be called {value!r}; names begin with a letter and hold only letters, "
                "digits and underscores"
            )
    return DatasetSplit(path=folder, name=name, split=split, fingerprint=fingerprint, rows=rows, info=info)


@dataclasses.dataclass(frozen=True, slots=True)
class PairRecord:
    """Two texts and whether they are similar (1) or not (0).

    `group` names where the pair is from, as its dataset says: pairs of one article, gene or file hang together. Empty
    where it does not say.
    """

    pair_id: str
    sentence1: str
    sentence2: str
    label: int
    group: str = ""


# The first of these that a record has is its group: as the user named it, the cluster of homologs, the source.
_GROUP_FEATURES = ("group", "cluster", "source")


class PairSource(Sequence[PairRecord]):
    """The pairs of a split, read at random; picklable and thread-safe.

    Raises:
      InputError: the split holds no pairs, its files are missing or damaged, or a record has not the fields of a pair;
        the message names the file and the record.
    """

    def __init__(self, split: DatasetSplit):
        kind = split.info.get("kind")
        if kind != "pairs":
            raise InputError(f"{split.path}: holds {kind}, where pairs are needed (sentence1, sentence2, label)")
        counts = split.info["splits"][split.split].get("label_counts")
        if not isinstance(counts, dict) or {*counts} != {"0", "1"} or sum(counts.values()) != split.rows:
            raise InputError(
                f"{split.path / 'lingjax.json'}: the label_counts of '{split.split}' are {counts}, not those of "
                f"{split.rows} rows; build the dataset again"
            )
        self.split = split
        self._records = split.open_records()
        if len(self._records) != split.rows:
            raise InputError(
                f"{split.path}: split '{split.split}' has {len(self._records)} records, "
                f"lingjax.json says {split.rows}; build the dataset again"
            )

    def __len__(self) -> int:
        return len(self._records)

    @property
    def label_counts(self) -> dict[str, int]:
        """Rows of each label, keyed as in `lingjax.json` and in reports: "0" and "1"."""
        return dict(self.split.info["splits"][self.split.split]["label_counts"])

    def __getitem__(self, number: SupportsIndex) -> PairRecord:
        record = self._records[number]
        try:
            features = parse_example(record)
            (pair_id,), (sentence1,) = features["pair_id"], features["sentence1"]
            (sentence2,), (label,) = features["sentence2"], features["label"]
            if label not in (0, 1):
                raise InputError(f"label is {label}, expected 0 or 1")
            group = next((features[name][0] for name in _GROUP_FEATURES if features.get(name)), b"")
            return PairRecord(pair_id.decode(), sentence1.decode(), sentence2.decode(), label, group.decode())
        except (KeyError, ValueError, AttributeError) as error:
            reason = f"feature {error} is missing" if isinstance(error, KeyError) else error
            raise InputError(f"{self._records.locate(number)} is no pair: {reason}") from error


class SubsetSource(Sequence[PairRecord]):
    """Some rows of another source, in a given order."""

    def __init__(self, source: Sequence[PairRecord], row_numbers: Sequence[int] | np.ndarray):
        self._source = source
        self._row_numbers = np.asarray(row_numbers, np.int64)

    def __len__(self) -> int:
        return len(self._row_numbers)

    def __getitem__(self, number: SupportsIndex) -> PairRecord:
        return self._source[int(self._row_numbers[number])]

    @functools.cached_property
    def label_counts(self) -> dict[str, int]:
        """Rows of each label, as `PairSource.label_counts`; counted by reading the subset once."""
        counts = Counter(record.label for record in self)
        return {"0": counts[0], "1": counts[1]}


def split_by_hash(source: Sequence[PairRecord], *, fraction: float, seed: int) -> tuple[SubsetSource, SubsetSource]:
    """Divides a source into (rest, held out), for a dev set carved from training data.

    A pair's side depends only on its `pair_id` and the seed, not on the other rows, so it stays when rows are added.

    Args:
      source: read once.
      fraction: expected share of held-out rows, between 0 and 1.

    Raises:
      InputError: the fraction is out of range, or leaves one side without rows.
    """
    if not 0 < fraction < 1:
        raise InputError(f"the held-out fraction is {fraction}; it must lie between 0 and 1")
    held_out = np.array([hash_fraction(record.pair_id, seed=seed) < fraction for record in source], bool)
    if held_out.all() or not held_out.any():
        raise InputError(f"holding out {fraction} of {len(source)} rows leaves one side empty; use more rows")
    return SubsetSource(source, np.flatnonzero(~held_out)), SubsetSource(source, np.flatnonzero(held_out))
