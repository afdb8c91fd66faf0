import itertools
import json
import shutil
from collections import Counter

import numpy as np
import pytest

from data_prep.biology.pair_dataset import write_pairs
from data_prep.biology.pair_records import join_clusters, name_pair
from data_prep.biology.pair_requests import check_choice
from data_prep.biology.pair_splits import SPLIT_BY
from data_prep.card import CardFacts
from data_prep.splits import choose_fractions
from lingjax.data import PairSource, open_split
from lingjax.errors import InputError

needs_blast = pytest.mark.skipif(shutil.which("blastn") is None, reason="BLAST+ is not installed")
HALVES = {"train": 0.5, "test": 0.5}


def genome(letters, seed):
    return "".join(np.random.default_rng(seed).choice(list("ACGT"), letters))


def make_record(first, second, label, clusters, *, organisms=("O1", "O1")):
    kind = "homolog" if label else "random"
    return {
        "pair_id": name_pair(kind, first, second),
        "sentence1": first,
        "sentence2": second,
        "label": label,
        "identity": float(label),
        "kind": kind,
        "location1": "",
        "location2": "",
        "cigar": "",
        "organism1": organisms[0],
        "organism2": organisms[1],
        "cluster": join_clusters(*clusters),
    }


def make_records(clusters=12, *, seed=0, crossing=0):
    """Makes a positive and a negative for each cluster, and negatives between clusters."""
    texts = [genome(61, seed * 1000 + number) for number in range(2 * clusters)]
    records = []
    for number in range(clusters):
        name = f"c{number}"
        records.append(make_record(texts[2 * number], texts[2 * number][::-1], 1, (name, name)))
        records.append(make_record(texts[2 * number], texts[2 * number + 1], 0, (name, name)))
    for number in range(crossing):
        records.append(
            make_record(texts[2 * number], texts[-2 - 2 * number], 0, (f"c{number}", f"c{clusters - 1 - number}"))
        )
    return records


def write(tmp_path, records, *, name="d", split_by="cluster", fractions=HALVES, **settings):
    folder = write_pairs(
        tmp_path,
        name,
        records,
        request={"dataset": "test"},
        fractions=fractions,
        split_by=split_by,
        facts=CardFacts(title="T", task="A task.", command="none", filters={"read": len(records)}),
        description="Pairs.",
        **settings,
    )
    return {split: list(PairSource(open_split(f"{folder}@{split}", default=()))) for split in fractions}, folder


def audit(folder):
    content = json.loads((folder / "audit.json").read_text())
    return {**content, "filters": dict(content["filters"])}


def test_clusters_are_divided_and_pairs_between_splits_are_dropped_and_counted(tmp_path):
    by_split, folder = write(tmp_path, make_records(crossing=5))
    assert {split: len(pairs) for split, pairs in by_split.items()} == {"train": 12, "test": 12}
    firsts = [{pair.sentence1 for pair in pairs} for pairs in by_split.values()]
    assert not firsts[0] & firsts[1]
    filters = audit(folder)["filters"]
    assert filters["read"] == 29 and filters["pairs left"] == 24
    assert sum(count for name, count in filters.items() if name.startswith("dropped")) == 5
    assert json.loads((folder / "lingjax.json").read_text())["dropped"]["pairs between clusters of two splits"] > 0


def test_labels_are_balanced_in_each_split(tmp_path):
    by_split, _ = write(tmp_path, make_records()[:-3])
    for pairs in by_split.values():
        counts = Counter(pair.label for pair in pairs)
        assert counts[0] == counts[1] > 0


def test_rows_are_not_sorted_by_label_and_their_order_is_that_of_no_input(tmp_path):
    records = make_records(30)
    by_split, _ = write(tmp_path, records)
    labels = [pair.label for pair in by_split["train"]]
    assert 5 < sum(a != b for a, b in itertools.pairwise(labels)) < len(labels) - 5
    assert write(tmp_path, records[::-1], name="reversed")[0] == by_split


