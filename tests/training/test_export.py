"""Every kind of exported folder, loaded by transformers and called as a stranger would call it."""

import functools
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
import transformers
from flax import nnx
from tokenizers import processors

from data_prep.tokenizer_kinds import save_tokenizer, train_bpe, train_wordpiece
from lingjax.data import PairEncoder, PairRecord, load_tokenizer
from lingjax.errors import InputError
from lingjax.models import (
    PAIRS_KEY,
    ModelConfig,
    build_model,
    load_pretrained,
    merge_model,
    parameters_of,
    read_config_json,
    read_pair_settings,
)
from lingjax.training.export import export_model

ROWS = 310  # of the token table: more than any of these tokenizers has tokens, but for the extended one
TEXTS = ["the cat sat on the mat", "a dog ran along the old river", "ACGTTGCAACGTTAGC", "MKVLATQWERTY", "TTAGGCAT"]
PAIRS = [
    ("the cat sat", "a dog ran along the river bank"),
    ("ACGTTGCAAC", "MKV"),
    ("a", "b"),
    ("the old river", "ACGTACGTTTAGGCATTAGC cat"),
    ("TTAGG", "the mat"),
]
SHAPE = {"max_length": 67, "width": 40, "depth": 2, "num_heads": 5, "mlp_width": 31}
CONFIGS = {
    "gpt2": ModelConfig(family="gpt2", vocab_size=ROWS, pad_id=0, **SHAPE),
    "bert": ModelConfig(
        family="bert", vocab_size=ROWS, segment_count=2, activation="gelu", norm_epsilon=1e-12, **SHAPE
    ),
}


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Tokenizer folders by kind, as `data_prep.train_tokenizer` writes them, and changed as strangers change them."""
    root = tmp_path_factory.mktemp("tokenizers")

    def read():
        return TEXTS * 3

    trained = {
        "bpe": train_bpe(read, vocab_size=290),
        "bpe_kmer": train_bpe(read, vocab_size=280, kmer=3),
        "wordpiece": train_wordpiece(read, vocab_size=120, lowercase=False, max_word_characters=100),
        "wordpiece_limit": train_wordpiece(read, vocab_size=120, lowercase=False, max_word_characters=1000),
        "wordpiece_kmer": train_wordpiece(read, vocab_size=120, lowercase=False, max_word_characters=100, kmer=3),
    }
    for name, tokenizer in trained.items():
        (root / name).mkdir()
        save_tokenizer(tokenizer, root / name)

    def change(name, source, edit=lambda theirs: theirs, **settings):
        edit(transformers.AutoTokenizer.from_pretrained(root / source)).save_pretrained(root / name)
        path = root / name / "tokenizer_config.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | settings))

    def with_pad(theirs):
        theirs.add_special_tokens({"pad_token": "[PAD]"})
        return theirs

    def bare(theirs):
        theirs.backend_tokenizer.post_processor = None
        options = theirs.special_tokens_map
        return transformers.PreTrainedTokenizerFast(tokenizer_object=theirs.backend_tokenizer, **options)

    def starts(theirs):
        template = processors.TemplateProcessing(single="<|endoftext|> $A", special_tokens=[("<|endoftext|>", 0)])
        theirs.backend_tokenizer.post_processor = template
        return theirs

    def extended(theirs):
        theirs.add_tokens([f"ACGT{number}" for number in range(ROWS - len(theirs))])
        return theirs

    change("bpe_own_pad", "bpe", with_pad)
    change("bpe_pad_is_end", "bpe", pad_token="<|endoftext|>")
    change("bpe_left", "bpe", with_pad, padding_side="left")
    change("bpe_starts", "bpe", starts)
    change("bpe_extended", "bpe", extended)
    change("wordpiece_bare", "wordpiece", bare)
    change("wordpiece_extended", "wordpiece", extended)
    return root


@pytest.fixture(scope="module")
def weights():
    """A function that gives the random parameters of a family."""

    @functools.cache
    def make(family):
        build = jax.jit(lambda key: parameters_of(build_model(CONFIGS[family], "pairs", rngs=nnx.Rngs(key))))
        generator = np.random.default_rng(5)
        noise = {"scale": 1.0, "bias": 0.0}
        return jax.tree.map_with_path(
            lambda path, leaf: generator.normal(noise.get(path[-1].key, 0.0), 0.3, leaf.shape).astype(np.float32),
            build(jax.random.key(0)),
        )

    return make


@functools.partial(jax.jit, static_argnames="config")
def _classify(config, parameters, token_ids, document_ids, segment_ids, pool_positions):
    positions = jnp.broadcast_to(jnp.arange(token_ids.shape[1]), token_ids.shape)
    inputs = {"document_ids": document_ids, "positions": positions, "segment_ids": segment_ids}
    return merge_model(config, "pairs", parameters)(token_ids, pool_positions=pool_positions, **inputs)[:, 0]


def _our_logits(config, parameters, tokenizer, pair_format):
    encoder = PairEncoder(tokenizer, pair_format=pair_format, max_length=67)
    encoded = encoder.encode([PairRecord(str(number), *pair, 0) for number, pair in enumerate(PAIRS)])
    token_ids, segment_ids, documents = np.zeros((3, len(PAIRS), 67), np.int32)
    for row, pair in enumerate(encoded):
        token_ids[row, : len(pair.token_ids)], documents[row, : len(pair.token_ids)] = pair.token_ids, 1
        segment_ids[row, : len(pair.token_ids)] = pair.segment_ids
    pools = np.array([[pair.pool_position] for pair in encoded])
    return np.asarray(_classify(config, parameters, token_ids, documents, segment_ids, pools))


def _their_logits(folder, pair_format):
    """Batched and padded, by the folder's own tokenizer."""
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    model, loading = transformers.AutoModelForSequenceClassification.from_pretrained(folder, output_loading_info=True)
    assert not any(loading[kind] for kind in ("missing_keys", "unexpected_keys", "mismatched_keys"))
    firsts, seconds = zip(*PAIRS, strict=True)
    texts = ([a + b for a, b in PAIRS],) if pair_format == "concat" else (list(firsts), list(seconds))
    called = tokenizer(*texts, padding=True, return_tensors="pt")
    assert len({int(length) for length in called["attention_mask"].sum(1)}) > 2  # that is: padding was needed
    with torch.no_grad():
        return model.eval()(**called).logits.numpy()


