import collections
import itertools
import json
import subprocess
import sys

import pytest
from tokenizers import Tokenizer, decoders, models, pre_tokenizers

from data_prep.builders import synthetic
from data_prep.corpora import open_corpus
from data_prep.tokenizer_extending import extend_tokenizer
from data_prep.tokenizer_folder import REPORT_NAME
from data_prep.tokenizer_kinds import train_bpe
from data_prep.tokenizer_training import train_tokenizer
from data_prep.writer import write_dataset
from lingjax.data import load_tokenizer
from lingjax.errors import InputError

SENTENCES = (
    "In 1984 Peter Lang protected Peter Duran in Oslo.",
    "A cat sat at the gate; Agatha caught a tactful gnat, and attacked it.",
    "“Catalogue the acacias,” said Zoë – the staccato cantata began again!",
    "It's DNA, isn't it?  Tagged\n\twith 3.5 mg of gadolinium.",
)
ANY_TEXT = "Zoë's 中文 ٣ \u0000\t\n \U0001f9ec ACGTACGT GATTACA MKVLAW<|endoftext|>  x"
COUNT = 97


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
    return synthetic.build(tmp_path_factory.mktemp("corpora"), seed=1, scale=0.1)[0].parent.parent


@pytest.fixture(scope="module")
def old(data_dir):
    """A tokenizer of each kind that knows English only, in which every word of it is whole or cut."""
    corpora = [(f"{data_dir}/synthetic_english", 1.0)]
    return {
        "bpe": train_tokenizer(data_dir / "bpe", kind="bpe", corpora=corpora, vocab_size=500),
        "wordpiece": train_tokenizer(
            data_dir / "wordpiece", kind="wordpiece", corpora=corpora, vocab_size=500, lowercase=True
        ),
    }


@pytest.fixture(scope="module")
def extended(old, data_dir):
    return {
        (kind, domain): extend(data_dir / f"{kind}_{domain}", old[kind], data_dir, domain=domain)
        for kind in old
        for domain in ("dna", "protein")
    }


def extend(out, source, data_dir, *, domain="dna", add_tokens=COUNT, **arguments):
    corpora = [(f"{data_dir}/synthetic_{domain}", 1.0)]
    return extend_tokenizer(out, source=str(source), corpora=corpora, add_tokens=add_tokens, **arguments)


def write_corpus(folder, name, texts, *, domain="english"):
    rows = [{"document_id": str(number), "text": text} for number, text in enumerate(texts)]
    write_dataset(folder, name, {"train": rows}, kind="corpus", description="", request={}, info={"domain": domain})
    return f"{folder}/{name}"


def read_report(folder):
    return json.loads((folder / REPORT_NAME).read_text())


def read_vocabulary(folder):
    return Tokenizer.from_file(str(folder / "tokenizer.json")).get_vocab()


def encode(folder, texts, **options):
    return [ids.tolist() for ids in load_tokenizer(str(folder), **options).encode(texts)]


def flatten(encoded):
    return list(itertools.chain.from_iterable(encoded))


def held_out_texts(data_dir, domain):
    return list(open_corpus(f"{data_dir}/synthetic_{domain}@validation", default=()))


CASES = [(kind, domain) for kind in ("bpe", "wordpiece") for domain in ("dna", "protein")]


@pytest.mark.parametrize("case", CASES)
def test_old_ids_keep_their_tokens_and_as_many_as_asked_for_follow(old, extended, case):
    before, after = read_vocabulary(old[case[0]]), read_vocabulary(extended[case])
    assert {token: after[token] for token in before} == before
    assert sorted(set(after.values()) - set(before.values())) == list(range(len(before), len(before) + COUNT))
    assert load_tokenizer(str(extended[case])).vocab_size == len(before) + COUNT


@pytest.mark.parametrize("case", CASES)
def test_a_sequence_gets_longer_tokens_and_many_are_new(extended, data_dir, case):
    texts = held_out_texts(data_dir, case[1])
    token_ids = flatten(encode(extended[case], texts))
    assert len(token_ids) < 0.8 * sum(map(len, texts))
    assert sum(token_id >= 500 for token_id in token_ids) > 0.4 * len(token_ids)


@pytest.mark.parametrize("domain", ["dna", "protein"])
def test_bpe_cuts_english_as_before(old, extended, data_dir, domain):
    texts = [*SENTENCES, *held_out_texts(data_dir, "english")]
    assert encode(extended["bpe", domain], texts) == encode(old["bpe"], texts)


