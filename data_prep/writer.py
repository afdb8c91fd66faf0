"""Writes a dataset folder in TFDS layout: `DATA_DIR/NAME/VERSION/` with shards, TFDS's JSON files and `lingjax.json`.

TFDS encodes the records and describes the folder, but the shards are framed here: TFDS frames them through tensorflow,
whose import takes longer than writing most datasets.
"""

import dataclasses
import hashlib
import os
import shutil
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from data_prep.atomic_folder import clean_up_after_killed_runs, incomplete_folder, put_in_place
from data_prep.features import describe_features, make_serializer
from data_prep.shards import SHARD_BYTES, Shard, name_shards, write_shards
from lingjax.data import TFRecordSource, describe_shard, fingerprint_records, is_valid_name
from lingjax.errors import InputError
from lingjax.sealed import read_sealed, write_sealed

VERSION = "1.0.0"
METADATA_NAME = "lingjax.json"


def find_built(
    data_dir: Path | str, name: str, request: Mapping[str, object], *, overwrite: bool = False
) -> Path | None:
    """Returns the folder of a dataset that was built by the same request, and says so; None if it has to be built.

    Args:
      data_dir: folder of all datasets.
      name: the dataset's name.
      request: everything that decides the content, as JSON values; compared with what `lingjax.json` holds.
      overwrite: whether a dataset built by another request may be replaced.

    Raises:
      InputError: the dataset exists, was built by another request, and `overwrite` is false; or the name is not usable.
    """
    _check_names(name, [])
    clean_up_after_killed_runs(_local(data_dir))
    folder = _local(data_dir) / name / VERSION
    if not folder.exists():
        return None
    metadata = _read_metadata(folder)
    changed = sorted(key for key, value in request.items() if metadata.get(key) != value)
    if not changed:
        sys.stdout.write(f"{folder} exists and was built from the same input; nothing to do\n")
        return folder
    if overwrite:
        return None
    raise InputError(
        f"{folder} exists and was built from other input (other {', '.join(changed)}); "
        "choose another --name, or replace it with --overwrite"
    )


def write_dataset(
    data_dir: Path | str,
    name: str,
    splits: Mapping[str, Iterable[Mapping[str, object]]],
    *,
    kind: str,
    description: str,
    request: Mapping[str, object],
    info: Mapping[str, object] | None = None,
    optional: Sequence[str] = (),
    beside: Callable[[Path], None] | None = None,
    overwrite: bool = False,
    shard_bytes: int = SHARD_BYTES,
) -> Path:
    """Writes all splits of a dataset and returns its version folder.

    The same arguments give the same bytes. Records are streamed, never held together, and keep their order.

    Args:
      data_dir: folder of all datasets; made if need be.
      name: the dataset's name: letters, digits and underscores.
      splits: the records of each split, as dictionaries with exactly the features of `kind`.
      kind: "pairs", "corpus" or "packed"; decides the features.
      description: one sentence for TFDS's dataset_info.json.
      request: everything that decides the content; goes to `lingjax.json`, where `find_built` compares it.
      info: results that decide nothing, such as counts of dropped rows; goes to `lingjax.json` too.
      optional: which optional features of `kind` every record has, as `data_prep.features`.
      beside: writes further files into the folder, such as a card, before it is put in place.
      overwrite: whether an existing folder is replaced.
      shard_bytes: a shard is closed when its records reach this size.

    Raises:
      InputError: a split has no records, the folder exists, another run writes it now, or the disk refuses.
    """

    def fill(folder: Path) -> Filled:
        labels = {split: Counter() for split in splits}
        serialize = make_serializer(describe_features(kind, optional))
        payloads = (
            (split, serialize(_count_label(record, labels[split])))
            for split, records in splits.items()
            for record in records
        )
        shards = write_shards(folder, payloads, shard_bytes=shard_bytes)
        by_label = {split: {str(label): counts[label] for label in (0, 1)} for split, counts in labels.items()}
        if beside is not None:
            beside(folder)
        return Filled(shards, info or {}, label_counts=by_label if kind == "pairs" else {})

    return write_folder(
        data_dir,
        name,
        list(splits),
        fill,
        kind=kind,
        optional=optional,
        description=description,
        request=request,
        overwrite=overwrite,
    )


@dataclasses.dataclass(frozen=True)
class Filled:
    """What a folder was filled with: by split its shards and, for pairs, rows of each label; what there is to say."""

    shards: Mapping[str, Sequence[Shard]]
    info: Mapping[str, object]
    label_counts: Mapping[str, Mapping[str, int]] = dataclasses.field(default_factory=dict)