KINDS = [
    ("gpt2", "concat", "bpe"),
    ("gpt2", "separated", "bpe"),
    ("gpt2", "concat", "bpe_own_pad"),
    ("gpt2", "separated", "bpe_own_pad"),
    ("gpt2", "concat", "bpe_pad_is_end"),
    ("gpt2", "separated", "bpe_pad_is_end"),
    ("gpt2", "concat", "bpe_kmer"),
    ("gpt2", "separated", "bpe_kmer"),
    ("gpt2", "concat", "bpe_left"),
    ("gpt2", "concat", "bpe_starts"),
    ("gpt2", "separated", "bpe_extended"),
    ("gpt2", "concat", "wordpiece"),
    ("gpt2", "concat", "wordpiece_limit"),
    ("bert", "bert", "wordpiece"),
    ("bert", "bert", "wordpiece_limit"),
    ("bert", "bert", "wordpiece_kmer"),
    ("bert", "bert", "wordpiece_bare"),
    ("bert", "bert", "wordpiece_extended"),
]


@pytest.mark.parametrize(("family", "pair_format", "kind"), KINDS)
def test_an_exported_folder_gives_our_logits_in_transformers(family, pair_format, kind, folders, weights, tmp_path):
    config, parameters, tokenizer = CONFIGS[family], weights(family), load_tokenizer(str(folders / kind))
    pairs = {"pair_format": pair_format, "max_length": 67, "max_characters": 50}
    ours = _our_logits(config, parameters, tokenizer, pair_format)
    export_model(
        tmp_path / "first", config, parameters, head="pairs", tokenizer=tokenizer, pairs=pairs, labels=("no", "yes")
    )
    np.testing.assert_allclose(_their_logits(tmp_path / "first", pair_format), ours, rtol=0, atol=2e-5)

    # Exported again: the same bytes.
    theirs, again = read_config_json(tmp_path / "first"), load_pretrained(tmp_path / "first", head="pairs")
    carried = read_pair_settings(theirs, tmp_path / "first")
    assert (carried, again.report.labels) == (pairs, ("no", "yes"))
    export_model(
        tmp_path / "second",
        again.config,
        again.parameters,
        head="pairs",
        tokenizer=load_tokenizer(str(tmp_path / "first")),
        pairs=carried,
        labels=again.report.labels,
        original=theirs,
    )
    assert {path.name: path.read_bytes() for path in (tmp_path / "first").iterdir()} == {
        path.name: path.read_bytes() for path in (tmp_path / "second").iterdir()
    }
    texts = [text for pair in PAIRS for text in pair]
    same = zip(tokenizer.encode(texts), load_tokenizer(str(tmp_path / "second")).encode(texts), strict=True)
    assert all(np.array_equal(before, after) for before, after in same)


