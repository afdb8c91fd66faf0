"""Dataset `hub_pairs`: pairs that a dataset repository of the Hugging Face hub holds, read as those of `pairs`."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from data_prep import writer
from data_prep.builders.pairs import TASK, read_pairs, write_rows
from data_prep.card import CardFacts
from data_prep.downloads import HubFiles, fetch_subset
from data_prep.sources import DOWNLOADS
from data_prep.splits import choose_split, parse_splits
from lingjax.errors import InputError


def build(
    data_dir: Path | str,
    *,
    repo: str,
    subset: str | None = None,
    revision: str = "main",
    name: str | None = None,
    split: str | None = None,
    splits: Sequence[str] | None = None,
    offline: bool = False,
    overwrite: bool = False,
) -> list[Path]:
    """Builds one dataset from a subset of a repository and returns its folder.

    Without `split` and `splits`, the repository's own splits are kept. The revision is resolved to a commit, which is
    recorded with the dataset.

    Args:
      data_dir: folder of all datasets.
      repo: OWNER/NAME on the hub, or on the server that `HF_ENDPOINT` names.
      subset: a configuration, folder or file stem in it; needed if there is more than one.
      revision: branch, tag or commit.
      name: the dataset's name; by default that of the subset.
      split: the one split that receives every row.
      splits: `SPLIT:FRACTION` texts whose fractions sum to 1; a row's split depends on nothing but its pair_id.
      offline: whether the hub's cache on this machine must do.
      overwrite: whether an existing dataset of this name built from other input is replaced.

    Raises:
      InputError: the hub does not give the files, or they or the flags cannot be used.
    """
    if split and splits:
        raise InputError("--split puts every row into one split and --splits divides them; give one of the two")
    fractions = {split: 1.0} if split else parse_splits(splits) if splits else None
    name = name or re.sub(r"\W", "_", subset or repo.rpartition("/")[2])
    notes = Path(data_dir).expanduser() / DOWNLOADS / "hub"
    fetched = fetch_subset(repo, subset, revision=revision, notes=notes, offline=offline)
    paths = [path for of_split in fetched.paths.values() for path in of_split]
    request = {
        "dataset": "hub_pairs",
        "repo": repo,
        "subset": subset,
        "commit": fetched.commit,
        "sources": writer.describe_sources(paths),
        "split_fractions": fractions and [*map(list, fractions.items())],
    }
    if built := writer.find_built(data_dir, name, request, overwrite=overwrite):
        return [built]
    by_split, optional, dropped = _read_splits(fetched, fractions)
    flags = {"repo": repo, "subset": subset, "revision": fetched.commit, "split": split, "splits": splits}
    given = {flag: ",".join(value) if isinstance(value, list) else value for flag, value in flags.items() if value}
    page = f"https://huggingface.co/datasets/{repo}"
    facts = CardFacts(
        title=f"{subset or repo}: pairs from the hub",
        task=TASK,
        command=f"python -m data_prep.build --dataset=hub_pairs --name={name} "
        f"{' '.join(f'--{flag}={value}' for flag, value in given.items())} --data_dir=DIR",
        sources=[{**source, "version": fetched.commit, "url": page} for source in request["sources"]],
        licences=[f"{page} states: {fetched.licence}." if fetched.licence else f"{page} states none."],
    )
    folder = write_rows(
        data_dir,
        name,
        by_split,
        optional=optional,
        dropped=dropped,
        description=f"Pairs of {repo}{f', {subset}' if subset else ''}, at commit {fetched.commit[:12]}.",
        request=request,
        facts=facts,
        overwrite=overwrite,
    )
    return [folder]


def _read_splits(
    fetched: HubFiles, fractions: Mapping[str, float] | None
) -> tuple[dict[str, list[dict]], tuple[str, ...], dict[str, int]]:
    """Returns the records of each split; which optional features all have; counts of what was left out."""
    published, dropped, optional = {}, Counter(), None
    for split, paths in fetched.paths.items():
        records, of_split, left_out = read_pairs(paths, leave_out_gaps=True)
        if not records:
            dropped.update({f"{reason}, all of split '{split}'": count for reason, count in left_out.items()})
            continue
        if len(fetched.paths) > 1:
            # Rows are often numbered anew in each split.
            records = [{**record, "pair_id": f"{split}:{record['pair_id']}"} for record in records]
        published[split] = records
        dropped.update(left_out)
        optional = of_split if optional is None else tuple(feature for feature in optional if feature in of_split)
    if not published:
        left_out = ", ".join(f"{count:,} {reason}" for reason, count in dropped.items())
        raise InputError(f"no split of {', '.join(fetched.paths)} has a labelled pair ({left_out})")
    for records in published.values():
        for record in records:
            for feature in ("identity", "source"):
                if feature in record and feature not in optional:
                    del record[feature]
                    dropped[f"values of column '{feature}', which not every split has"] += 1
    if fractions is None:
        return published, optional, dict(dropped)
    by_split = {split: [] for split in fractions}
    for records in published.values():
        for record in records:
            by_split[choose_split(record["pair_id"], fractions)].append(record)
    return by_split, optional, dict(dropped)
