import gzip
import json

import numpy as np
import pytest

from data_prep.builders.pairs import build, read_pairs
from data_prep.splits import choose_split
from lingjax.data import PairSource, open_split
from lingjax.errors import InputError


@pytest.fixture
def files(tmp_path):
    """Writes files into a folder and returns their paths."""

    def write(**contents):
        paths = []
        for name, text in contents.items():
            paths.append(tmp_path / "source" / name.replace("__", "."))
            paths[-1].parent.mkdir(exist_ok=True)
            paths[-1].write_bytes(gzip.compress(text.encode()) if name.endswith("gz") else text.encode())
        return paths

    return write


def read(paths):
    return read_pairs(paths).records


def test_rows_of_all_files_become_records_in_order(files):
    paths = files(
        b__tsv="id\tsentence1\tsentence2\tlabel\n7\ta\tb\t1\n",
        a__jsonl='{"label": 0, "sentence1": "c", "sentence2": "d"}\n',
    )
    assert read(paths) == [
        {"pair_id": "7", "sentence1": "a", "sentence2": "b", "label": 1},
        {"pair_id": "a.jsonl:1", "sentence1": "c", "sentence2": "d", "label": 0},
    ]


@pytest.mark.parametrize("column", ["", "index", "Unnamed: 0"])
def test_a_leading_row_number_of_a_csv_is_no_id(files, column):
    table = read_pairs(files(x__csv=f"{column},sentence1,sentence2,label\n4,a,b,1\n4,c,d,0\n"))
    assert [record["pair_id"] for record in table.records] == ["x.csv:1", "x.csv:2"]
    assert table.dropped == {}


def test_compressing_a_file_changes_no_id(files):
    assert read(files(x__csv__gz="sentence1,sentence2,label\na,b,1\n"))[0]["pair_id"] == "x.csv:1"


def test_optional_columns_stay_if_every_row_of_every_file_has_them(files):
    header = "sentence1,sentence2,label,identity,source,group\n"
    table = read_pairs(files(a__csv=header + "a,b,1,0.5,x,gene 1\n", b__csv=header + "c,d,0,1e-1,y,gene 2\n"))
    assert table.optional == ("identity", "source", "group")
    kept = [(record["identity"], record["source"], record["group"]) for record in table.records]
    assert kept == [(0.5, "x", "gene 1"), (0.1, "y", "gene 2")]
    assert table.dropped == {}


def test_optional_columns_with_gaps_and_unknown_columns_are_left_out_and_counted(files):
    text = "sentence1,sentence2,label,identity,source,note\na,b,1,0.5,x,n\nc,d,0,nan,y,n\ne,f,0,,z,n\n"
    table = read_pairs(files(x__csv=text))
    assert table.optional == ("source",)
    assert set(table.records[0]) == {"pair_id", "sentence1", "sentence2", "label", "source"}
    assert table.dropped == {"values of column 'identity', which not every row has": 1, "values of column 'note'": 3}


def test_problems_of_all_files_are_reported_together(files):
    paths = files(
        a__tsv="id\tsentence1\tsentence2\tlabel\n1\ta\tb\t2\n2\t\td\t1\n3\te\n",
        b__csv="sentence1,sentance2,label\na,b,1\n",
        c__jsonl='{"sentence1": "a", "sentence2": "b", "label": 1}\n{"sentence1": "a", "label": 1}\n{"sentence1"\n',
        d__tsv="",
        e__csv="id,sentence1,sentence2,label\n9,a,b,1\n9,c,d,1\n",
    )
    with pytest.raises(InputError) as caught:
        read(paths)
    folder = paths[0].parent
    for problem in [
        f"{folder}/a.tsv:2: label is '2', not 0 or 1",
        f"{folder}/a.tsv:3: sentence1 is empty",
        f"{folder}/a.tsv:4: 2 fields where the header has 4",
        f"{folder}/b.csv: no column 'sentence2'; the columns are 'sentence1', 'sentance2', 'label'",
        f"{folder}/c.jsonl:2: sentence2 is missing",
        f"{folder}/c.jsonl:3: not JSON",
        f"{folder}/d.tsv is empty",
        f"{folder}/e.csv:3: pair_id '9' is already that of {folder}/e.csv:2",
    ]:
        assert problem in str(caught.value)