@pytest.mark.parametrize(("family", "pair_format"), [("bert", "concat"), ("gpt2", "bert")])
def test_a_model_that_classifies_another_token_than_transformers_is_refused(
    family, pair_format, folders, weights, tmp_path
):
    with pytest.raises(InputError, match=f"reads pairs as '{pair_format}' cannot be exported.*pair_format="):
        export_model(
            tmp_path / "out",
            CONFIGS[family],
            weights(family),
            head="pairs",
            tokenizer=load_tokenizer(str(folders / "wordpiece")),
            pairs={"pair_format": pair_format, "max_length": 67},
        )
    assert not (tmp_path / "out").exists()


def test_a_folder_exported_again_keeps_what_it_says(folders, weights, tmp_path):
    tokenizer = load_tokenizer(str(folders / "bpe_own_pad"))
    said = {"embd_pdrop": 0.3, "eos_token_id": 50256, "task_specific_params": {"text-generation": {"max_length": 50}}}
    said |= {"dtype": "float16", "num_attention_heads": 5, "pad_token_id": 3, PAIRS_KEY: {}}
    exported = export_model(
        tmp_path / "out",
        CONFIGS["gpt2"],
        weights("gpt2"),
        head="pairs",
        tokenizer=tokenizer,
        labels=("entailment", "not_entailment"),
        original=said,
    )
    written = read_config_json(tmp_path / "out")
    assert written["id2label"] == {"0": "entailment", "1": "not_entailment"}
    assert written["task_specific_params"] == said["task_specific_params"]
    assert (written["embd_pdrop"], written["resid_pdrop"]) == (0.3, 0.1)
    assert (written["pad_token_id"], written["eos_token_id"]) == (tokenizer.pad_id, tokenizer.end_id)
    assert not written.keys() & {"dtype", "num_attention_heads", PAIRS_KEY}
    assert any("and no longer 3" in note for note in exported.notes)


def test_a_preparation_of_texts_is_carried_over_and_told(folders, weights, tmp_path):
    tokenizer = load_tokenizer(str(folders / "wordpiece_bare"))
    pairs = {"pair_format": "bert", "max_length": 67, "text": "kmers:3"}
    exported = export_model(
        tmp_path, CONFIGS["bert"], weights("bert"), head="pairs", tokenizer=tokenizer, pairs=pairs, labels=("no", "yes")
    )
    assert any("text=kmers:3" in note for note in exported.notes)
    assert read_pair_settings(read_config_json(tmp_path), tmp_path) == pairs
