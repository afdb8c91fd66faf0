import json
import re
import shutil
import subprocess
from collections import Counter

import numpy as np
import pytest
from Bio.Seq import reverse_complement

from data_prep.biology import blast
from data_prep.builders import synthetic
from data_prep.builders.dna_pairs import build
from lingjax.data import PairSource, TFRecordSource, load_tokenizer, open_split, parse_example
from lingjax.errors import InputError
from tests.data_prep.planted_genomes import plant, write_genbank

pytestmark = pytest.mark.skipif(shutil.which("blastn") is None, reason="BLAST+ is not installed")
PIECES = 41
KINDS = ("random:0.25", "composition:0.25", "shuffled:0.25", "hard:0.25")


@pytest.fixture(scope="module")
def genomes(tmp_path_factory):
    folder = tmp_path_factory.mktemp("genomes")
    first, second = plant(pieces=PIECES, genomes=2, seed=1)
    write_genbank(folder / "a.gb", first, name="A", organism="Strain A", pieces=PIECES)
    write_genbank(folder / "b.gb", second, name="B", organism="Strain B", pieces=PIECES)
    (folder / "b.fa").write_text(f">B\n{reverse_complement(second)}\n")
    return folder


def run(genomes, data_dir, *, name="d", subject="b.gb", **settings):
    (folder,) = build(data_dir, name=name, query=[str(genomes / "a.gb")], subject=[str(genomes / subject)], **settings)
    return folder


def read(folder, split):
    rows = []
    for record in TFRecordSource(open_split(f"{folder}@{split}", default=()).shard_paths()):
        values = {name: value[0] for name, value in parse_example(record).items()}
        rows.append({name: value.decode() if isinstance(value, bytes) else value for name, value in values.items()})
    return rows


def read_all(folder):
    return [row for split in json.loads((folder / "lingjax.json").read_text())["splits"] for row in read(folder, split)]


@pytest.fixture(scope="module")
def built(genomes, tmp_path_factory):
    return run(genomes, tmp_path_factory.mktemp("built"), negatives=KINDS)


@pytest.fixture(scope="module")
def rows(built):
    return read_all(built)


def find_hits(folder, first, second, task, evalue):
    """Runs blastn on two texts alone."""
    for name, text in (("a", first), ("b", second)):
        (folder / name).write_text(f">{name}\n{text}\n")
    command = ["blastn", "-task", task, "-dust", "no", "-query", "a", "-subject", "b", "-evalue", str(evalue)]
    shown = subprocess.run([*command, "-outfmt", "6 evalue"], cwd=folder, capture_output=True, text=True, check=True)
    return [float(evalue) for evalue in shown.stdout.split()]


def sample(rows, count, **wanted):
    chosen = [row for row in rows if all(row[name] == value for name, value in wanted.items())]
    return [chosen[number] for number in np.random.default_rng(0).permutation(len(chosen))[:count]]


@pytest.mark.parametrize("task", ["blastn", "blastn-short"])
def test_positives_align_under_the_evalue_by_an_independent_search(rows, tmp_path, task):
    for row in sample(rows, 20, label=1):
        assert find_hits(tmp_path, row["sentence1"], row["sentence2"], task, 1e-5)


def test_identity_and_cigar_are_those_of_the_texts(rows):
    for row in (row for row in rows if row["label"] == 1):
        place1 = place2 = equal = columns = 0
        for size, kind in re.findall(r"(\d+)([=XID])", row["cigar"]):
            for _ in range(int(size)):
                if kind in "=X":
                    assert (row["sentence1"][place1] == row["sentence2"][place2]) == (kind == "=")
                place1, place2 = place1 + (kind in "=XI"), place2 + (kind in "=XD")
                equal, columns = equal + (kind == "="), columns + 1
        assert row["identity"] == pytest.approx(equal / columns)
        assert max(place1, place2) == 50