@needs_blast
def test_homologs_that_the_clusters_do_not_show_are_dropped_from_the_smaller_split(tmp_path):
    records = make_records(12)
    assigned = {f"c{number}": "train" if number < 7 else "test" for number in range(12)}
    # The text of cluster 11, in test, is that of cluster 0, in train, with a few changed letters.
    related = records[0]["sentence1"][:40] + genome(21, 99)
    records[-2:] = [make_record(related, records[-1]["sentence2"], label, ("c11", "c11")) for label in (0, 1)]
    settings = {"assigned": assigned, "program": "blastn", "fractions": {"train": 0.6, "test": 0.4}}
    by_split, folder = write(tmp_path, records, **settings)
    assert {split: len(pairs) for split, pairs in by_split.items()} == {"train": 14, "test": 8}
    assert related not in {pair.sentence1 for pair in by_split["test"]}
    assert audit(folder)["filters"]["dropped: pairs with a homolog in another split"] == 2
    assert audit(folder)["overlap"]["measured"]["test with train"]["texts_with_homologs"] == 0
    kept, folder = write(tmp_path, records, name="hash", split_by="hash", program="blastn")
    assert sum(map(len, kept.values())) > 16


def test_organisms_are_divided(tmp_path):
    records = [
        {**record, "organism1": f"O{number // 2 % 4}", "organism2": f"O{number // 2 % 4}"}
        for number, record in enumerate(make_records(16))
    ]
    organism_of = {record["sentence1"]: record["organism1"] for record in records}
    by_split, _ = write(tmp_path, records, split_by="organism")
    organisms = [{organism_of[pair.sentence1] for pair in pairs} for pairs in by_split.values()]
    assert organisms[0] and organisms[1] and not organisms[0] & organisms[1]


def test_as_many_rows_as_wanted_are_taken(tmp_path):
    by_split, folder = write(tmp_path, make_records(20), num_pairs=12)
    assert {split: Counter(pair.label for pair in pairs) for split, pairs in by_split.items()} == {
        "train": {0: 3, 1: 3},
        "test": {0: 3, 1: 3},
    }
    assert audit(folder)["filters"]["dropped: pairs beyond --num_pairs"] == 28
    with pytest.raises(InputError, match="--num_pairs=50: 40 pairs can be made"):
        write(tmp_path, make_records(20), name="many", num_pairs=50)


def test_overlap_with_other_datasets_counts_equal_texts(tmp_path):
    _, other = write(tmp_path, make_records(8), name="other")
    _, folder = write(tmp_path, make_records(4) + make_records(5, seed=1), compare_with=[f"{other.parent}@test"])
    measured = audit(folder)["overlap"]["measured"]
    assert set(measured) == {"test with train", "train with other@test", "test with other@test"}
    assert sum(counts["equal_texts"] for name, counts in measured.items() if "other" in name) > 0


def test_a_split_without_pairs_is_refused(tmp_path):
    assigned = {f"c{number}": "train" for number in range(12)}
    with pytest.raises(InputError, match=r"split 'test' is left without pairs \(dropped: nothing\)"):
        write(tmp_path, make_records(), assigned=assigned)


def test_ids_must_be_unique(tmp_path):
    with pytest.raises(ValueError, match="1 pair_ids are not unique"):
        write(tmp_path, [*make_records(), make_records()[0]])


def test_a_cluster_name_holds_no_space():
    with pytest.raises(ValueError, match="may hold no space"):
        join_clusters("a b", "c")


def test_the_flags_for_splits():
    assert choose_fractions(None, None) == {"train": 0.8, "test": 0.2}
    assert choose_fractions("all", None) == {"all": 1.0}
    assert choose_fractions(None, ["a:0.5", "b:0.5"]) == {"a": 0.5, "b": 0.5}
    with pytest.raises(InputError, match="give one of the two"):
        choose_fractions("all", ["a:1"])
    with pytest.raises(InputError, match="--split_by=genus is unknown"):
        check_choice("split_by", "genus", SPLIT_BY)