def test_bpe_changes_no_word_in_small_letters_whatever_its_letters(old, extended):
    words = [" ".join(map("".join, itertools.product("acgt", repeat=6)))]
    assert encode(extended["bpe", "dna"], words) == encode(old["bpe"], words)


@pytest.mark.parametrize("case", CASES)
def test_kept_texts_are_cut_as_before_where_they_would_not_be_otherwise(old, data_dir, tmp_path, case):
    kind, domain = case
    # This WordPiece does not know a q inside a word; from protein it would.
    texts = [*SENTENCES, "THE CATTLE ATTACK A SLEEPY KLAGELLE, taking a caddy of agate", "Iraq's FQWWH"]
    kept = write_corpus(tmp_path, "kept", texts)
    without = extend(tmp_path / "without", old[kind], data_dir, domain=domain)
    with_keep = extend(tmp_path / "with_keep", old[kind], data_dir, domain=domain, keep=[kept])
    assert encode(without, texts) != encode(old[kind], texts)
    assert encode(with_keep, texts) == encode(old[kind], texts)
    assert len(read_vocabulary(with_keep)) == len(read_vocabulary(old[kind])) + COUNT
    measured = read_report(with_keep)["corpora"][-1]
    assert (measured["name"], measured["documents_kept"]) == ("kept", len(texts))
    assert measured["measured_on"]["changed_document_fraction"] == 0
    assert measured["measured_on"]["new_token_fraction"] == 0


def test_a_word_that_was_unknown_stays_so_if_it_is_to_be_kept(old, data_dir, tmp_path):
    word = "iraqis"
    unknown = load_tokenizer(str(old["wordpiece"])).unknown_id
    kept = write_corpus(tmp_path, "kept", [word])
    without, with_keep = (
        extend(tmp_path / name, old["wordpiece"], data_dir, domain="protein", keep=keep)
        for name, keep in (("without", []), ("with_keep", [kept]))
    )
    assert unknown not in encode(without, [word])[0]
    assert encode(with_keep, [word]) == encode(old["wordpiece"], [word]) == [[unknown]]


def test_every_new_bpe_token_is_reached_where_many_learnt_afresh_are_not(data_dir, tmp_path):
    # As GPT-2's, this tokenizer has merges of capital letters that were not learnt on DNA.
    corpora = [(f"{data_dir}/synthetic_{domain}", 1.0) for domain in ("english", "protein")]
    capitals = train_tokenizer(tmp_path / "capitals", kind="bpe", corpora=corpora, vocab_size=700)
    extended = Tokenizer.from_file(str(extend(tmp_path / "t", capitals, data_dir) / "tokenizer.json"))
    assert count_unreached(extended, range(700, 700 + COUNT)) == 0

    settings = json.loads((capitals / "tokenizer.json").read_text())
    texts = list(open_corpus(f"{data_dir}/synthetic_dna", default=["train"]))
    afresh = json.loads(train_bpe(lambda: texts, vocab_size=500).to_str())["model"]["merges"]
    new = [merge for merge in afresh if "".join(merge) not in settings["model"]["vocab"]][:COUNT]
    settings["model"]["merges"] += new
    settings["model"]["vocab"] |= {"".join(merge): 700 + number for number, merge in enumerate(new)}
    assert count_unreached(Tokenizer.from_str(json.dumps(settings)), range(700, 700 + len(new))) > COUNT / 3


def count_unreached(tokenizer, token_ids):
    return sum(tokenizer.encode(tokenizer.id_to_token(token_id)).ids != [token_id] for token_id in token_ids)


def test_each_bpe_merge_joins_the_most_frequent_neighbours_that_the_ones_before_leave(old, extended, data_dir):
    tokenizer = Tokenizer.from_file(str(old["bpe"] / "tokenizer.json"))
    texts = open_corpus(f"{data_dir}/synthetic_dna", default=["train"])
    words = [tokenizer.encode(text).tokens for text in texts]  # a text of DNA is one word
    merges = json.loads((extended["bpe", "dna"] / "tokenizer.json").read_text())["model"]["merges"][-COUNT:]
    for left, right in merges[:13]:
        counts = collections.Counter()
        for word in words:
            # A pair in a run of three equal tokens counts twice, as in the trainer.
            counts.update(itertools.pairwise(word))
        assert counts[left, right] == max(counts.values())
        words = [join(word, left, right) for word in words]


def join(word, left, right):
    joined = []
    for token in word:
        if joined and joined[-1] == left and token == right:
            joined[-1] = (left + right, "made")
        else:
            joined.append(token)
    return [token[0] if isinstance(token, tuple) else token for token in joined]


