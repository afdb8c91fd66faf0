"""Divides pairs into splits that share no cluster or organism, and no homologs where that is asked for."""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence

from data_prep.biology.homology import assign_splits
from data_prep.biology.overlap import TEXTS, collect_texts, find_homologs
from data_prep.biology.pair_records import BETWEEN_CLUSTERS
from data_prep.splits import choose_split
from lingjax.errors import InputError

Record = Mapping[str, object]
SPLIT_BY = ("cluster", "organism", "hash")
# How the names of filters begin that leave something out.
DROPPED = "dropped: "


def divide_pairs(
    records: Sequence[Record],
    fractions: Mapping[str, float],
    *,
    split_by: str,
    assigned: Mapping[str, str] | None,
    programs: Sequence[str],
    evalue: float,
    num_pairs: int | None,
    filters: Counter,
) -> dict[str, list[Record]]:
    """Returns the pairs of each split, of each label as many, in an order that tells nothing.

    A pair whose texts belong to different splits is dropped. By cluster, pairs are also dropped from the smaller split
    until, of what is left, BLAST finds no text of one split in any other, whichever of the two is the database.

    Args:
      filters: receives what is dropped.

    The other arguments, and what is raised: as `data_prep.biology.pair_dataset.write_pairs`.
    """
    by_split = _divide(records, fractions, split_by, assigned, filters)
    while True:
        balanced = {split: _balance(rows) for split, rows in by_split.items()}
        taken = balanced if num_pairs is None else _take(balanced, fractions, num_pairs, filters)
        for split, rows in taken.items():
            if not rows:
                raise InputError(
                    f"split '{split}' is left without pairs (dropped: {describe_dropped(filters)}); give more input, "
                    "other --splits, or another --split_by"
                )
        # E-values are lower in a smaller database, so that what is taken in the end is searched, and searched again
        # after anything is dropped.
        leaks = _find_leaks(taken, programs, evalue) if split_by == "cluster" else {}
        if not leaks:
            break
        for split, texts in leaks.items():
            kept = [record for record in by_split[split] if not texts & {record[side] for side in TEXTS}]
            filters[f"{DROPPED}pairs with a homolog in another split"] += len(by_split[split]) - len(kept)
            by_split[split] = kept
    sizes = [sum(map(len, rows.values())) for rows in (by_split, balanced, taken)]
    filters[f"{DROPPED}pairs of the label that a split has more of"] += sizes[0] - sizes[1]
    filters[f"{DROPPED}pairs beyond --num_pairs"] += sizes[1] - sizes[2]
    return taken


def _divide(
    records: Sequence[Record],
    fractions: Mapping[str, float],
    split_by: str,
    assigned: Mapping[str, str] | None,
    filters: Counter,
) -> dict[str, list[Record]]:
    """Returns the records of each split, in an order that tells nothing; those between two splits are counted."""
    by_split = {split: [] for split in fractions}
    keys_of = _choose_keys(split_by)
    if split_by != "hash" and assigned is None and len(fractions) > 1:
        assigned = assign_splits([key for record in records for key in keys_of(record)], fractions)
    # The id is a hash of the pair in most datasets, but need not be one.
    for record in sorted(records, key=lambda record: hashlib.blake2b(record["pair_id"].encode()).digest()):
        if len(fractions) == 1:
            splits = set(fractions)
        elif split_by == "hash":
            splits = {choose_split(record["pair_id"], fractions)}
        else:
            splits = {assigned[key] for key in keys_of(record)}
        if len(splits) > 1:
            filters[f"{DROPPED}pairs between {split_by}s of two splits"] += 1
        else:
            by_split[splits.pop()].append(record)
    return by_split


def _choose_keys(split_by: str) -> Callable[[Record], list[str]]:
    if split_by == "organism":
        return lambda record: sorted({record["organism1"], record["organism2"]})
    return lambda record: record["cluster"].split(BETWEEN_CLUSTERS)


def _find_leaks(
    by_split: Mapping[str, Sequence[Record]], programs: Sequence[str], evalue: float
) -> dict[str, set[str]]:
    """Returns the texts to leave out of each split: of two similar texts, that of the smaller split."""
    splits = sorted(by_split, key=lambda split: len(by_split[split]))
    leaks = defaultdict(set)
    texts = {split: collect_texts(by_split[split]) for split in splits}
    for number, smaller in enumerate(splits):
        for larger in splits[number + 1 :]:
            leaks[smaller] |= set(texts[smaller]) & set(texts[larger])
            found = find_homologs(texts[smaller], texts[larger], programs=programs, evalue=evalue)
            leaks[smaller] |= {text for text, _ in found}
            found = find_homologs(texts[larger], texts[smaller], programs=programs, evalue=evalue)
            leaks[smaller] |= {text for _, text in found}
    return {split: found for split, found in leaks.items() if found}


def _balance(rows: Sequence[Record]) -> list[Record]:
    """Returns as many rows of each label; of the label with more, the last in their order are dropped."""
    counts = Counter(row["label"] for row in rows)
    room = Counter(dict.fromkeys((0, 1), min(counts[0], counts[1])))
    kept = []
    for row in rows:
        if room[row["label"]]:
            room[row["label"]] -= 1
            kept.append(row)
    return kept


def _take(
    by_split: Mapping[str, Sequence[Record]],
    fractions: Mapping[str, float],
    num_pairs: int,
    filters: Counter,
) -> dict[str, list[Record]]:
    """Returns `num_pairs` rows in all, of each label as many, that keep to the fractions as well as they can."""
    there = {split: len(rows) // 2 for split, rows in by_split.items()}
    wanted = num_pairs // 2
    if sum(there.values()) < wanted:
        raise InputError(
            f"--num_pairs={num_pairs}: {2 * sum(there.values()):,} pairs can be made "
            f"(dropped: {describe_dropped(filters)}); ask for no more, or give more input"
        )
    ends = [round(wanted * sum(list(fractions.values())[: number + 1])) for number in range(len(fractions))]
    shares = [end - begin for begin, end in zip([0, *ends[:-1]], ends, strict=True)]
    room = {split: min(share, there[split]) for split, share in zip(by_split, shares, strict=True)}
    for split in room:
        room[split] += min(there[split] - room[split], wanted - sum(room.values()))
    taken = {}
    for split, rows in by_split.items():
        # By the first text, so that the pairs of one text stay together, of whatever label they are.
        ordered = sorted(rows, key=lambda row: hashlib.blake2b(row["sentence1"].encode()).digest())
        of_label = {label: [row for row in ordered if row["label"] == label][: room[split]] for label in (0, 1)}
        identifiers = {row["pair_id"] for chosen in of_label.values() for row in chosen}
        taken[split] = [row for row in rows if row["pair_id"] in identifiers]
    return taken


def list_dropped(filters: Mapping[str, int]) -> dict[str, int]:
    """Returns what `lingjax.json` names as left out."""
    return {name.removeprefix(DROPPED): count for name, count in filters.items() if name.startswith(DROPPED)}


def describe_dropped(filters: Mapping[str, int]) -> str:
    """Returns all that was left out as part of a message."""
    return ", ".join(f"{count:,} {name}" for name, count in list_dropped(filters).items()) or "nothing"