@pytest.mark.parametrize("task", ["blastn", "blastn-short"])
def test_random_negatives_have_no_hit_at_all_by_an_independent_search(rows, tmp_path, task):
    for row in sample(rows, 20, kind="random"):
        assert not find_hits(tmp_path, row["sentence1"], row["sentence2"], task, 10)


@pytest.mark.parametrize("kind", ["composition", "shuffled", "hard"])
def test_other_negatives_do_not_align_under_the_evalue(rows, tmp_path, kind):
    for row in sample(rows, 10, kind=kind):
        for task in ("blastn", "blastn-short"):
            assert not find_hits(tmp_path, row["sentence1"], row["sentence2"], task, 1e-5)


def test_texts_lie_where_they_say(rows, genomes):
    letters = dict(zip("AB", plant(pieces=PIECES, genomes=2, seed=1), strict=True))
    for row in rows:
        for side in "12":
            name, first, last, strand = re.match(r"(\w)\.1:(\d+)-(\d+)\(([+-])\)", row[f"location{side}"]).groups()
            there = letters[name][int(first) - 1 : int(last)]
            there = there if strand == "+" else reverse_complement(there)
            is_shuffled = row[f"location{side}"].endswith("/shuffled")
            assert is_shuffled == (row["kind"] == "shuffled" and side == "2")
            if not is_shuffled:
                assert row[f"sentence{side}"] == there
            elif row["kind"] == "shuffled":
                assert count_pairs(row["sentence2"]) == count_pairs(there) and row["sentence2"] != there
            assert row[f"organism{side}"] == f"Strain {name}"


def count_pairs(text):
    return Counter(text[place : place + 2] for place in range(len(text) - 1))


def test_kinds_stand_in_their_shares_and_labels_are_balanced(rows):
    kinds = Counter(row["kind"] for row in rows)
    negatives = sum(count for kind, count in kinds.items() if kind != "homolog")
    assert kinds["homolog"] == negatives > 100
    for kind in ("random", "composition", "shuffled", "hard"):
        assert 0.15 < kinds[kind] / negatives < 0.35


def test_composition_negatives_have_the_gc_of_the_true_partner(rows):
    partners = {row["location1"]: row for row in rows if row["label"] == 1}
    share = lambda text: sum(map(text.count, "GC")) / len(text)  # noqa: E731
    for row in (row for row in rows if row["kind"] == "composition"):
        assert abs(share(row["sentence2"]) - share(partners[row["location1"]]["sentence2"])) < 0.021


def test_hard_negatives_are_more_alike_than_random_ones(rows):
    def longest(row):
        first, second = row["sentence1"], row["sentence2"]
        return max(n for n in range(50) for place in range(51 - n) if first[place : place + n] in second)

    means = {
        kind: np.mean([longest(row) for row in rows if row["kind"] == kind])
        for kind in ("hard", "composition", "random")
    }
    assert means["hard"] > means["composition"] + 1 and means["hard"] > means["random"] + 2


@pytest.mark.parametrize(("task", "queries"), [("blastn", "train"), ("blastn-short", "test"), ("megablast", "train")])
def test_no_text_of_a_split_has_a_hit_in_the_other(built, task, queries):
    texts = {
        split: {row[side] for row in read(built, split) for side in ("sentence1", "sentence2")}
        for split in ("train", "test")
    }
    others = "test" if queries == "train" else "train"
    hits = blast.search(
        {text: text for text in sorted(texts[queries])},
        {text: text for text in sorted(texts[others])},
        program="blastn",
        evalue=1e-5,
        options=["-task", task, "-dust", "no"],
    )
    assert not list(hits)
    overlap = json.loads((built / "audit.json").read_text())["overlap"]["measured"]["test with train"]
    assert overlap == {"texts": len(texts["test"]), "equal_texts": 0, "texts_with_homologs": 0}