def test_byte_level_bpe_spells_any_text_still(extended):
    tokenizer = load_tokenizer(str(extended["bpe", "dna"]))
    text = ANY_TEXT.replace("<|endoftext|>", "")
    assert tokenizer.decode(tokenizer.encode([text])[0]) == text
    assert tokenizer.unknown_id is None


def test_wordpiece_takes_dna_that_was_unknown_and_gives_it_back_in_small_letters(old, extended):
    sequence = "ACGTTGCA" * 30
    unknown = load_tokenizer(str(old["wordpiece"])).unknown_id
    assert encode(old["wordpiece"], [sequence]) == [[unknown]]
    tokenizer = load_tokenizer(str(extended["wordpiece", "dna"]))
    assert tokenizer.decode(tokenizer.encode([sequence])[0]) == sequence.lower()


@pytest.mark.parametrize("case", CASES)
def test_transformers_reads_the_folder_as_lingjax_does(old, extended, data_dir, case):
    from transformers import AutoTokenizer

    theirs = AutoTokenizer.from_pretrained(extended[case])
    texts = [*SENTENCES, ANY_TEXT, *held_out_texts(data_dir, case[1])[:3]]
    expected = [theirs.encode(text, add_special_tokens=False) for text in texts]
    assert encode(extended[case], texts) == expected
    assert len(theirs) == 500 + COUNT
    before = AutoTokenizer.from_pretrained(old[case[0]])
    assert theirs.special_tokens_map == before.special_tokens_map
    assert theirs("In Paris", "in Rome")["input_ids"] == before("In Paris", "in Rome")["input_ids"]


def test_tokens_that_were_added_to_gpt2_before_keep_their_ids(old, data_dir, tmp_path):
    from transformers import AutoTokenizer

    theirs = AutoTokenizer.from_pretrained(old["bpe"])
    theirs.add_special_tokens({"pad_token": "[PAD]"})
    theirs.add_tokens(["protein:"])
    theirs.save_pretrained(tmp_path / "padded")
    out = extend(tmp_path / "out", tmp_path / "padded", data_dir)
    assert (theirs.pad_token_id, load_tokenizer(str(out)).pad_id) == (500, 500)
    assert {token: i for token, i in read_vocabulary(out).items() if i in (500, 501)} == {"[PAD]": 500, "protein:": 501}
    text = "a protein: x[PAD]<|endoftext|>"
    assert encode(out, [text]) == [theirs.encode(text)] == [AutoTokenizer.from_pretrained(out).encode(text)]
    assert load_tokenizer(str(out)).vocab_size == 502 + COUNT


@pytest.mark.parametrize(("kind", "limit"), [("bpe", {}), ("wordpiece", {"max_word_characters": 10_000})])
def test_the_report_counts_before_and_after(old, extended, data_dir, kind, limit):
    texts = held_out_texts(data_dir, "dna")
    before, after = (flatten(encode(folder, texts, **limit)) for folder in (old[kind], extended[kind, "dna"]))

    def counted(token_ids, vocab_size):
        return {
            "tokens": len(token_ids),
            "characters_per_token": sum(map(len, texts)) / len(token_ids),
            "tokens_per_word": None,
            "unknown_token_fraction": 0.0,
            "vocabulary_used_fraction": len(set(token_ids)) / vocab_size,
        }

    report = read_report(extended[kind, "dna"])
    assert (report["vocab_size_before"], report["vocab_size"]) == (500, 500 + COUNT)
    assert [corpus["measured_on"] for corpus in report["corpora"]] == [
        {
            "split": "validation",
            "documents": len(texts),
            "characters": sum(map(len, texts)),
            **counted(after, 500 + COUNT),
            "before": counted(before, 500),
            "new_token_fraction": sum(token_id >= 500 for token_id in after) / len(after),
            "changed_document_fraction": 1.0,
        }
    ]


def test_the_word_limit_becomes_that_of_the_longest_word_or_the_one_given(old, extended, data_dir, tmp_path):
    longest = max(len(text) for text in [*open_corpus(f"{data_dir}/synthetic_dna", default=["train"])])
    longest = max(longest, *map(len, held_out_texts(data_dir, "dna")))
    report = read_report(extended["wordpiece", "dna"])
    assert (report["max_word_characters_before"], report["max_word_characters"]) == (100, longest)
    given = extend(tmp_path / "given", old["wordpiece"], data_dir, max_word_characters=longest + 7)
    assert [len(ids) > 1 for ids in encode(given, ["A" * (longest + 7), "A" * (longest + 8)])] == [True, False]


