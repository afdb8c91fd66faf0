"""Writes pairs from sequence databases: decides splits that do not leak, measures what they share, adds the card."""

import dataclasses
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from data_prep import writer
from data_prep.biology.overlap import measure_all, read_texts
from data_prep.biology.pair_splits import divide_pairs, list_dropped
from data_prep.card import CardFacts, write_card
from data_prep.features import BIOLOGY_FEATURES
from data_prep.stages import tell_stage


def write_pairs(
    data_dir: Path | str,
    name: str,
    records: Sequence[Mapping[str, object]],
    *,
    request: Mapping[str, object],
    fractions: Mapping[str, float],
    split_by: str,
    facts: CardFacts,
    description: str,
    compare_with: Sequence[str] = (),
    evalue: float = 1e-5,
    program: str | Sequence[str] | None = None,
    assigned: Mapping[str, str] | None = None,
    num_pairs: int | None = None,
    overwrite: bool = False,
) -> Path:
    """Divides pairs into splits, writes them with their card, and returns the dataset's folder.

    By cluster, the clusters on the records are divided, and then pairs are dropped, from the smaller split, until BLAST
    finds no text of one split in any other. By organism, no organism is in two splits, and a text may be alike. A pair
    whose texts belong to different splits is dropped. In the end each split loses what it has too much of one label.
    All that is dropped is counted on the card.

    Args:
      data_dir: folder of all datasets.
      name: the dataset's name.
      records: the pairs of all splits, in any order, with identity and `BIOLOGY_FEATURES`; `cluster` from
        `join_clusters`.
      request: everything that decides the content.
      fractions: the share of rows of each split.
      split_by: one of `SPLIT_BY`.
      facts: for the card; its filters and overlap are completed here.
      description: one sentence for TFDS's dataset_info.json.
      compare_with: references of datasets with which overlap is measured, as `DIR/paws_en` or `DIR/paws_en@train`.
      evalue: the greatest of the hits that make two texts homologous.
      program: "blastn", "blastp" or both, which measure homology between texts of their kind; None measures none.
      assigned: the split of each cluster or organism, if it has been decided; `assign_splits` by default.
      num_pairs: rows wanted of more that there may be; each split gives its share as long as it has enough.
      overwrite: whether an existing dataset of this name is replaced.

    Raises:
      InputError: the splits cannot be made, fewer rows are left than wanted, or a dataset to compare with cannot be
        read.
    """
    programs = [program] if isinstance(program, str) else list(program or ())
    identifiers = Counter(record["pair_id"] for record in records)
    repeated = [identifier for identifier, times in identifiers.items() if times > 1]
    if repeated:
        raise ValueError(f"{len(repeated)} pair_ids are not unique, among them {repeated[0]}")
    others = read_texts(compare_with)
    filters = Counter(facts.filters)
    tell_stage(f"dividing {len(records):,} pairs into {', '.join(fractions)}")
    by_split = divide_pairs(
        records,
        fractions,
        split_by=split_by,
        assigned=assigned,
        programs=programs,
        evalue=evalue,
        num_pairs=num_pairs,
        filters=filters,
    )
    if others:
        tell_stage(f"measuring overlap with {', '.join(others)}")
    overlap = measure_all(by_split, others, programs, evalue, verified=split_by == "cluster")
    left = sum(map(len, by_split.values()))
    counts = {name: count for name, count in filters.items() if count}
    facts = dataclasses.replace(facts, filters={**counts, "pairs left": left}, overlap=overlap)
    tell_stage(f"writing {left:,} pairs and their card")
    return writer.write_dataset(
        data_dir,
        name,
        by_split,
        kind="pairs",
        description=description,
        request=request,
        info={"dropped": list_dropped(facts.filters), "synthetic": False},
        optional=("identity", *BIOLOGY_FEATURES),
        beside=lambda folder: write_card(folder, by_split, facts),
        overwrite=overwrite,
    )
