import json
import re
import subprocess
import sys

import pytest

from data_prep import tokenizer_corpora
from data_prep.builders import synthetic
from data_prep.tokenizer_folder import REPORT_NAME
from data_prep.tokenizer_report import summarize
from data_prep.tokenizer_training import train_tokenizer
from data_prep.writer import write_dataset
from lingjax.data import load_tokenizer
from lingjax.errors import InputError

ANY_TEXT = "Zoë's 中文 ٣ \u0000\t\n \U0001f9ec ACGT<|endoftext|>  x"


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
    return synthetic.build(tmp_path_factory.mktemp("corpora"), seed=1, scale=0.1)[0].parent.parent


def references(data_dir, *weights):
    return [
        (f"{data_dir}/synthetic_{domain}", weight) for domain, weight in zip(("english", "dna"), weights, strict=True)
    ]


def train(out, data_dir, kind="bpe", vocab_size=400, weights=(1.0, 1.0), **arguments):
    return train_tokenizer(out, kind=kind, corpora=references(data_dir, *weights), vocab_size=vocab_size, **arguments)


@pytest.fixture(scope="module")
def bpe(data_dir):
    return train(data_dir / "bpe", data_dir)


@pytest.fixture(scope="module")
def wordpiece(data_dir):
    return train(data_dir / "wordpiece", data_dir, kind="wordpiece")


def read_report(folder):
    return json.loads((folder / REPORT_NAME).read_text())


def test_transformers_loads_bpe_as_gpt2s(bpe):
    from transformers import AutoTokenizer, GPT2TokenizerFast

    loaded = AutoTokenizer.from_pretrained(bpe)
    assert isinstance(loaded, GPT2TokenizerFast)
    assert loaded.bos_token == loaded.eos_token == "<|endoftext|>"
    assert loaded.pad_token is None
    assert loaded.model_max_length > 1e9
    assert len(loaded) == 400
    assert loaded("In Paris").input_ids == loaded.encode("In Paris", add_special_tokens=False)


@pytest.mark.parametrize("lowercase", [False, True])
def test_transformers_loads_wordpiece_as_berts(data_dir, tmp_path, lowercase):
    from transformers import AutoTokenizer, BertTokenizerFast

    loaded = AutoTokenizer.from_pretrained(train(tmp_path / "t", data_dir, kind="wordpiece", lowercase=lowercase))
    assert isinstance(loaded, BertTokenizerFast)
    specials = (loaded.pad_token, loaded.unk_token, loaded.cls_token, loaded.sep_token, loaded.mask_token)
    assert specials == ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
    assert loaded.convert_tokens_to_ids(list(specials)) == [0, 1, 2, 3, 4]
    assert loaded.all_special_ids == [1, 3, 0, 2, 4]
    assert loaded.model_max_length > 1e9
    encoded = loaded("In Paris", "in Rome")
    assert encoded.input_ids[0] == 2
    assert [i for i in encoded.input_ids if i == 3] == [3, 3]
    assert sorted(set(encoded.token_type_ids)) == [0, 1]
    assert (loaded.tokenize("In Paris") == loaded.tokenize("in paris")) is lowercase


def test_byte_level_bpe_spells_any_text(bpe):
    tokenizer = load_tokenizer(str(bpe))
    plain = ANY_TEXT.replace("<|endoftext|>", "")
    assert tokenizer.decode(tokenizer.encode([plain])[0]) == plain
    assert tokenizer.unknown_id is None


def test_what_is_written_cuts_texts_as_it_was_trained(data_dir, bpe, wordpiece):
    from tokenizers import Tokenizer

    texts = ["In 1984 Peter Lang protected Peter Duran in Oslo.", "ATGGCGTAA" * 9, ANY_TEXT]
    for folder in (bpe, wordpiece):
        trained = Tokenizer.from_file(str(folder / "tokenizer.json"))
        loaded = load_tokenizer(str(folder))
        expected = [encoding.ids for encoding in trained.encode_batch(texts, add_special_tokens=False)]
        assert [ids.tolist() for ids in loaded.encode(texts)] == expected


def test_wordpiece_round_trip_keeps_the_words(wordpiece):
    tokenizer = load_tokenizer(str(wordpiece))
    assert tokenizer.decode(tokenizer.encode(["In 1984 Peter Lang protected Peter Duran in Oslo"])[0]) == (
        "In 1984 Peter Lang protected Peter Duran in Oslo"
    )


@pytest.mark.parametrize("kind", ["bpe", "wordpiece"])
def test_two_runs_write_the_same_bytes(data_dir, tmp_path, kind):
    # In processes of their own: the trainer's hash maps are seeded once a process.
    code = (
        "import sys; from data_prep.tokenizer_training import train_tokenizer\n"
        f"train_tokenizer(sys.argv[1], kind={kind!r}, corpora={references(data_dir, 1.0, 1.0)!r}, vocab_size=400)"
    )
    for name in ("first", "second"):
        subprocess.run([sys.executable, "-c", code, str(tmp_path / name)], check=True)
    first, second = (
        {path.name: path.read_bytes() for path in (tmp_path / name).iterdir()} for name in ("first", "second")
    )
    assert first == second


