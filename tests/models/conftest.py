"""Random tiny models of both families in PyTorch, the reference that ours must equal."""

import dataclasses
import functools
import json
import os
import shutil
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import safetensors.numpy

from lingjax.models import ModelConfig

# These tests compile many small programs and run each once: optimising them would take most of the time. XLA reads this
# when it first compiles.
os.environ["XLA_FLAGS"] = os.environ.get("XLA_FLAGS", "") + " --xla_backend_optimization_level=0"

# All different, most of them prime, so that no mistaken axis goes unseen.
GPT2 = ModelConfig(family="gpt2", vocab_size=53, max_length=17, width=35, depth=2, num_heads=5, mlp_width=31, pad_id=52)
BERT = ModelConfig(
    family="bert",
    vocab_size=53,
    max_length=17,
    width=35,
    depth=2,
    num_heads=5,
    mlp_width=31,
    pad_id=0,
    segment_count=3,
    activation="gelu",
    norm_epsilon=1e-12,
)


@dataclasses.dataclass(frozen=True)
class Reference:
    """A PyTorch model with every parameter random, and the folder that transformers saved it to."""

    model: Any
    config: ModelConfig
    folder: Path


@dataclasses.dataclass(frozen=True)
class Rows:
    """Right-padded documents, one a row, as both sides take them."""

    token_ids: np.ndarray
    document_ids: np.ndarray
    positions: np.ndarray
    segment_ids: np.ndarray
    lengths: np.ndarray

    def for_ours(self) -> dict[str, jax.Array]:
        """All but the token ids."""
        names = ("document_ids", "positions", "segment_ids")
        return {name: jnp.asarray(getattr(self, name)) for name in names}

    def for_torch(self, family: str) -> dict[str, Any]:
        import torch

        inputs = {"input_ids": self.token_ids, "attention_mask": self.document_ids}
        if family == "bert":
            inputs["token_type_ids"] = self.segment_ids
        return {name: torch.tensor(value, dtype=torch.long) for name, value in inputs.items()}


def randomise(model: Any, seed: int) -> Any:
    """Draws every parameter anew, norms and biases included: at their defaults of 0 and 1 mistakes would hide."""
    import torch

    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.normal_(1.0 if "ln_" in name or "LayerNorm.weight" in name else 0.0, 0.15, generator=generator)
    return model.eval()


@pytest.fixture(scope="session")
def configs() -> dict[str, ModelConfig]:
    return {"gpt2": GPT2, "bert": BERT}


@pytest.fixture(scope="session")
def reference(tmp_path_factory):
    """Returns a function of (family, head) that gives a `Reference`."""

    @functools.cache
    def make(family: str, head: str) -> Reference:
        import transformers

        from lingjax.models.hf_config import to_hf_config

        config = {"gpt2": GPT2, "bert": BERT}[family]
        values = to_hf_config(config, head)
        architecture = getattr(transformers, values["architectures"][0])
        model = randomise(architecture(architecture.config_class(**values)), seed=7)
        folder = tmp_path_factory.mktemp(f"{family}_{head}") / "model"
        model.save_pretrained(folder)
        return Reference(model, config, folder)

    return make


@pytest.fixture(scope="session")
def rows() -> Rows:
    """Documents of 17 (the longest that fits), 11 and 1 tokens; ids 0 and 52 are only padding."""
    generator = np.random.default_rng(3)
    lengths = np.array([17, 11, 1])
    real = np.arange(17) < lengths[:, None]
    return Rows(
        token_ids=np.where(real, generator.integers(1, 52, real.shape), 0).astype(np.int32),
        document_ids=real.astype(np.int32),
        positions=np.tile(np.arange(17, dtype=np.int32), (3, 1)),
        segment_ids=(real & (np.arange(17) >= 5)).astype(np.int32),
        lengths=lengths,
    )


@pytest.fixture(scope="session")
def torch_gradients():
    """Returns a function: the gradient of a torch loss by parameter name."""

    def gradients(model: Any, loss: Any) -> dict[str, np.ndarray]:
        model.zero_grad()
        loss.backward()
        return {name: parameter.grad.numpy() for name, parameter in model.named_parameters()}

    return gradients


@pytest.fixture(scope="session")
def assert_same_gradients():
    """Returns a check that every gradient of ours, named and laid out as theirs by the weight table, equals theirs."""
    from lingjax.models import weight_names

    def check(family: str, head: str, ours: dict[str, np.ndarray], theirs: dict[str, np.ndarray]) -> None:
        compared = set()
        for row in weight_names(family, head):
            gradient = np.asarray(ours[row.path])
            for name, index in row.tensors(gradient.shape):
                stored = row.to_stored(gradient[index], gradient.shape)
                np.testing.assert_allclose(stored, theirs[name], rtol=0, atol=2e-5, err_msg=name)
                compared.add(name)
        assert compared == theirs.keys()

    return check


@pytest.fixture
def edit(reference, tmp_path):
    """Returns a function that copies a reference folder, passes its tensors through another, and gives the copy."""

    def make(family, head, change, **config_changes):
        folder = tmp_path / "edited"
        shutil.copytree(reference(family, head).folder, folder)
        tensors = safetensors.numpy.load_file(folder / "model.safetensors")
        safetensors.numpy.save_file(change(tensors) or tensors, folder / "model.safetensors", metadata={"format": "pt"})
        config = json.loads((folder / "config.json").read_text())
        (folder / "config.json").write_text(json.dumps({**config, **config_changes}))
        return folder

    return make