def test_a_seed_gives_the_same_bytes_and_another_gives_others(genomes, built, tmp_path):
    same = run(genomes, tmp_path / "same", negatives=KINDS)
    assert {path.name: path.read_bytes() for path in same.iterdir()} == {
        path.name.replace(built.parent.name, same.parent.name): path.read_bytes() for path in built.iterdir()
    }
    other = run(genomes, tmp_path / "other", negatives=KINDS, seed=1)
    assert not {row["pair_id"] for row in read_all(other)} >= {row["pair_id"] for row in read_all(same)}


@pytest.mark.exhaustive
def test_the_number_of_pairs_is_met(genomes, tmp_path):
    folder = run(genomes, tmp_path, num_pairs=60)
    assert [Counter(row["label"] for row in read(folder, split)) for split in ("train", "test")] == [
        {0: 24, 1: 24},
        {0: 6, 1: 6},
    ]
    with pytest.raises(InputError, match=r"--num_pairs=90000: \d+ pairs can be made .*ask for no more"):
        run(genomes, tmp_path, name="many", num_pairs=90000)


def test_a_whole_genome_on_the_other_strand_is_found(genomes, tmp_path):
    rows = read_all(run(genomes, tmp_path, subject="b.fa", regions="whole"))
    positives = [row for row in rows if row["label"] == 1]
    assert len(positives) > 60
    assert all(row["location1"].startswith("A.1:") and row["location2"].endswith("(-)") for row in positives)
    assert {row["organism2"] for row in rows} == {"b"}


def test_length_is_that_of_each_text(genomes, tmp_path):
    rows = read_all(run(genomes, tmp_path, length="61"))
    assert {len(row[side]) for row in rows for side in ("sentence1", "sentence2")} == {61}


def test_full_length_takes_whole_aligned_regions(genomes, tmp_path):
    rows = read_all(run(genomes, tmp_path, length="full", splits=["train:0.5", "test:0.5"]))
    lengths = [len(row["sentence1"]) for row in rows if row["label"] == 1]
    assert min(lengths) > 100 and max(lengths) <= 190 and len(set(lengths)) > 1
    partners = {row["location1"]: len(row["sentence2"]) for row in rows if row["label"] == 1}
    assert all(len(row["sentence2"]) == partners[row["location1"]] for row in rows)


@pytest.mark.exhaustive
def test_texts_have_as_many_tokens_as_those_of_another_dataset(genomes, tmp_path):
    from data_prep.tokenizer_training import train_tokenizer

    synthetic.build(tmp_path, seed=2, scale=0.03)
    corpora = [(f"{tmp_path}/synthetic_{domain}", 1.0) for domain in ("english", "dna")]
    train_tokenizer(tmp_path / "tokenizer", kind="bpe", corpora=corpora, vocab_size=400)
    source = next(str(path) for path in tmp_path.glob("synthetic_*pairs*"))
    tokenizer = load_tokenizer(str(tmp_path / "tokenizer"))
    folder = run(genomes, tmp_path, match_tokens_of=source, tokenizer=str(tmp_path / "tokenizer"))

    def count(pairs):
        return {tuple(len(ids) for ids in tokenizer.encode(texts)) for texts in pairs}

    wanted = count([pair.sentence1, pair.sentence2] for pair in PairSource(open_split(source, default=("train",))))
    positives = [row for row in read_all(folder) if row["label"] == 1]
    assert positives and count([row["sentence1"], row["sentence2"]] for row in positives) <= wanted


@pytest.mark.parametrize("identical", ["drop", pytest.param("keep", marks=pytest.mark.exhaustive)])
def test_equal_texts_are_dropped_or_kept(genomes, tmp_path, identical):
    rows = read_all(run(genomes, tmp_path, identical=identical, length="25", evalue=1e-4))
    equal = [row for row in rows if row["sentence1"] == row["sentence2"]]
    assert bool(equal) == (identical == "keep")
    assert all(row["label"] == 1 and row["identity"] == 1 for row in equal)