def test_dna_is_one_unknown_token_unless_the_word_limit_is_raised(data_dir, wordpiece, tmp_path):
    raised = train(tmp_path / "t", data_dir, kind="wordpiece", max_word_characters=10_000)
    unknown = {
        folder: {c["domain"]: c["measured_on"]["unknown_token_fraction"] for c in read_report(folder)["corpora"]}
        for folder in (wordpiece, raised)
    }
    assert unknown[wordpiece] == {"english": 0.0, "dna": 1.0}
    assert unknown[raised] == {"english": 0.0, "dna": 0.0}
    sequence = "ACGT" * 100
    assert len(load_tokenizer(str(wordpiece)).encode([sequence])[0]) == 1
    assert len(load_tokenizer(str(raised)).encode([sequence])[0]) > 50


@pytest.mark.parametrize("kind", ["bpe", "wordpiece"])
def test_dna_is_cut_into_kmers_and_no_token_reaches_over_one(data_dir, tmp_path, kind):
    tokenizer = load_tokenizer(str(train(tmp_path / "t", data_dir, kind=kind, kmer=3)))
    alone = [tokenizer.encode([text])[0].tolist() for text in ("ATG", "GCG", "CA")]
    assert tokenizer.encode(["ATGGCGCA"])[0].tolist() == alone[0] + alone[1] + alone[2]
    # Every one of the 64 words is frequent, so each is a token.
    assert len(tokenizer.encode(["ATGGCG" * 50])[0]) == 100
    assert read_report(tmp_path / "t")["request"]["kmer"] == 3


@pytest.mark.parametrize("weights", [(1.0, 1.0), (3.0, 1.0), (0.1, 0.9)])
def test_shares_of_characters_are_as_weighted(data_dir, tmp_path, weights):
    corpora = read_report(train(tmp_path / "t", data_dir, vocab_size=260, weights=weights))["corpora"]
    for corpus, weight in zip(corpora, weights, strict=True):
        assert corpus["wanted_share"] == pytest.approx(weight / sum(weights))
        # Half a document of DNA is 500 of about 30,000 characters.
        assert corpus["share"] == pytest.approx(corpus["wanted_share"], abs=0.03)


def test_a_sample_of_so_many_characters_keeps_the_shares_and_is_stated(data_dir, tmp_path):
    report = read_report(train(tmp_path / "t", data_dir, vocab_size=260, weights=(1.0, 3.0), max_characters=16_000))
    english, dna = report["corpora"]
    assert english["characters"] == pytest.approx(4_000, abs=300)
    assert dna["characters"] == pytest.approx(12_000, abs=512)
    assert report["max_characters"] == report["request"]["max_characters"] == 16_000
    learnt, there = (english[key] + dna[key] for key in ("characters", "characters_available"))
    assert f"; learnt from {learnt:,} of {there:,} characters" in summarize(report)


@pytest.mark.parametrize(("weights", "limited"), [((1.0, 1.0), True), ((1.0, 0.0), False)])
def test_by_default_sequences_are_limited_and_english_is_not(data_dir, tmp_path, monkeypatch, weights, limited):
    monkeypatch.setattr(tokenizer_corpora, "MOST_SEQUENCE_CHARACTERS", 10_000)
    report = read_report(train(tmp_path / "t", data_dir, vocab_size=260, weights=weights))
    assert report["max_characters"] == (10_000 if limited else None)
    for corpus in report["corpora"]:
        assert corpus["characters"] == pytest.approx(10_000 if limited else corpus["characters_available"], abs=512)
    assert "max_characters" not in report["request"]


def test_a_weight_of_zero_leaves_a_corpus_out(data_dir, tmp_path):
    report = read_report(train(tmp_path / "t", data_dir, vocab_size=260, weights=(1.0, 0.0)))
    assert [corpus["domain"] for corpus in report["corpora"]] == ["english"]


def test_fertility_and_coverage_are_measured_on_held_out_text(data_dir, bpe):
    from data_prep.corpora import open_corpus

    english, dna = (corpus["measured_on"] for corpus in read_report(bpe)["corpora"])
    texts = list(open_corpus(f"{data_dir}/synthetic_english@validation", default=()))
    encoded = load_tokenizer(str(bpe)).encode(texts)
    tokens = sum(map(len, encoded))
    assert english == {
        "split": "validation",
        "documents": len(texts),
        "characters": sum(map(len, texts)),
        "tokens": tokens,
        "characters_per_token": sum(map(len, texts)) / tokens,
        "tokens_per_word": tokens / sum(len(re.findall(r"\S+", text)) for text in texts),
        "unknown_token_fraction": 0.0,
        "vocabulary_used_fraction": len({token_id for ids in encoded for token_id in ids.tolist()}) / 400,
    }
    assert dna["tokens_per_word"] is None


