import collections
import json
import shutil

import numpy as np
import pytest

from data_prep.builders.gene_families import build
from lingjax.errors import InputError
from tests.data_prep.built_pairs import build_once, read_rows, shard_bytes
from tests.data_prep.simulated_genome import draw_protein, evolve, read_location, read_records, write_genome

pytestmark = pytest.mark.skipif(shutil.which("blastp") is None, reason="BLAST+ is not installed")

OPTIONS = {"name": "x", "length": "90", "splits": ["train:0.7", "test:0.3"]}


@pytest.fixture(scope="module")
def genomes(tmp_path_factory):
    """Three strains with 20 families, of which some have two members in a strain, and genes without a name."""
    folder, rng = tmp_path_factory.mktemp("genomes"), np.random.default_rng(11)
    ancestors = [(f"enzyme {number}", draw_protein(rng, int(rng.integers(40, 60)))) for number in range(20)]
    ancestors += ancestors[:4] + [("hypothetical protein", draw_protein(rng, 50)) for _ in range(3)]
    paths = []
    for number, organism in enumerate(["Testus unus", "Testus duo", "Testus tres"]):
        genes = [(product, evolve(protein, rng, 0.02 + 0.1 * number)) for product, protein in ancestors]
        path = folder / f"{number}.gb"
        paths.append(write_genome(path, genes, name=f"AA00000{number}", organism=organism, seed=number))
    return paths


@pytest.fixture(scope="module")
def built(genomes, tmp_path_factory):
    return build_once(build, tmp_path_factory, source=[str(path) for path in genomes], **OPTIONS)


def products_of(rows, genomes):
    """Returns the products of both genes of each row, by where they begin."""
    begins = {}
    for record in read_records(*genomes).values():
        for feature in record.features:
            bound = feature.location.parts[0].start if feature.location.strand == 1 else -feature.location.parts[0].end
            begins[record.id, int(bound)] = feature.qualifiers["product"][0]

    def find(location):
        record, _, places = location.partition(":")
        spans = [tuple(map(int, span.split("-"))) for span in places[:-3].split(",")]
        return begins[record, spans[0][0] - 1 if places.endswith("(+)") else -spans[-1][1]]

    return [(find(row["location1"]), find(row["location2"])) for row in rows]


def test_labels_are_what_products_say(built, genomes):
    rows = read_rows(built())
    assert len(rows) > 60
    for row, (first, second) in zip(rows, products_of(rows, genomes), strict=True):
        assert row["label"] == (first == second)
        assert "hypothetical" not in first + second
        assert row["kind"] == ("same_family" if row["label"] else "composition")
    assert sum(row["label"] for row in rows) * 2 == len(rows)


def test_texts_are_what_lies_at_their_places(built, genomes):
    records = read_records(*genomes)
    for row in read_rows(built()):
        for side in "12":
            assert row[f"sentence{side}"] == read_location(row[f"location{side}"], records)
            assert len(row[f"sentence{side}"]) == 90


def test_no_family_is_in_two_splits(built, genomes):
    rows = read_rows(built())
    splits = collections.defaultdict(set)
    for row, products in zip(rows, products_of(rows, genomes), strict=True):
        for product in products:
            splits[product].add(row["split"])
    assert all(len(its) == 1 for its in splits.values())
    assert {row["split"] for row in rows} == {"train", "test"}


def test_nearly_identical_pairs_are_counted_and_can_be_left_out(built):
    proteins = {"domain": "protein", "length": "30"}
    filters = dict(json.loads((built(**proteins) / "audit.json").read_text())["filters"])
    near = [row for row in read_rows(built(**proteins)) if row["label"] and row["identity"] >= 0.95]
    assert filters["of these, nearly identical (identity 0.95 or more)"] >= len(near) > 0
    assert filters["dropped: genes whose annotation names no family"] == 9
    far = [row for row in read_rows(built(**proteins, identity=["0", "0.9"])) if row["label"]]
    assert far
    assert all(row["identity"] <= 0.9 for row in far)


def test_proteins_and_whole_genes_are_other_texts(built):
    assert all(set(row["sentence1"]) - set("ACGT") for row in read_rows(built(domain="protein", length="30")))
    assert len({len(row["sentence1"]) for row in read_rows(built(length="full"))}) > 5


def test_a_table_of_families_replaces_products(built, genomes, tmp_path):
    path = tmp_path / "table.tsv"
    names = [f"AA00000{strain}_{number}" for strain in range(3) for number in range(20)]
    path.write_text("".join(f"{name}\tfamily{name[-1]}\n" for name in names))
    rows = read_rows(built(clusters=str(path), splits=None, split="all"))
    for row, (first, second) in zip(rows, products_of(rows, genomes), strict=True):
        assert row["label"] == (first[-1] == second[-1])


def test_the_same_seed_gives_the_same_bytes_and_another_one_others(built, genomes, tmp_path, capsys):
    again = build(tmp_path, source=[str(path) for path in genomes], **OPTIONS)[0]
    stages = [line.split()[0] for line in capsys.readouterr().err.splitlines()]
    assert list(dict.fromkeys(stages)) == ["reading", "clustering", "choosing", "dividing", "writing"]
    assert shard_bytes(again) == shard_bytes(built())
    assert shard_bytes(built(seed=1)) != shard_bytes(built())


@pytest.mark.parametrize("options", [{"negatives": ["random"]}, {"split_by": "hash"}, {"num_pairs": 40}])
def test_every_option_changes_something(built, options):
    assert shard_bytes(built(**options)) != shard_bytes(built())
    if "num_pairs" in options:
        assert len(read_rows(built(**options))) == 40


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"domain": "english"}, "--domain=english is not for genes; choose one of: dna, protein"),
        ({"length": "0"}, "--length=0: expected 1 letters or more, or 'full'"),
        ({"identity": ["2"]}, "--identity=2"),
        ({"clusters": "missing.tsv"}, "--clusters: missing.tsv does not exist"),
        ({"identity": ["0", "0.01"]}, "no family has two genes to pair, of 20 families"),
    ],
)
def test_flags_that_cannot_be_used_give_one_line(genomes, tmp_path, options, message):
    with pytest.raises(InputError, match=message):
        build(tmp_path, source=[str(path) for path in genomes], **{**OPTIONS, **options})
