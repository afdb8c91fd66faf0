"""Reads pair datasets that tests have built."""

import json

from lingjax.data import TFRecordSource, open_split, parse_example


def build_once(build, tmp_path_factory, **standard):
    """Returns a function that builds a dataset with other options than the standard ones, each choice of them once."""
    folders = {}

    def go(**options):
        key = json.dumps(options)
        if key not in folders:
            (folders[key],) = build(tmp_path_factory.mktemp("data"), **{**standard, **options})
        return folders[key]

    return go


def read_rows(folder):
    """Returns the records of all splits, each with its split."""
    rows = []
    for split in json.loads((folder / "lingjax.json").read_text())["splits"]:
        for record in TFRecordSource(open_split(f"{folder}@{split}", default=()).shard_paths()):
            values = {name: value[0] for name, value in parse_example(record).items()}
            row = {name: value.decode() if isinstance(value, bytes) else value for name, value in values.items()}
            rows.append({**row, "split": split})
    return rows


def shard_bytes(folder):
    """Returns the content of all shards by name."""
    return {path.name: path.read_bytes() for path in folder.glob("*.tfrecord-*") if path.suffix != ".index"}