def test_the_report_reads_as_a_table(bpe):
    report = read_report(bpe)
    english = report["corpora"][0]["measured_on"]
    headline, columns, *lines = summarize(report).splitlines()
    assert headline == "400 tokens"
    assert columns.split("  ")[0] == "corpus"
    assert [line.split()[0] for line in lines] == ["synthetic_english", "synthetic_dna"]
    assert lines[0].split()[3:5] == [f"{english['characters_per_token']:.2f}", f"{english['tokens_per_word']:.2f}"]
    assert lines[1].split()[4] == "-"


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({"vocab_size": 256}, "vocab_size=256 is too small.* 257 at least"),
        ({"vocab_size": 50, "kind": "wordpiece"}, "vocab_size=50 is too small.*letters"),
        ({"kind": "worpiece"}, "did you mean 'wordpiece'"),
        ({"seed": -1}, "seed=-1"),
        ({"max_word_characters": 0}, "max_word_characters=0"),
        ({"kmer": 0}, "kmer=0 must be 1 or more"),
        ({"kmer": 3, "kind": "wordpiece", "lowercase": True}, "kmer=3 .* without --lowercase"),
        ({"max_characters": 0}, "max_characters=0: expected 1 or more"),
        ({"weights": (0.0, 0.0)}, "weight above 0"),
    ],
)
def test_impossible_arguments_are_refused_and_leave_nothing(data_dir, tmp_path, arguments, expected):
    with pytest.raises(InputError, match=expected):
        train(tmp_path / "t", data_dir, **arguments)
    assert not list(tmp_path.iterdir())


def test_pairs_are_no_corpus(data_dir, tmp_path):
    with pytest.raises(InputError, match="holds pairs, not a corpus"):
        train_tokenizer(tmp_path / "t", kind="bpe", corpora=[(f"{data_dir}/synthetic_dna_pairs", 1.0)], vocab_size=300)


def test_the_smallest_wordpiece_vocabulary_holds_the_letters_only(tmp_path):
    rows = [{"document_id": "a", "text": "abc ca"}, {"document_id": "b", "text": "中文 b"}]
    corpus = write_dataset(
        tmp_path, "tiny", {"train": rows}, kind="corpus", description="", request={}, info={"domain": "english"}
    )
    arguments = {"kind": "wordpiece", "corpora": [(str(corpus), 1.0)]}
    # Letters a b c 中 文; a, b, c also inside words; Chinese characters are words of their own.
    with pytest.raises(InputError, match="need 13 at least"):
        train_tokenizer(tmp_path / "t", vocab_size=12, **arguments)
    tokenizer = load_tokenizer(str(train_tokenizer(tmp_path / "t", vocab_size=13, **arguments)))
    assert tokenizer.vocab_size == 13
    assert len(tokenizer.encode(["cab文"])[0]) == 4


def test_the_same_call_keeps_the_folder_and_another_needs_overwrite(data_dir, tmp_path):
    out = train(tmp_path / "t", data_dir, vocab_size=260)
    modified = (out / "tokenizer.json").stat().st_mtime_ns
    train(out, data_dir, vocab_size=260)
    assert (out / "tokenizer.json").stat().st_mtime_ns == modified
    with pytest.raises(InputError, match="--overwrite"):
        train(out, data_dir, vocab_size=270)
    train(out, data_dir, vocab_size=270, overwrite=True)
    assert read_report(out)["vocab_size"] == 270
    assert [path.name for path in tmp_path.iterdir()] == ["t"]


def test_a_folder_of_something_else_is_never_replaced(data_dir, tmp_path):
    (tmp_path / "t").mkdir()
    (tmp_path / "t" / "thesis.txt").write_text("irreplaceable")
    with pytest.raises(InputError, match="no tokenizer that this command wrote"):
        train(tmp_path / "t", data_dir, overwrite=True)
    assert (tmp_path / "t" / "thesis.txt").read_text() == "irreplaceable"


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        ([], "missing: --kind, --corpora, --vocab_size, --out"),
        (["--kind=bpe", "--corpora=x", "--vocab_size=300", "--out=y", "--lowercase"], "--lowercase is for wordpiece"),
        (["--kind=bpe", "--corpora=/nowhere", "--vocab_size=300", "--out=y"], "no such dataset folder"),
    ],
)
def test_the_command_refuses_in_one_line(flags, expected):
    result = subprocess.run(
        [sys.executable, "-m", "data_prep.train_tokenizer", *flags], capture_output=True, text=True, check=False
    )
    assert result.returncode == 2
    assert expected in result.stderr
    assert result.stderr.count("\n") == 1