def test_ten_problems_are_spelled_out_and_the_others_counted(files):
    rows = "".join(f'{{"sentence1": "a", "sentence2": "b", "label": {number}}}\n' for number in range(2, 25))
    with pytest.raises(InputError, match=r"; and 13 more$"):
        read(files(x__jsonl=rows))


def test_equal_ids_within_one_line_of_json_are_noticed(files):
    row = '{"id": 1, "sentence1": "a", "sentence2": "b", "label": 0}'
    with pytest.raises(InputError, match=r"x.json:1 \(element 2\): pair_id '1' is already that of .*\(element 1\)"):
        read(files(x__json=f"[{row}, {row}]"))


@pytest.mark.parametrize(
    ("header", "problem"),
    [
        ("Sentence1,sentence2,gold", "no column 'sentence1' and 'label'; the columns are 'Sentence1', 'sentence2', 'gold'; rename 'Sentence1' to 'sentence1'?"),  # noqa: E501
        (" sentence1,sentance2,label", "no column 'sentence1' and 'sentence2'; the columns are ' sentence1', 'sentance2', 'label'; rename ' sentence1' to 'sentence1' and 'sentance2' to 'sentence2'?"),  # noqa: E501
        ("x,y,z", "no column 'sentence1' and 'sentence2' and 'label'; the columns are 'x', 'y', 'z'"),
    ],
)  # fmt: skip
def test_every_missing_column_is_named_with_the_nearest(files, header, problem):
    with pytest.raises(InputError) as caught:
        read(files(x__csv=f"{header}\na,b,1\n"))
    assert str(caught.value).endswith(f"x.csv: {problem}")


@pytest.fixture
def table(files):
    rows = [f'{number},"He said ""{number}"",\nthen left",b{number},{number % 2}\n' for number in range(60)]
    return files(x__csv="id,sentence1,sentence2,label\n" + "".join(rows))[0]


def read_back(folder, split):
    return list(PairSource(open_split(f"{folder}@{split}", default=[])))


def test_a_built_dataset_holds_the_rows_of_the_table(table, tmp_path):
    (folder,) = build(tmp_path / "ds", name="x", source=[str(table)])
    pairs = read_back(folder, "train")
    assert [(pair.pair_id, pair.sentence1, pair.sentence2, pair.label) for pair in pairs] == [
        (str(number), f'He said "{number}",\nthen left', f"b{number}", number % 2) for number in range(60)
    ]


def test_splits_divide_the_rows_by_the_hash_of_their_id(table, tmp_path):
    (folder,) = build(tmp_path / "ds", name="x", source=[str(table)], splits=["train:0.7", "dev:0.1", "test:0.2"])
    fractions = {"train": 0.7, "dev": 0.1, "test": 0.2}
    seen = []
    for split in fractions:
        pairs = read_back(folder, split)
        assert {choose_split(pair.pair_id, fractions) for pair in pairs} == {split}
        seen += [int(pair.pair_id) for pair in pairs]
    assert sorted(seen) == list(range(60))


def test_building_again_does_nothing_unless_the_input_changed(table, tmp_path, capsys):
    arguments = {"name": "x", "source": [str(table)]}
    (folder,) = build(tmp_path, splits=["a:0.5", "b:0.5"], **arguments)
    before = (folder / "lingjax.json").stat()
    assert build(tmp_path, splits=["a:0.5", "b:0.5"], **arguments) == [folder]
    assert (folder / "lingjax.json").stat() == before
    assert "nothing to do" in capsys.readouterr().out
    with pytest.raises(InputError, match="other split_fractions"):
        build(tmp_path, splits=["b:0.5", "a:0.5"], **arguments)
    table.write_text(table.read_text() + "99,a,b,1\n")
    with pytest.raises(InputError, match="other sources"):
        build(tmp_path, splits=["a:0.5", "b:0.5"], **arguments)
    build(tmp_path, splits=["a:0.5", "b:0.5"], overwrite=True, **arguments)
    assert sum(split["rows"] for split in json.loads((folder / "lingjax.json").read_text())["splits"].values()) == 61


