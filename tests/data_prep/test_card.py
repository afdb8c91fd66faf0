import json
import struct
import zlib

import numpy as np
import pytest

from data_prep.card import CardFacts, write_card
from data_prep.card_plot import _choose_edges, _choose_panels, draw_distributions
from data_prep.pair_audit import measure

FACTS = CardFacts(
    title="DNA pairs: a test",
    task="Label 1: one BLAST hit.",
    command="python -m data_prep.build --dataset=dna_pairs --query='*.gbk' --data_dir=DIR",
    sources=[
        {"path": "a.gbk", "accession": "NC_1.1", "organism": "Testus | exemplaris", "sha256": "ab" * 32},
        {"path": "b.fa", "sha256": "cd" * 32, "genetic_codes": "4"},
    ],
    tools=[{"name": "blastn", "version": "2.12.0+", "command": "blastn -evalue 1e-05"}],
    filters={"hits": 12345, "dropped: too short": 40, "pairs left": 61},
    overlap={"evalue": 1e-5, "programs": ["blastn"], "measured": {"test with train": {"texts": 539, "equal_texts": 0}}},
    licences=["Sequences of NCBI: no restrictions by NCBI."],
)


def make_rows(count, *, seed=5, text=False):
    rng = np.random.default_rng(seed)
    rows = []
    for number in range(count):
        label = number % 2
        first, second = ("".join(rng.choice(list("ACGT"), size=50)) for _ in range(2))
        row = {"pair_id": str(number), "sentence1": first, "sentence2": second, "label": label}
        biology = {"kind": ["random", "homolog"][label], "identity": round(rng.random(), 3) if label else 0.0}
        rows.append({**row, "sentence1": f"Text {number}!"} if text else {**row, **biology})
    return rows


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    rows = make_rows(61)
    folder = tmp_path_factory.mktemp("card")
    write_card(folder, {"train": rows[:47], "test": rows[47:]}, FACTS)
    return folder


def readme(folder):
    return (folder / "README.md").read_text()


def test_the_audit_holds_what_was_measured_and_what_the_builder_knows(folder):
    audit = json.loads((folder / "audit.json").read_text())
    assert audit["rows"] == 61
    assert audit["filters"] == [["hits", 12345], ["dropped: too short", 40], ["pairs left", 61]]
    assert audit["overlap"] == FACTS.overlap
    assert audit["sources"] == FACTS.sources
    assert audit["tools"] == FACTS.tools
    assert list(audit) == sorted(audit)


def test_two_cards_of_the_same_rows_are_equal_and_of_other_rows_not(folder, tmp_path):
    rows = make_rows(61)
    write_card(tmp_path / "again", {"train": rows[:47], "test": rows[47:]}, FACTS)
    other = make_rows(61, seed=6)
    write_card(tmp_path / "other", {"train": other[:47], "test": other[47:]}, FACTS)
    for name in ("README.md", "audit.json", "distributions.png"):
        assert (tmp_path / "again" / name).read_bytes() == (folder / name).read_bytes()
        assert (tmp_path / "other" / name).read_bytes() != (folder / name).read_bytes()


def test_the_readme_begins_with_metadata_for_the_hub(folder):
    from huggingface_hub import metadata_load

    assert metadata_load(folder / "README.md") == {
        "pretty_name": "DNA pairs: a test",
        "task_categories": ["text-classification"],
        "size_categories": ["n<1K"],
        "tags": ["dna", "biology", "sentence-pairs", "lingjax"],
    }


@pytest.mark.parametrize(
    "line",
    [
        "# DNA pairs: a test",
        "| train | 47 | 23 | 24 | 23 | 24 |",
        "| split | rows | label 1 | label 0 | homolog (1) | random (0) |",
        "| hits | 12,345 |",
        "| between | texts | equal texts |",
        "| test with train | 539 | 0 |",
        "| programs | blastn |",
        "| accession | organism | path | SHA-256 | genetic_codes |",
        f"| NC_1.1 | Testus \\| exemplaris | a.gbk | `{'ab' * 32}` |  |",
        "| blastn | 2.12.0+ | `blastn -evalue 1e-05` |",
        "- Sequences of NCBI: no restrictions by NCBI.",
        FACTS.command,
    ],
)
def test_the_readme_says_it(folder, line):
    assert line in readme(folder).splitlines()


def test_pairs_that_do_not_align_have_no_identity(folder):
    labels = [line.split(" | ")[1] for line in readme(folder).splitlines() if line.startswith("| identity")]
    assert labels == ["1"]


