"""Runs where Apache Beam is installed; on its in-process runner, without a network."""

import random

import pytest

pytest.importorskip("apache_beam", reason='Apache Beam is not installed: pip install -e ".[beam]"')

from data_prep.builders import corpus
from data_prep.corpora import open_corpus
from data_prep.engines import choose_engine
from data_prep.packing import pack
from data_prep.tokenizer_training import train_tokenizer
from lingjax.data import load_tokenizer
from lingjax.errors import InputError

# Beam's own libraries warn about each other.
pytestmark = pytest.mark.filterwarnings("ignore")


def beam(tmp_path, *options):
    return choose_engine("beam", options, data_dir=tmp_path, name="x")


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture
def sources(tmp_path):
    """Twenty-three files of proteins with copies within and between them."""
    rng = random.Random(0)
    known = ["".join(rng.choices("ACDEFGHIKLMNPQRSTVWY", k=rng.randint(9, 60))) for _ in range(90)]
    for number in range(23):
        records = [f">r{line}\n{rng.choice(known)}*\n" for line in range(11)]
        (tmp_path / f"{number:02d}.faa").write_text("".join(records))
    return [str(tmp_path / "*.faa")]


def build(data_dir, sources, **flags):
    return corpus.build(data_dir, domain="protein", name="p", source=sources, **flags)[0]


def test_corpora_and_rows_are_those_of_the_local_engine_byte_for_byte(tmp_path, sources, monkeypatch):
    monkeypatch.setattr(corpus, "_PART_BYTES", 1000)  # several files a part, several parts
    local = build(tmp_path / "local", sources, splits=["train:0.7", "validation:0.3"])
    beamed = build(tmp_path / "beam", sources, splits=["train:0.7", "validation:0.3"], engine="beam")
    assert len(open_corpus(f"{local}@train", default=()).shards()) > 3
    assert contents(beamed) == contents(local)

    out = train_tokenizer(tmp_path / "tokenizer", kind="bpe", corpora=[(str(local), 1.0)], vocab_size=300)
    arguments = {"name": "rows", "corpus": str(local), "tokenizer": load_tokenizer(str(out)), "length": 31}
    rows = pack(tmp_path / "local", shard_bytes=3000, **arguments)
    beamed = pack(tmp_path / "beam", shard_bytes=3000, engine=beam(tmp_path / "beam"), **arguments)
    assert len(list(rows.glob("*train*.index"))) > 3
    assert contents(beamed) == contents(rows)
    assert sorted(path.name for path in (tmp_path / "beam").iterdir()) == ["p", "rows"]


def test_problems_are_those_of_the_local_engine(tmp_path, sources):
    (tmp_path / "05.faa").write_text(">bad\nM1K\n")
    (tmp_path / "17.faa").write_bytes(b">bad\n\xff\n")
    messages = []
    for engine in ("local", "beam"):
        with pytest.raises(InputError) as caught:
            build(tmp_path / engine, sources, engine=engine)
        messages.append(str(caught.value))
    assert messages[0] == messages[1]
    assert "05.faa: record 1 (bad): '1' at letter 2" in messages[0]
    assert "17.faa:2: byte 0xff" in messages[0]
    assert list((tmp_path / "beam").iterdir()) == []


def test_results_keep_the_order_of_items_and_leave_nothing(tmp_path):
    assert beam(tmp_path).map(lambda item, advance: item * 2, range(7), total=7, unit="") == [*range(0, 14, 2)]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("runner=Nope", "runner=Nope cannot be used: Unexpected pipeline runner: Nope"),
        ("direct_num_workers=x", "cannot be used: .*argument --direct_num_workers: invalid int value: 'x'"),
    ],
)
def test_options_that_beam_does_not_take_are_named(tmp_path, option, message):
    with pytest.raises(InputError, match=message):
        beam(tmp_path, option)


def test_a_bug_keeps_its_traceback_and_leaves_nothing(tmp_path):
    with pytest.raises(Exception, match="division by zero"):
        beam(tmp_path).map(lambda item, advance: 1 / item, [1, 0], total=2, unit="")
    assert list(tmp_path.iterdir()) == []