def test_identity_has_limits(genomes, tmp_path):
    rows = read_all(run(genomes, tmp_path, identity=["0.9", "0.95"]))
    assert {round(row["identity"], 4) for row in rows if row["label"] == 1} <= {0.9, 0.92, 0.94}


@pytest.mark.exhaustive
def test_a_stricter_evalue_leaves_fewer_pairs(genomes, tmp_path):
    sizes = [
        len(read_all(run(genomes, tmp_path, name=f"e{number}", evalue=evalue, split="all")))
        for number, evalue in enumerate([1e-3, 1e-13])
    ]
    assert sizes[0] > sizes[1] > 0


@pytest.mark.exhaustive
def test_splits_by_organism_and_by_hash(genomes, tmp_path):
    letters = plant(pieces=PIECES, genomes=4, seed=3)
    for name, genome in zip("CDEF", letters, strict=True):
        write_genbank(tmp_path / f"{name}.gb", genome, name=name, organism=f"Strain {name}", pieces=PIECES)
    settings = {"query": [str(tmp_path / "*.gb")], "splits": ["train:0.5", "test:0.5"], "num_pairs": 200}
    (folder,) = build(tmp_path, name="organisms", split_by="organism", **settings)
    organisms = [
        {row[side] for row in read(folder, split) for side in ("organism1", "organism2")} for split in ("train", "test")
    ]
    assert organisms[0] and organisms[1] and not organisms[0] & organisms[1]
    (folder,) = build(tmp_path, name="hashes", split_by="hash", **settings)
    clusters = [{row["cluster"] for row in read(folder, split) if row["label"] == 1} for split in ("train", "test")]
    assert clusters[0] & clusters[1]


def test_overlap_with_another_dataset_is_measured(genomes, built, tmp_path):
    folder = run(genomes, tmp_path, compare_with=[str(built.parent)], seed=5)
    measured = json.loads((folder / "audit.json").read_text())["overlap"]["measured"]
    assert set(measured) == {
        "test with train",
        *(f"{split} with d@{other}" for split in ("train", "test") for other in ("train", "test")),
    }
    assert sum(counts["texts_with_homologs"] for name, counts in measured.items() if "d@" in name) > 50


def test_a_second_build_of_the_same_input_does_nothing(genomes, tmp_path, capsys):
    run(genomes, tmp_path, num_pairs=20)
    run(genomes, tmp_path, num_pairs=20)
    assert "nothing to do" in capsys.readouterr().out
    with pytest.raises(InputError, match="other num_pairs"):
        run(genomes, tmp_path, num_pairs=22)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"length": "5"}, "--length=5: expected 20 letters or more, or 'full'"),
        ({"length": "50", "match_tokens_of": "x", "tokenizer": "y"}, "give one of the two"),
        ({"tokenizer": "y"}, "--tokenizer needs --match_tokens_of"),
        ({"identity": ["0.9"]}, "--identity=0.9: expected the least and the greatest"),
        ({"identical": "maybe"}, "choose one of: drop, keep"),
        ({"negatives": ["easy:1"]}, "'easy:1' is not KIND:SHARE"),
        ({"evalue": 0.0}, "--evalue=0: expected more than 0"),
        ({"split_by": "species"}, "--split_by=species is unknown"),
        ({"regions": "exons"}, "--regions=exons is unknown"),
        ({"num_pairs": 3}, "expected an even number"),
        ({"identity": ["0", "0.3"]}, "no pair of texts is homologous"),
        ({"length": "500"}, "--query: no sequence has the 500 letters of a text"),
        ({"subject": "none.gb"}, "--subject: .*none.gb does not exist"),
    ],
)
def test_what_cannot_be_used_is_refused(genomes, tmp_path, settings, message):
    with pytest.raises(InputError, match=message):
        run(genomes, tmp_path, **settings)
    assert not list(tmp_path.glob("d/*"))