def test_a_word_that_wordpiece_would_cut_for_minutes_is_refused(old, tmp_path):
    corpus = write_corpus(tmp_path, "genome", ["ACGT" * 2501, "ACGTTGCA" * 9], domain="dna")
    arguments = {"source": str(old["wordpiece"]), "corpora": [(corpus, 1.0)], "add_tokens": 2}
    with pytest.raises(InputError, match=r"a word of 10,004 characters.*--max_word_characters=10000"):
        extend_tokenizer(tmp_path / "t", **arguments)
    out = extend_tokenizer(tmp_path / "t", max_word_characters=100, **arguments)
    assert read_report(out)["corpora"][0]["measured_on"]["unknown_token_fraction"] > 0


@pytest.mark.parametrize("kind", ["bpe", "wordpiece"])
def test_two_runs_write_the_same_bytes(old, extended, data_dir, tmp_path, kind):
    # In a process of its own: the trainer's hash maps are seeded once a process.
    code = (
        "import sys; from data_prep.tokenizer_extending import extend_tokenizer\n"
        f"extend_tokenizer(sys.argv[1], source={str(old[kind])!r}, add_tokens={COUNT}, "
        f"corpora=[({f'{data_dir}/synthetic_dna'!r}, 1.0)])"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "again")], check=True)
    first, second = (
        {path.name: path.read_bytes() for path in folder.iterdir()}
        for folder in (extended[kind, "dna"], tmp_path / "again")
    )
    assert first == second


def test_the_same_call_keeps_the_folder_and_another_needs_overwrite(old, data_dir, tmp_path):
    out = extend(tmp_path / "t", old["bpe"], data_dir, add_tokens=5)
    modified = (out / "tokenizer.json").stat().st_mtime_ns
    extend(out, old["bpe"], data_dir, add_tokens=5)
    assert (out / "tokenizer.json").stat().st_mtime_ns == modified
    with pytest.raises(InputError, match="--overwrite"):
        extend(out, old["bpe"], data_dir, add_tokens=7)
    extend(out, old["bpe"], data_dir, add_tokens=7, overwrite=True)
    assert read_report(out)["vocab_size"] == 507
    assert [path.name for path in tmp_path.iterdir()] == ["t"]


@pytest.mark.parametrize(
    ("kind", "arguments", "expected"),
    [
        ("bpe", {"add_tokens": 0}, "--add_tokens=0 must be 1 or more"),
        ("bpe", {"seed": -1}, "--seed=-1"),
        ("bpe", {"add_tokens": 10**6}, r"--add_tokens=1000000: only [\d,]+ can be learnt"),
        ("wordpiece", {"add_tokens": 10**6}, r"--add_tokens=1000000: only [\d,]+ can be learnt"),
        ("bpe", {"max_word_characters": 200}, "max_word_characters is for WordPiece"),
        ("wordpiece", {"max_word_characters": 99}, "--max_word_characters=99 is below the limit.*100"),
        ("bpe", {"keep": ["/nowhere"]}, "no such dataset folder"),
    ],
)
def test_impossible_arguments_are_refused_and_leave_nothing(old, data_dir, tmp_path, kind, arguments, expected):
    with pytest.raises(InputError, match=expected):
        extend(tmp_path / "t", old[kind], data_dir, **arguments)
    assert not list(tmp_path.iterdir())


def test_what_occurs_once_is_not_learnt(old, tmp_path):
    texts = ["GATTACA", "GATTACA"]
    for number, found in ((1, False), (2, True)):
        corpus = write_corpus(tmp_path, f"times_{number}", texts[:number], domain="dna")
        arguments = {"source": str(old["bpe"]), "corpora": [(corpus, 1.0)], "add_tokens": 1}
        if found:
            extend_tokenizer(tmp_path / "t", **arguments)
        else:
            with pytest.raises(InputError, match="only 0 can be learnt"):
                extend_tokenizer(tmp_path / "t", **arguments)


def byte_level(model):
    tokenizer = Tokenizer(model)
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel()
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer


@pytest.mark.parametrize(
    ("tokenizer", "expected"),
    [
        (Tokenizer(models.WordLevel({"[UNK]": 0}, unk_token="[UNK]")), "it is WordLevel"),
        (Tokenizer(models.BPE({"a": 0}, [])), "it is not byte-level"),
        (byte_level(models.BPE({"a": 0}, [], ignore_merges=True)), "it takes whole words before merges"),
        (byte_level(models.BPE({"a": 0}, [], end_of_word_suffix="</w>")), "it marks a token's place in its word"),
        (Tokenizer(models.WordPiece({"[UNK]": 0}, unk_token="[UNK]")), "it has no normalizer or no pre-tokenizer"),
        (
            Tokenizer(models.WordPiece({"[UNK]": 0}, unk_token="[UNK]", continuing_subword_prefix="@@")),
            "it does not mark inner pieces by ##",
        ),
    ],
)
def test_a_tokenizer_that_cuts_otherwise_is_refused_with_the_reason(data_dir, tmp_path, tokenizer, expected):
    from transformers import PreTrainedTokenizerFast

    PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token="[PAD]").save_pretrained(tmp_path / "given")
    with pytest.raises(InputError, match=f"is no byte-level BPE like GPT-2's and no WordPiece.*{expected}"):
        extend(tmp_path / "t", tmp_path / "given", data_dir)


def test_a_tokenizer_that_cuts_at_random_is_refused(data_dir, tmp_path):
    from transformers import PreTrainedTokenizerFast

    tokenizer = byte_level(models.BPE({"a": 0}, [], dropout=0.1))
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token="[PAD]").save_pretrained(tmp_path / "given")
    with pytest.raises(InputError, match=r"cuts texts at random \(dropout=0.1\); set dropout to null"):
        extend(tmp_path / "t", tmp_path / "given", data_dir)


def test_wordpiece_with_a_token_added_as_a_single_word_is_refused(old, data_dir, tmp_path):
    from tokenizers import AddedToken
    from transformers import AutoTokenizer

    theirs = AutoTokenizer.from_pretrained(old["wordpiece"])
    theirs.add_tokens([AddedToken("genome", single_word=True)])
    theirs.save_pretrained(tmp_path / "given")
    with pytest.raises(InputError, match="a token was added to it as a single word"):
        extend(tmp_path / "t", tmp_path / "given", data_dir)


def test_a_slow_tokenizer_and_a_missing_one_are_refused(data_dir, tmp_path):
    (tmp_path / "slow").mkdir()
    (tmp_path / "slow" / "vocab.txt").write_text("a\n")
    (tmp_path / "slow" / "tokenizer_config.json").write_text('{"tokenizer_class": "ByT5Tokenizer"}')
    with pytest.raises(InputError, match="ByT5Tokenizer is not a fast tokenizer"):
        extend(tmp_path / "t", tmp_path / "slow", data_dir)
    with pytest.raises(InputError, match="no such folder"):
        extend(tmp_path / "t", tmp_path / "missing", data_dir)


def run_command(*flags):
    return subprocess.run(
        [sys.executable, "-m", "data_prep.train_tokenizer", *flags], capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        (["--extend=x"], "missing: --corpora, --add_tokens, --out"),
        (
            ["--extend=x", "--corpora=x", "--add_tokens=5", "--out=y", "--vocab_size=9", "--kind=bpe", "--lowercase"],
            "--kind is for training anew; --vocab_size is for training anew; --lowercase is for training anew",
        ),
        (["--extend=x", "--corpora=/nowhere", "--add_tokens=5", "--out=y"], "no such dataset folder"),
        (
            ["--kind=bpe", "--corpora=x", "--vocab_size=300", "--out=y", "--add_tokens=5", "--keep=z"],
            "--add_tokens is for --extend; --keep is for --extend",
        ),
    ],
)
def test_the_command_refuses_in_one_line(flags, expected):
    result = run_command(*flags)
    assert result.returncode == 2
    assert expected in result.stderr
    assert result.stderr.count("\n") == 1


def test_the_command_prints_the_report_as_a_table(old, data_dir, tmp_path):
    result = run_command(
        f"--extend={old['wordpiece']}",
        f"--corpora={data_dir}/synthetic_dna:1",
        f"--keep={data_dir}/synthetic_english",
        "--add_tokens=11",
        f"--out={tmp_path / 't'}",
    )
    assert result.returncode == 0, result.stderr
    lines = result.stdout.splitlines()
    assert lines[0].startswith(f"{tmp_path / 't'}: 511 tokens, 11 of them new; words of up to ")
    assert [line.split()[:3] for line in lines[2:]] == [
        ["synthetic_dna", "validation", "before"],
        ["extended", *lines[3].split()[1:3]],
        ["synthetic_english", "validation", "before"],
        ["extended", *lines[5].split()[1:3]],
    ]
    assert lines[5].split()[-2:] == ["0.00%", "0.00%"]
    (dna, _) = read_report(tmp_path / "t")["corpora"]
    assert lines[3].split()[1] == f"{dna['measured_on']['characters_per_token']:.2f}"