def test_bad_rows_leave_nothing_and_keep_the_old_dataset(files, tmp_path):
    good, bad = files(good__csv="sentence1,sentence2,label\na,b,1\n", bad__csv="sentence1,sentence2,label\na,b,7\n")
    with pytest.raises(InputError, match="label is '7'"):
        build(tmp_path / "ds", name="x", source=[str(bad)])
    assert not (tmp_path / "ds").exists()
    (folder,) = build(tmp_path / "ds", name="x", source=[str(good)])
    with pytest.raises(InputError, match="label is '7'"):
        build(tmp_path / "ds", name="x", source=[str(bad)], overwrite=True)
    assert len(read_back(folder, "train")) == 1


def test_a_split_that_no_row_falls_into_is_an_error(files, tmp_path):
    (path,) = files(x__csv="id,sentence1,sentence2,label\n1,a,b,1\n")
    with pytest.raises(InputError, match="has no rows"):
        build(tmp_path / "ds", name="x", source=[str(path)], splits=["train:0.5", "test:0.5"])
    assert list((tmp_path / "ds").iterdir()) == []


def test_split_and_splits_exclude_each_other(table, tmp_path):
    with pytest.raises(InputError, match="give one of the two"):
        build(tmp_path, name="x", source=[str(table)], split="train", splits=["train:1"])


def test_the_audit_of_the_studys_format_shows_conflicting_labels_and_negatives_that_encode(files, tmp_path):
    """150 nucleotides, at most 50 residues, rows sorted by label: as the study published its pairs."""
    rng = np.random.default_rng(17)
    codon_of = {
        "A": "GCT",
        "K": "AAA",
        "R": "CGT",
        "W": "TGG",
        "C": "TGC",
        "D": "GAT",
        "E": "GAA",
        "F": "TTT",
        "G": "GGT",
    }
    proteins = ["".join(rng.choice(list(codon_of), size=50)) for _ in range(40)]
    genes = ["".join(codon_of[residue] for residue in protein) for protein in proteins]
    positives = [(dna, protein, 1) for dna, protein in zip(genes, proteins, strict=True)]
    negatives = [(genes[number], proteins[(number + 1) % 40], 0) for number in range(30)]
    mislabelled = [(genes[number], proteins[number], 0) for number in (3, 5, 7)]
    doubtful = [(genes[number], proteins[number + 1][:40] + proteins[number][20:27], 0) for number in range(10, 17)]
    rows = positives + negatives + mislabelled + doubtful
    lines = [json.dumps({"sentence1": dna, "sentence2": protein, "label": label}) for dna, protein, label in rows]
    (folder,) = build(tmp_path / "ds", name="x", source=[str(files(study__jsonl="\n".join(lines))[0])])
    audit = json.loads((folder / "audit.json").read_text())
    assert audit["alphabets"] == {"sentence1": "dna", "sentence2": "protein"}
    assert (audit["conflicting_label_pairs"], audit["conflicting_label_rows"]) == (3, 6)
    assert audit["positives_that_encode_fraction"] == 1.0
    assert (audit["negatives_that_encode"], audit["negatives_that_encode_fraction"]) == (10, 0.25)
    card = (folder / "README.md").read_text()
    assert "| pairs that occur with both labels | 3 |" in card
    assert "in any of six frames | 10 (25.0%) |" in card


def test_the_card_gives_the_command_without_paths_of_this_machine(table, tmp_path):
    (folder,) = build(tmp_path / "ds", name="x", source=[str(table)], splits=["train:0.7", "test:0.3"])
    card = (folder / "README.md").read_text()
    assert "--name=x --source=x.csv --splits=train:0.7,test:0.3 --data_dir=DIR" in card
    assert str(tmp_path) not in card
    assert str(tmp_path) not in (folder / "audit.json").read_text()