def write_folder(
    data_dir: Path | str,
    name: str,
    splits: Sequence[str],
    fill: Callable[[Path], Filled],
    *,
    kind: str,
    description: str,
    request: Mapping[str, object],
    optional: Sequence[str] = (),
    overwrite: bool = False,
) -> Path:
    """Lets `fill` write shards into a hidden folder, describes them, puts the folder in place and returns it.

    Args:
      splits: the splits, each of which must have records, in the order in which TFDS lists them.
      fill: writes the shards into a folder, or into folders below it, which are removed in the end.

    The other arguments, and what is raised: as `write_dataset`.
    """
    _check_names(name, splits)
    data_dir = _local(data_dir)
    target = data_dir / name / VERSION
    if target.exists() and not overwrite:
        raise InputError(f"{target} exists; replace it with --overwrite")
    try:
        with incomplete_folder(data_dir, f"{name}-{VERSION}") as folder:
            filled = fill(folder)
            empty = [split for split in splits if split not in filled.shards]
            if empty:
                raise InputError(
                    f"split '{empty[0]}' of dataset '{name}' has no rows; give more input, or other splits"
                )
            shards = {split: name_shards(folder, f"{name}-{split}", filled.shards[split]) for split in splits}
            for scratch in filter(Path.is_dir, list(folder.iterdir())):
                shutil.rmtree(scratch)
            _write_tfds_info(folder, name, shards, description=description, kind=kind, optional=optional)
            content = {**request, **filled.info, "kind": kind, "splits": _describe_splits(shards, filled.label_counts)}
            write_sealed(folder / METADATA_NAME, content)
            put_in_place(folder, target)
    except OSError as error:
        raise InputError(f"cannot write {target}: {error.strerror or error}") from error
    return target


def summarize(folder: Path) -> str:
    """Returns one line about a dataset: rows, label counts or tokens by split, what was left out, its path."""
    metadata = _read_metadata(folder)
    parts = []
    for split, counts in metadata["splits"].items():
        labels = counts.get("label_counts")
        by_label = (
            f" ({', '.join(f'{count:,} with label {label}' for label, count in labels.items())})" if labels else ""
        )
        tokens = metadata.get("counts", {}).get(split, {}).get("tokens")
        of_tokens = "" if tokens is None else f" ({tokens:,} tokens)"
        parts.append(f"{split} {counts['rows']:,} rows{by_label}{of_tokens}")
    line = f"{folder}: {', '.join(parts)}"
    for group in ("dropped", "changed"):
        if counts := metadata.get(group):
            line += f"; {group}: {', '.join(f'{count:,} {name}' for name, count in counts.items())}"
    return line


def describe_sources(paths: Sequence[Path]) -> list[dict[str, str]]:
    """Returns name and SHA-256 of each file, as `lingjax.json` records them."""
    described = []
    for path in paths:
        try:
            with path.open("rb") as file:
                described.append({"path": path.name, "sha256": hashlib.file_digest(file, "sha256").hexdigest()})
        except OSError as error:
            raise InputError(f"{path} cannot be read: {error.strerror}") from error
    return described


def _check_names(name: str, splits: Sequence[str]) -> None:
    for what, value in [("dataset name", name), *(("split name", split) for split in splits)]:
        if not is_valid_name(value):
            raise InputError(f"{what} '{value}' must begin with a letter and hold only letters, digits and underscores")


def _local(data_dir: Path | str) -> Path:
    if "://" in str(data_dir):
        raise InputError(
            f"--data_dir={data_dir}: datasets are written to a local folder; copy the finished folder to its bucket"
        )
    return Path(data_dir).expanduser()


def _read_metadata(folder: Path) -> dict:
    path = folder / METADATA_NAME
    try:
        return read_sealed(path)
    except InputError as error:
        raise InputError(
            f"{folder} exists but {METADATA_NAME} in it cannot be read ({error}); remove the folder"
        ) from error


def _describe_splits(
    shards: Mapping[str, Sequence[Shard]], label_counts: Mapping[str, Mapping[str, int]]
) -> dict[str, dict[str, object]]:
    described = {}
    for split, its_shards in shards.items():
        # Reading back what was written also checks it.
        fingerprint = fingerprint_records(TFRecordSource([shard.path for shard in its_shards]))
        described[split] = {
            "rows": sum(shard.rows for shard in its_shards),
            "fingerprint": fingerprint,
            "shards": [describe_shard(shard.path) for shard in its_shards],
        }
        if split in label_counts:
            described[split]["label_counts"] = label_counts[split]
    return described


def _write_tfds_info(
    folder: Path,
    name: str,
    shards: Mapping[str, Sequence[Shard]],
    *,
    description: str,
    kind: str,
    optional: Sequence[str],
) -> None:
    import tensorflow_datasets as tfds
    from tensorflow_datasets.core import dataset_info

    split_infos = []
    for split, its_shards in shards.items():
        template = tfds.core.ShardedFileTemplate(
            dataset_name=name, data_dir=folder, split=split, filetype_suffix="tfrecord"
        )
        split_infos.append(
            tfds.core.SplitInfo(
                name=split,
                shard_lengths=[shard.rows for shard in its_shards],
                num_bytes=sum(shard.payload_bytes for shard in its_shards),
                filename_template=template,
            )
        )
    identity = dataset_info.DatasetIdentity(
        name=name, version=tfds.core.Version(VERSION), data_dir=os.fspath(folder), module_name=""
    )
    tfds_info = dataset_info.DatasetInfo(
        builder=identity,
        description=description,
        features=describe_features(kind, optional),
        disable_shuffling=True,
    )
    tfds_info.set_file_format("tfrecord")
    tfds_info.set_splits(tfds.core.splits.SplitDict(split_infos))
    tfds_info.write_to_directory(folder)


def _count_label(record: Mapping[str, object], labels: Counter) -> Mapping[str, object]:
    if "label" in record:
        labels[record["label"]] += 1
    return record
