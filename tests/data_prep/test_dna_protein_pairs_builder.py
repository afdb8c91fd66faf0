import collections
import json
import shutil

import numpy as np
import pytest
from Bio.Seq import Seq

from data_prep.builders.dna_protein_pairs import build
from lingjax.errors import InputError
from tests.data_prep.built_pairs import build_once, read_rows, shard_bytes
from tests.data_prep.simulated_genome import draw_protein, evolve, read_location, read_records, shares_run, write_genome

pytestmark = pytest.mark.skipif(shutil.which("blastp") is None, reason="BLAST+ is not installed")

OPTIONS = {"name": "x", "dna_length": 60, "protein_length": 20, "splits": ["train:0.7", "test:0.3"]}


@pytest.fixture(scope="module")
def genomes(tmp_path_factory):
    """Two related genomes of translation table 4, whose genes begin alike every tenth time, and one of table 11."""
    folder, rng = tmp_path_factory.mktemp("genomes"), np.random.default_rng(7)
    first = [(f"enzyme {number}", draw_protein(rng, int(rng.integers(25, 90)))) for number in range(50)]
    second = [(product, evolve(protein, rng, 0.1)) for product, protein in first]
    third = [(f"factor {number}", draw_protein(rng, int(rng.integers(25, 90)))) for number in range(30)]
    return [
        write_genome(folder / "a.gb", first, name="AA000001", organism="Testus unus"),
        write_genome(folder / "b.gb", second, name="AA000002", organism="Testus duo", seed=1),
        write_genome(folder / "c.gb", third, name="AA000003", organism="Testus tres", table=11, seed=2),
    ]


TABLES = {"AA000001.1": 4, "AA000002.1": 4, "AA000003.1": 11}


@pytest.fixture(scope="module")
def built(genomes, tmp_path_factory):
    return build_once(build, tmp_path_factory, source=[str(path) for path in genomes], **OPTIONS)


MORE = {"num_pairs": 320, "negatives": ["composition:0.5", "random:0.5"], "reverse_strand": True}
VARIANTS = [
    {},
    {"frame_shifts": True, "upstream": 10},
    MORE,
]


@pytest.mark.parametrize("options", VARIANTS)
def test_all_positives_are_translated_and_no_negative_is_in_any_frame(built, genomes, options):
    records = read_records(*genomes)
    for row in read_rows(built(**options)):
        dna, protein, table = row["sentence1"], row["sentence2"], TABLES[row["location1"].partition(":")[0]]
        assert dna == read_location(row["location1"], records)
        assert str(Seq(read_location(row["location2"], records)).translate(table=table)) == protein
        assert (len(dna), len(protein) <= 20) == (60, True)
        if row["label"]:
            coding = read_location(row["location2"], records)
            assert coding in dna or coding in str(Seq(dna).reverse_complement())
            assert (row["kind"], row["identity"]) == ("coding", 1)
        else:
            assert not shares_run(dna, protein, tables={1, table})
            assert row["identity"] == 0
            assert row["organism1"] == row["organism2"]


@pytest.mark.parametrize("options", VARIANTS)
def test_no_text_alone_tells_the_label(built, options):
    rows = read_rows(built(**options))
    labels = collections.defaultdict(list)
    for row in rows:
        labels[row["label"]].append(row)
    assert len(labels[0]) == len(labels[1])
    # Up to a few pairs that are dropped to let no homolog be in two splits, and rows beyond num_pairs.
    for text in ("sentence1", "sentence2"):
        counted = [collections.Counter(row[text] for row in labels[label]) for label in (0, 1)]
        assert (counted[0] - counted[1]).total() <= 0.15 * len(labels[0])
    lengths = [np.mean([len(row["sentence2"]) for row in labels[label]]) for label in (0, 1)]
    assert abs(lengths[0] - lengths[1]) < 0.1


def test_a_family_is_in_one_split_and_in_no_negative_with_itself(built):
    rows = read_rows(built())
    splits = collections.defaultdict(set)
    for row in rows:
        for cluster in row["cluster"].split():
            splits[cluster].add(row["split"])
        if not row["label"]:
            assert len(row["cluster"].split()) == 2
    assert all(len(its) == 1 for its in splits.values())
    assert {row["split"] for row in rows} == {"train", "test"}


def test_the_same_seed_gives_the_same_bytes_and_another_one_others(built, genomes, tmp_path):
    again = build(tmp_path, source=[str(path) for path in genomes], **OPTIONS)[0]
    assert shard_bytes(again) == shard_bytes(built())
    assert shard_bytes(built(seed=1)) != shard_bytes(built())


