import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from flax import traverse_util

from lingjax.models import ModelConfig, load_pretrained, merge_model, weight_names

ATOL = 2e-5


@pytest.fixture(scope="module")
def pretrained(reference):
    return load_pretrained(reference("gpt2", "language_model").folder, head="language_model", offline=True)


@pytest.fixture(scope="module")
def logits_of(pretrained):
    return jax.jit(pretrained.model().__call__)


@pytest.fixture(scope="module")
def ours(pretrained, logits_of, rows):
    """Final states, states after embeddings and each layer, and logits."""
    final, every = jax.jit(pretrained.model().backbone.hidden_states)(rows.token_ids, **rows.for_ours())
    logits = logits_of(rows.token_ids, **rows.for_ours())
    return jax.tree.map(np.asarray, {"final": final, "every": every, "logits": logits})


@pytest.fixture(scope="module")
def theirs(reference, rows):
    model = reference("gpt2", "language_model").model
    last_block = {}
    hook = model.transformer.h[-1].register_forward_hook(lambda module, args, output: last_block.update(output=output))
    with torch.no_grad():
        output = model(**rows.for_torch("gpt2"), output_hidden_states=True)
    hook.remove()
    last = last_block["output"]
    last = last[0] if isinstance(last, tuple) else last
    states = [state.numpy() for state in output.hidden_states]
    return {"every": [*states[:-1], last.numpy()], "final": states[-1], "logits": output.logits.numpy()}


@pytest.mark.parametrize(("stage", "index"), [("embeddings", 0), ("first block", 1), ("last block", 2)])
def test_states_equal_transformers_at_every_stage(ours, theirs, rows, stage, index):
    real = rows.document_ids > 0
    np.testing.assert_allclose(ours["every"][index][real], theirs["every"][index][real], rtol=0, atol=ATOL)


@pytest.mark.parametrize("output", ["final", "logits"])
def test_outputs_equal_transformers(ours, theirs, rows, output):
    real = rows.document_ids > 0
    np.testing.assert_allclose(ours[output][real], theirs[output][real], rtol=0, atol=ATOL)


def _loss(model, rows):
    """Mean negative log-likelihood of each next real token."""
    logits = model(jnp.asarray(rows.token_ids), **rows.for_ours())[:, :-1]
    picked = jnp.take_along_axis(jax.nn.log_softmax(logits), rows.token_ids[:, 1:, None], axis=-1)[..., 0]
    counted = rows.document_ids[:, 1:] > 0
    return -(picked * counted).sum() / counted.sum()


def test_loss_and_every_gradient_equal_transformers(
    reference, pretrained, rows, torch_gradients, assert_same_gradients
):
    def loss_of(parameters):
        return _loss(merge_model(pretrained.config, "language_model", parameters), rows)

    loss, gradients = jax.jit(jax.value_and_grad(loss_of))(pretrained.parameters)
    model = reference("gpt2", "language_model").model
    labels = torch.tensor(np.where(rows.document_ids > 0, rows.token_ids, -100), dtype=torch.long)
    their_loss = model(**rows.for_torch("gpt2"), labels=labels).loss
    assert abs(float(loss) - their_loss.item()) < ATOL
    their_gradients = torch_gradients(model, their_loss)
    assert_same_gradients("gpt2", "language_model", traverse_util.flatten_dict(gradients, sep="."), their_gradients)


def test_position_ignores_later_ones(logits_of, ours, rows):
    changed = rows.token_ids.copy()
    changed[0, 9:] = changed[0, 9:][::-1]
    logits = logits_of(changed, **rows.for_ours())
    np.testing.assert_array_equal(logits[0, :9], ours["logits"][0, :9])
    assert np.abs(logits[0, 9] - ours["logits"][0, 9]).max() > 1e-3


def test_padding_content_does_not_change_logits(logits_of, ours, rows):
    refilled = np.where(rows.document_ids > 0, rows.token_ids, 29)
    logits = logits_of(refilled, **rows.for_ours())
    real = rows.document_ids > 0
    np.testing.assert_array_equal(np.asarray(logits)[real], ours["logits"][real])


def test_bfloat16_compute_stays_near_float32(reference, ours, rows):
    folder = reference("gpt2", "language_model").folder
    model = load_pretrained(folder, head="language_model", changes={"compute_dtype": "bfloat16"}).model()
    logits = jax.jit(model.__call__)(rows.token_ids, **rows.for_ours())
    assert logits.dtype == jnp.float32
    real = rows.document_ids > 0
    # bfloat16 has 8 bits of mantissa, and a value here passes through about 20 roundings.
    np.testing.assert_allclose(np.asarray(logits)[real], ours["logits"][real], rtol=0, atol=0.1)


def test_full_shape_of_gpt2_small_equals_transformers():
    import transformers

    torch.manual_seed(5)
    reference = transformers.GPT2Model(transformers.GPT2Config()).eval()
    with torch.no_grad():
        for parameter in reference.parameters():
            if parameter.ndim == 1:
                parameter.add_(0.1 * torch.randn_like(parameter))
    config = ModelConfig(
        family="gpt2", vocab_size=50257, max_length=1024, width=768, depth=12, num_heads=12, mlp_width=3072
    )
    tensors = {name: parameter.detach().numpy() for name, parameter in reference.named_parameters()}
    token_ids = jnp.array([[50256, 464, 3290, 318, 257, 922, 3290]])

    # An argument, not a closure: as constants of the program, the weights would take the compiler half a minute.
    @jax.jit
    def states_of(parameters):
        model = merge_model(config, "backbone", parameters)
        return model(token_ids, document_ids=jnp.ones_like(token_ids), positions=jnp.arange(7)[None])

    states = states_of(_parameters(config, tensors))
    with torch.no_grad():
        expected = reference(torch.tensor(np.asarray(token_ids), dtype=torch.long)).last_hidden_state.numpy()
    np.testing.assert_allclose(states, expected, rtol=0, atol=1e-4)


def _parameters(config, tensors):
    """Lays tensors out as ours without a file: 500 MB need not touch the disk."""
    from lingjax.models import abstract_model, flat_parameters

    shapes = flat_parameters(abstract_model(config, "backbone"))
    parameters = {}
    for row in weight_names(config.family, "backbone"):
        array = np.empty(shapes[row.path].shape, np.float32)
        for name, index in row.tensors(array.shape):
            array[index] = row.from_stored(tensors[name], array.shape)
        parameters[row.path] = jnp.asarray(array)
    return traverse_util.unflatten_dict(parameters, sep=".")