def test_every_table_of_the_readme_is_rectangular(folder):
    lines = [line.replace("\\|", "") for line in readme(folder).splitlines()]
    for number, line in enumerate(lines):
        if line.startswith("|") and lines[number - 1].startswith("|"):
            assert line.count("|") == lines[number - 1].count("|"), line


def test_the_example_of_loading_works_on_a_built_dataset(tmp_path):
    from data_prep.builders.pairs import build

    (tmp_path / "x.csv").write_text("sentence1,sentence2,label\na,b,1\nc,d,0\ne,f,0\n")
    (folder,) = build(tmp_path / "ds", name="x", source=[str(tmp_path / "x.csv")], split="dev")
    code = readme(folder).partition("```python\n")[2].partition("```")[0]
    lingjax_part = code[code.index("from lingjax") :]
    names = {"FOLDER": str(folder)}
    exec(lingjax_part, names)
    assert len(names["pairs"]) == 3


def test_a_dataset_without_sources_and_biology_has_a_short_card(tmp_path):
    write_card(tmp_path, {"all": make_rows(7, text=True)}, CardFacts(title="T", task="t", command="c"))
    text = readme(tmp_path)
    assert "Not stated by the sources." in text
    assert not any(heading in text for heading in ("## Sources", "## Tools", "## Overlap", "identity"))


def decode_png(path):
    """Returns width and height of a PNG, and the names of its chunks; checks their checksums."""
    data, position, chunks = path.read_bytes(), 8, []
    assert data.startswith(b"\x89PNG\r\n\x1a\n")
    while position < len(data):
        length, kind = struct.unpack(">I4s", data[position : position + 8])
        content = data[position + 8 : position + 8 + length]
        assert struct.unpack(">I", data[position + 8 + length : position + 12 + length])[0] == zlib.crc32(
            kind + content
        )
        chunks.append(kind.decode())
        position += 12 + length
    return struct.unpack(">II", data[16:24]), chunks


def test_the_plot_is_a_png_without_time_or_program(folder):
    (width, height), chunks = decode_png(folder / "distributions.png")
    assert width > 800
    assert height > 300
    assert not {"tIME", "tEXt", "iTXt", "zTXt"} & set(chunks)


@pytest.mark.parametrize(
    ("rows", "titles"),
    [
        (make_rows(9), ["Length of text 1 (DNA)", "Length of text 2 (DNA)", "GC content of text 1",
                        "GC content of text 2", "Identity of aligned pairs"]),
        (make_rows(9, text=True), ["Length of text 1 (text)", "Length of text 2 (DNA)", "GC content of text 2"]),
    ],
)  # fmt: skip
def test_there_is_a_panel_for_each_distribution(rows, titles):
    assert [title for title, *_ in _choose_panels(measure(rows))] == titles


def test_settings_of_this_machine_change_no_plot(tmp_path):
    import matplotlib

    measured = measure(make_rows(13))
    draw_distributions(tmp_path / "a.png", "title", measured)
    with matplotlib.rc_context({"font.size": 30, "savefig.facecolor": "red", "axes.grid": True}):
        draw_distributions(tmp_path / "b.png", "title", measured)
        assert matplotlib.rcParams["font.size"] == 30
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


@pytest.mark.parametrize("labels", [[0], [1], [0, 1]])
def test_a_dataset_of_one_label_or_one_row_can_be_drawn(tmp_path, labels):
    rows = [row for row in make_rows(5) if row["label"] in labels][: len(labels)]
    draw_distributions(tmp_path / "x.png", "title", measure(rows))
    decode_png(tmp_path / "x.png")


@pytest.mark.parametrize(
    ("values", "step"),
    [
        *(([5, 5], None), ([1, 3000], None)),
        *(([0.0, 1.0], 0.02), ([0.4, 0.4], 1 / 50), ([0.3, 0.9], 1 / 7), ([0.0], 0.01), ([1.0, 1.0], 0.02)),
    ],
)
def test_bins_cover_all_values(values, step):
    edges = _choose_edges(np.array(values), step)
    assert np.histogram(values, edges)[0].sum() == len(values)
    assert (np.diff(edges) > 0).all()
    assert len(edges) < 60
    assert step is None or (edges[0] > -0.01 and edges[-1] < 1.01)


def test_bins_of_shares_hold_as_many_possible_values_each():
    letters = 150
    counts, _ = np.histogram(np.arange(letters) / letters, _choose_edges(np.arange(letters + 1) / letters, 1 / letters))
    assert set(counts) == {3}
