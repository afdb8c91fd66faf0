import jax
import numpy as np
import pytest
import torch
import transformers
from flax import nnx

from lingjax.errors import InputError
from lingjax.models import build_model, load_pretrained, parameters_of, save_pretrained

ARCHITECTURES = {
    ("gpt2", "backbone"): transformers.GPT2Model,
    ("gpt2", "language_model"): transformers.GPT2LMHeadModel,
    ("gpt2", "pairs"): transformers.GPT2ForSequenceClassification,
    ("bert", "backbone"): transformers.BertModel,
    ("bert", "language_model"): transformers.BertForMaskedLM,
    ("bert", "pairs"): transformers.BertForSequenceClassification,
}


@pytest.mark.parametrize(("family", "head"), list(ARCHITECTURES))
def test_transformers_loads_what_we_write_and_computes_the_same(family, head, reference, rows, tmp_path):
    theirs = reference(family, head)
    pretrained = load_pretrained(theirs.folder, head=head)
    folder = save_pretrained(tmp_path / "export", pretrained.config, pretrained.parameters, head=head)
    # Our BERT backbone is the encoder; transformers makes its pooler optional.
    options = {"add_pooling_layer": False} if (family, head) == ("bert", "backbone") else {}
    model, loading = ARCHITECTURES[family, head].from_pretrained(folder, output_loading_info=True, **options)
    for kind in ("missing_keys", "unexpected_keys", "mismatched_keys", "error_msgs"):
        assert not loading[kind], kind
    inputs = rows.for_torch(family)
    with torch.no_grad():
        np.testing.assert_array_equal(model.eval()(**inputs)[0], theirs.model(**inputs)[0])


@pytest.mark.parametrize("family", ["gpt2", "bert"])
def test_a_padded_vocabulary_changes_no_logit_and_is_not_exported(family, reference, rows, tmp_path):
    theirs = reference(family, "language_model")
    plain = load_pretrained(theirs.folder, head="language_model")
    padded = load_pretrained(theirs.folder, head="language_model", changes={"vocab_multiple": 8})
    table = padded.parameters["backbone"]["token_embedding"]["embedding"]
    assert table.shape == (56, 35)
    assert not np.asarray(table[53:]).any()
    logits = [model.model()(rows.token_ids, **rows.for_ours()) for model in (plain, padded)]
    np.testing.assert_allclose(logits[1][..., :53], logits[0], rtol=0, atol=1e-6)
    folder = save_pretrained(tmp_path / "export", padded.config, padded.parameters, head="language_model")
    again = load_pretrained(folder, head="language_model")
    jax.tree.map(np.testing.assert_array_equal, again.parameters, plain.parameters)


@pytest.fixture(scope="module")
def tiny(configs):
    """A config and random parameters of a pair classifier."""
    config = configs["gpt2"]
    build = jax.jit(lambda key: parameters_of(build_model(config, "pairs", rngs=nnx.Rngs(key))))
    return config, build(jax.random.key(1))


def test_tokenizer_files_travel_along(tiny, tmp_path):
    tokenizer = tmp_path / "tokenizer"
    tokenizer.mkdir()
    (tokenizer / "tokenizer.json").write_text("{}")
    (tokenizer / "notes.txt").write_text("not a tokenizer file")
    folder = save_pretrained(tmp_path / "export", *tiny, head="pairs", tokenizer_folder=tokenizer)
    assert {path.name for path in folder.iterdir()} == {
        "config.json",
        "model.safetensors",
        "tokenizer.json",
        "lingjax.sha256",
    }
    (tokenizer / "tokenizer.json").unlink()
    with pytest.raises(InputError, match="holds no tokenizer"):
        save_pretrained(tmp_path / "export", *tiny, head="pairs", tokenizer_folder=tokenizer)


def test_our_own_folder_is_replaced(tiny, tmp_path):
    config, parameters = tiny
    folder = save_pretrained(tmp_path / "export", config, parameters, head="pairs")
    doubled = jax.tree.map(lambda leaf: 2 * leaf, parameters)
    save_pretrained(folder, config, doubled, head="pairs")
    kernel = load_pretrained(folder, head="pairs").parameters["head"]["kernel"]
    np.testing.assert_array_equal(kernel, doubled["head"]["kernel"])
    assert [path.name for path in tmp_path.iterdir()] == ["export"]


def test_a_foreign_model_folder_is_replaced_only_if_asked(tiny, edit):
    folder = edit("gpt2", "pairs", lambda tensors: None)
    with pytest.raises(InputError, match="a model that lingjax did not write"):
        save_pretrained(folder, *tiny, head="pairs")
    save_pretrained(folder, *tiny, head="pairs", overwrite=True)
    kernel = load_pretrained(folder, head="pairs").parameters["head"]["kernel"]
    np.testing.assert_array_equal(kernel, tiny[1]["head"]["kernel"])


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_folder_of_something_else_is_never_replaced(overwrite, tiny, tmp_path):
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(InputError, match="no model folder, so it is not replaced"):
        save_pretrained(tmp_path, *tiny, head="pairs", overwrite=overwrite)
    assert (tmp_path / "thesis.txt").read_text() == "years of work"


def test_parameters_of_another_model_are_refused(tiny, tmp_path):
    with pytest.raises(ValueError, match="do not fit a gpt2 language_model model"):
        save_pretrained(tmp_path / "export", *tiny, head="language_model")
    assert not any(tmp_path.iterdir())


def test_a_failed_write_leaves_nothing(tiny, tmp_path, monkeypatch):
    def full_disk(*arguments, **options):
        raise OSError("no space left on device")

    monkeypatch.setattr("lingjax.models.hf_save.save_file", full_disk)
    with pytest.raises(OSError, match="no space"):
        save_pretrained(tmp_path / "export", *tiny, head="pairs")
    assert not any(tmp_path.iterdir())


def test_the_same_model_gives_the_same_bytes(tiny, tmp_path):
    written = {
        (save_pretrained(tmp_path / str(number), *tiny, head="pairs") / "model.safetensors").read_bytes()
        for number in range(8)  # safetensors orders two metadata entries by chance
    }
    assert len(written) == 1
