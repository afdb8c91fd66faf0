import collections
import itertools
import shutil
import subprocess

import numpy as np
import pytest

from data_prep.biology.alignment import WindowPlan
from data_prep.biology.protein_homologs import find_homologs
from data_prep.biology.protein_sources import Protein
from data_prep.builders.protein_pairs import build
from data_prep.formats.genes import Gene
from data_prep.formats.locations import Segment
from data_prep.tally import Tally
from lingjax.errors import InputError
from tests.data_prep.built_pairs import build_once, read_rows, shard_bytes
from tests.data_prep.simulated_genome import draw_protein, evolve

pytestmark = pytest.mark.skipif(shutil.which("blastp") is None, reason="BLAST+ is not installed")

OPTIONS = {"name": "x", "length": "40", "splits": ["train:0.7", "test:0.3"]}


@pytest.fixture(scope="module")
def proteins():
    """Thirty families of three, close and remote, in the order of a FASTA file."""
    rng = np.random.default_rng(13)
    found = {}
    for family in range(30):
        ancestor = draw_protein(rng, int(rng.integers(60, 120)))
        for member in range(3):
            found[f"f{family}m{member}"] = evolve(ancestor, rng, (0.0, 0.15, 0.4)[member])
    return found


@pytest.fixture(scope="module")
def fasta(proteins, tmp_path_factory):
    path = tmp_path_factory.mktemp("source") / "p.fasta"
    path.write_text("".join(f">{name}\n{letters}\n" for name, letters in proteins.items()))
    return path


@pytest.fixture(scope="module")
def built(fasta, tmp_path_factory):
    return build_once(build, tmp_path_factory, source=[str(fasta)], **OPTIONS)


def family(location):
    return location.partition("m")[0]


def find_evalue(text1, text2, folder):
    """Returns the E-value that blastp gives for two texts alone, infinite without a hit."""
    paths = [folder / "a", folder / "b"]
    for path, text in zip(paths, (text1, text2), strict=True):
        path.write_text(f">x\n{text}\n")
    command = ["blastp", "-query", paths[0], "-subject", paths[1], "-outfmt", "6 evalue", "-max_hsps", "1"]
    shown = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    return float(shown[0]) if shown else float("inf")


def test_positives_are_homologs_cut_at_aligned_positions(built, proteins, tmp_path):
    positives = [row for row in read_rows(built()) if row["label"]]
    assert len(positives) >= 25
    for number, row in enumerate(positives):
        for side in "12":
            name, _, places = row[f"location{side}"].partition(":")
            first, last = map(int, places.split("-"))
            assert proteins[name][first - 1 : last] == row[f"sentence{side}"]
            assert last - first == 39
        assert family(row["location1"]) == family(row["location2"])
        assert row["kind"] == "homolog"
        equal = sum(a == b for a, b in zip(row["sentence1"], row["sentence2"], strict=True))
        if "I" not in row["cigar"] and "D" not in row["cigar"]:
            assert row["identity"] == pytest.approx(equal / 40)
        if number < 10:
            assert find_evalue(row["sentence1"], row["sentence2"], tmp_path) <= 1e-5


@pytest.mark.parametrize("kind", ["random", "composition", "hard", "shuffled"])
def test_negatives_of_every_kind_are_of_other_families_and_unrelated(built, kind, tmp_path):
    rows = read_rows(built(negatives=[f"{kind}:1"]))
    negatives = [row for row in rows if not row["label"]]
    assert len(negatives) * 2 == len(rows)
    true = {row["sentence1"]: row["sentence2"] for row in rows if row["label"]}
    for row in negatives:
        assert row["kind"] in ({"hard", "composition"} if kind == "hard" else {kind})
        assert len(row["sentence2"]) == 40
        if kind == "shuffled":
            assert row["location2"].endswith("/shuffled")
            assert sorted(row["sentence2"]) == sorted(true.get(row["sentence1"], row["sentence2"]))
        else:
            assert family(row["location1"]) != family(row["location2"])
    if kind == "hard":
        assert sum(row["kind"] == "hard" for row in negatives) >= 0.6 * len(negatives)
    for row in negatives[:8]:
        assert find_evalue(row["sentence1"], row["sentence2"], tmp_path) > 0.001


def test_texts_stand_in_as_many_pairs_of_either_label(built):
    rows = read_rows(built())
    counts = [collections.Counter(row["sentence2"] for row in rows if row["label"] == label) for label in (0, 1)]
    # A few texts are refused by the aligner, or dropped to let no homolog be in two splits.
    assert (counts[0] - counts[1]).total() <= 0.15 * len(rows) / 2


