import shutil
from collections import Counter, defaultdict

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from data_prep.builders.paws_like_dna import build, choose_kmer
from lingjax.data import PairSource, open_split
from lingjax.errors import InputError
from tests.data_prep.planted_genomes import plant, write_genbank

pytestmark = pytest.mark.skipif(shutil.which("blastn") is None, reason="BLAST+ is not installed")
PIECES = 23


@pytest.fixture(scope="module")
def query(tmp_path_factory):
    folder = tmp_path_factory.mktemp("genomes")
    for name, letters in zip("AB", plant(pieces=PIECES, genomes=2, seed=7), strict=True):
        write_genbank(folder / f"{name}.gb", letters, name=name, organism=f"Strain {name}", pieces=PIECES)
    return [str(folder / "*.gb")]


def read(folder):
    return {split: list(PairSource(open_split(f"{folder}@{split}", default=()))) for split in ("train", "test")}


@pytest.fixture(scope="module")
def built(query, tmp_path_factory):
    (folder,) = build(tmp_path_factory.mktemp("built"), name="p", query=query)
    return read(folder)


def words(text, size):
    return [text[place : place + size] for place in range(len(text) - size + 1)]


def test_each_first_text_has_a_homolog_and_the_same_words_in_another_order(built):
    for pairs in built.values():
        by_first = defaultdict(dict)
        for pair in pairs:
            by_first[pair.sentence1][pair.label] = pair.sentence2
        for seconds in by_first.values():
            assert seconds[0] != seconds[1]
            for size in range(1, 5):
                assert Counter(words(seconds[0], size)) == Counter(words(seconds[1], size))


@pytest.mark.parametrize("split", ["train", "test"])
@pytest.mark.parametrize("size", [1, 2, 3, 4])
def test_bags_of_kmers_sit_at_chance(built, split, size):
    def overlap(pair):
        first, second = (Counter(words(text, size)) for text in (pair.sentence1, pair.sentence2))
        return len(first.keys() & second.keys()) / len(first.keys() | second.keys()), (first & second).total()

    labels = [pair.label for pair in built[split]]
    for scores in zip(*map(overlap, built[split]), strict=True):
        assert roc_auc_score(labels, scores) == pytest.approx(0.5)


def test_order_tells_the_labels_apart(built):
    equal = [sum(a == b for a, b in zip(pair.sentence1, pair.sentence2, strict=True)) for pair in built["train"]]
    assert roc_auc_score([pair.label for pair in built["train"]], equal) > 0.95


def test_longer_words_are_kept_where_asked_for(query, tmp_path):
    (folder,) = build(tmp_path, name="p", query=query, kmer=2, split="train", num_pairs=40)
    pairs = PairSource(open_split(f"{folder}@train", default=()))
    assert len(pairs) == 40
    bags = defaultdict(set)
    for pair in pairs:
        bags[pair.sentence1].add(tuple(sorted(words(pair.sentence2, 3))))
    assert np.mean([len(bag) for bag in bags.values()]) > 1.9  # words of three letters differ, as only two are kept


def test_a_seed_gives_the_same_pairs_and_another_gives_others(query, tmp_path):
    built = [
        {
            pair.pair_id
            for pairs in read(build(tmp_path, name=name, query=query, seed=seed)[0]).values()
            for pair in pairs
        }
        for name, seed in (("a", 3), ("b", 3), ("c", 4))
    ]
    assert built[0] == built[1] != built[2]


def test_the_size_of_words_follows_the_length():
    assert [choose_kmer(letters) for letters in (20, 50, 150, 200, 800)] == [3, 4, 4, 5, 6]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"kmer": 1}, "--kmer=1: expected 2 or more"),
        ({"kmer": 50}, "--kmer=50: expected 2 or more, and less"),
        ({"length": "full"}, "give --kmer as well"),
        ({"kmer": 12}, "no text can be brought into an order with the same 12-mers"),
        ({"length": "many"}, "--length=many: expected 20"),
    ],
)
def test_what_cannot_be_used_is_refused(query, tmp_path, settings, message):
    with pytest.raises(InputError, match=message):
        build(tmp_path, name="p", query=query, **settings)