def test_half_of_the_dna_of_either_label_is_reversed(built):
    rows = read_rows(built(**MORE))
    # Negatives have the DNA of positives, so places of the coding DNA tell the strand of both.
    strand_of_gene = {row["sentence1"]: row["location2"][-3:] for row in rows if row["label"]}
    for label in (0, 1):
        of_label = [row for row in rows if row["label"] == label and row["sentence1"] in strand_of_gene]
        reversed_rows = [row for row in of_label if row["location1"][-3:] != strand_of_gene[row["sentence1"]]]
        assert 0.4 < len(reversed_rows) / len(of_label) < 0.6
    assert all(row["sentence1"].startswith("ATG") for row in read_rows(built()))


def test_a_flank_precedes_the_start_codon(built):
    rows = read_rows(built(frame_shifts=True, upstream=10))
    assert all("ATG" in (row["sentence1"][place : place + 3] for place in (10, 11, 12)) for row in rows)


def test_more_pairs_come_from_within_the_genes(built):
    rows = read_rows(built(**MORE))
    assert len(rows) == 320
    assert any(not row["sentence2"].startswith("M") for row in rows)
    kinds = collections.Counter(row["kind"] for row in rows)
    assert kinds["coding"] == 160
    assert abs(kinds["composition"] - kinds["random"]) <= 16


def test_more_pairs_than_there_are_cannot_be_asked_for(built):
    with pytest.raises(InputError, match=r"--num_pairs=4000: [0-9,]+ pairs can be made"):
        built(num_pairs=4000)


def test_composition_is_matched_better_than_at_random(built):
    rows = read_rows(built(**MORE))
    true = {row["sentence1"]: row["sentence2"] for row in rows if row["label"]}
    differences = collections.defaultdict(list)
    for row in rows:
        if not row["label"] and row["sentence1"] in true:
            one, other = true[row["sentence1"]], row["sentence2"]
            letters = set(one + other)
            differences[row["kind"]].append(sum(abs(one.count(letter) - other.count(letter)) for letter in letters))
    assert np.mean(differences["composition"]) < 0.9 * np.mean(differences["random"])


@pytest.mark.parametrize(
    "options",
    [
        {"dna_length": 63, "protein_length": 12},
        {"split_by": "organism"},
        {"split_by": "hash"},
        {"evalue": 1e-30},
        {"splits": None, "split": "all"},
    ],
)
def test_every_option_changes_something(built, options):
    assert shard_bytes(built(**options)) != shard_bytes(built())
    if "dna_length" in options:
        assert {(len(row["sentence1"]), len(row["sentence2"])) for row in read_rows(built(**options))} == {(63, 12)}


def test_organisms_are_kept_apart(built):
    rows = read_rows(built(split_by="organism"))
    splits = {row["organism1"]: row["split"] for row in rows}
    assert len(splits) == 3
    assert all(row["split"] == splits[row["organism1"]] == splits[row["organism2"]] for row in rows)


def test_the_card_says_what_was_left_out(built):
    audit = json.loads((built() / "audit.json").read_text())
    filters = dict(audit["filters"])
    assert filters["coding sequences"] == filters["genes whose translation was confirmed"] == 130
    assert filters["pairs left"] == len(read_rows(built()))
    assert {source["path"]: source["genetic_codes"] for source in audit["sources"]}["c.gb"] == "11"


def test_building_again_does_nothing(built, genomes, capsys):
    build(built().parent.parent, source=[str(path) for path in genomes], **OPTIONS)
    assert "was built from the same input" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_pairs": 3}, "--num_pairs=3: expected an even number"),
        ({"negatives": ["shuffled"]}, "--negatives: 'shuffled' is not KIND:SHARE with a kind of composition, random"),
        ({"split_by": "gene"}, "--split_by=gene is unknown"),
        ({"dna_length": 3000}, "no DNA can be cut from 130 genes"),
        ({"evalue": 0.0}, "--evalue=0"),
    ],
)
def test_flags_that_cannot_be_used_give_one_line(genomes, tmp_path, options, message):
    with pytest.raises(InputError, match=message):
        build(tmp_path, source=[str(path) for path in genomes], **{**OPTIONS, **options})


def test_a_record_in_two_files_is_named(genomes, tmp_path):
    copy = shutil.copy(genomes[0], tmp_path / "copy.gb")
    with pytest.raises(InputError, match=r"copy.gb holds record AA000001.1, as .*a.gb does; name one of them"):
        build(tmp_path, source=[str(genomes[0]), str(copy)], **OPTIONS)