def test_identity_bands_are_close_and_remote_homologs(built):
    close = [row["identity"] for row in read_rows(built(identity=["0.8", "1"])) if row["label"]]
    remote = [row["identity"] for row in read_rows(built(identity=["0.3", "0.7"])) if row["label"]]
    assert min(close) >= 0.8
    assert max(remote) <= 0.7


def test_full_texts_are_whole_proteins(built, proteins):
    for row in read_rows(built(length="full")):
        for side in "12":
            assert row[f"sentence{side}"] == proteins[row[f"location{side}"].partition(":")[0]]


def test_no_family_is_in_two_splits(built):
    splits = collections.defaultdict(set)
    for row in read_rows(built()):
        for side in "12":
            splits[family(row[f"location{side}"])].add(row["split"])
    assert all(len(its) == 1 for its in splits.values())


def test_the_same_seed_gives_the_same_bytes_and_another_one_others(built, fasta, tmp_path):
    again = build(tmp_path, source=[str(fasta)], **OPTIONS)[0]
    assert shard_bytes(again) == shard_bytes(built())
    assert shard_bytes(built(seed=1)) != shard_bytes(built())


@pytest.mark.parametrize("options", [{"split_by": "hash"}, {"evalue": 1e-20}, {"num_pairs": 30}])
def test_every_option_changes_something(built, options):
    assert shard_bytes(built(**options)) != shard_bytes(built())
    if "num_pairs" in options:
        assert len(read_rows(built(**options))) == 30


def test_equal_texts_are_kept_if_asked_for(fasta, proteins, tmp_path):
    # Two proteins that differ only at their ends have windows in common.
    path = tmp_path / "q.fasta"
    longer = {f"{name}x": f"{letters}WWWWW" for name, letters in list(proteins.items())[:15]}
    path.write_text(fasta.read_text() + "".join(f">{name}\n{letters}\n" for name, letters in longer.items()))
    options = {**OPTIONS, "splits": None, "split": "all", "num_pairs": 60}
    equal = {}
    for identical in ("drop", "keep"):
        rows = read_rows(build(tmp_path / identical, source=[str(path)], identical=identical, **options)[0])
        equal[identical] = sum(row["sentence1"] == row["sentence2"] for row in rows)
    assert equal["drop"] == 0 < equal["keep"]


def test_two_forms_of_one_gene_are_no_pair_but_a_copy_elsewhere_is():
    whole = draw_protein(np.random.default_rng(5), 80)
    places = {
        "whole": (0, whole),
        "form": (60, whole[20:]),
        "copy": (900, f"{whole[:70]}W"),
        "fasta": (None, whole[:60]),
    }
    proteins = []
    for name, (first, letters) in places.items():
        gene = None if first is None else make_gene((first, first + 3 * len(letters), 1), letters)
        proteins.append(Protein(name, letters, "Testus", gene))
    tally = Tally()
    found = find_homologs(proteins, WindowPlan(evalue=1e-5, ruler=None), tally, per_protein=3)
    names = {frozenset(text.location.partition(":")[0] for text in (pair.first, pair.second)) for pair in found}
    assert names == set(map(frozenset, itertools.combinations(places, 2))) - {frozenset(("whole", "form"))}
    assert tally.group("dropped") == {"pairs of two forms of one gene, whose places overlap": 1}


def make_gene(segment, protein):
    return Gene(
        record="r",
        organism="Testus",
        segments=(Segment(*segment),),
        coding="",
        protein=protein,
        table=4,
        has_start=True,
        exceptions=frozenset(),
        flank="",
        flank_segments=(),
        product="",
        name="",
        locus_tag="",
        protein_id="",
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"length": "19"}, "--length=19: expected 20 letters or more, or 'full'"),
        ({"identity": ["0.9", "0.3"]}, "--identity=0.9,0.3"),
        ({"identical": "maybe"}, "--identical=maybe is unknown"),
        ({"negatives": ["reordered"]}, "--negatives: 'reordered' is not KIND:SHARE"),
        ({"split_by": "organism"}, "too few for the splits"),
        ({"num_pairs": 4000}, "--num_pairs=4000: [0-9,]+ pairs can be made"),
        ({"evalue": 1e-100}, "no pair of proteins is homologous"),
    ],
)
def test_flags_that_cannot_be_used_give_one_line(fasta, tmp_path, options, message):
    with pytest.raises(InputError, match=message):
        build(tmp_path, source=[str(fasta)], **{**OPTIONS, **options})
