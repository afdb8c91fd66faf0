"""A pretraining step beside transformers + PyTorch: the same model, rows and targets, on the same cores, by turns.

Prints JSON: tokens per second of every round, peak memory, and the ratios lingjax / transformers with their range.
Commands and how to read the result: benchmarks/README.md.
"""

import dataclasses
import functools
import importlib.metadata
import tempfile
import time
from typing import Any

import numpy as np

from benchmarks import side_by_side
from benchmarks.side_by_side import Side
from benchmarks.work import Work, define_flags, flag
from experiments import runtime
from lingjax import command
from lingjax.training.chips import find_chip

_PEER = "transformers"
_LEARNING_RATE = 1e-4
# Nats a token. Sums in another order differ by less; bfloat16 rounds at other places.
_LARGEST_LOSS_DIFFERENCE = {"float32": 1e-3, "bfloat16": 2e-2}
_MASKED = 0.15


@dataclasses.dataclass(frozen=True, kw_only=True)
class PretrainingWork(Work):
    """The model and the rows that both sides are given; see the flags.

    Attributes:
      folder: Hugging Face folder of the language model.
      vocab_size: tokens are drawn below it.
    """

    model: str = flag(
        "Published shape, random weights.",
        "gpt2-small",
        choices=("gpt2-small", "gpt2-medium", "bert-base", "bert-large"),
    )
    rows: int = flag("Rows of a batch.", 8, least=1)
    length: int = flag("Tokens of a row.", 512, least=2)
    steps: int = flag("Updates a round.", 2, least=1)
    rounds: int = flag("Turns of each side.", 3, least=1)
    dropout: float = flag("Of features and attention weights, both sides.", 0.1, least=0.0)
    attention: str = flag("What computes lingjax's attention.", "auto", choices=("auto", "plain", "bands", "cudnn"))
    scan: bool | None = flag("Scan lingjax's layers; by default as experiments do.", None, kind=bool)
    remat: str = flag("What lingjax computes again.", "none", choices=("none", "products", "layers"))
    folder: str = ""
    vocab_size: int = 0

    @property
    def family(self) -> str:
        """`gpt2` predicts next tokens, `bert` masked ones."""
        return self.model.partition("-")[0]

    def batch(self, number: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Returns tokens, targets, and where targets count, each [rows length]; whole rows, no padding."""
        rng = np.random.default_rng((self.seed, number))
        tokens = rng.integers(1, self.vocab_size, (self.rows, self.length), np.int32)
        if self.family == "gpt2":
            has_next = np.broadcast_to(np.arange(self.length) < self.length - 1, tokens.shape)
            return tokens, np.roll(tokens, -1, axis=1), has_next
        masked = rng.random(tokens.shape) < _MASKED
        return np.where(masked, np.int32(0), tokens), tokens, masked


_WORK = define_flags(PretrainingWork)


def main(_: list[str]) -> None:
    """Measures and prints."""
    work = _WORK()
    machine = side_by_side.describe_machine(work.threads)
    with tempfile.TemporaryDirectory() as folder:
        vocab_size = _write_model(folder, work.model, dropout=work.dropout, seed=work.seed)
        work = dataclasses.replace(work, folder=folder, vocab_size=vocab_size)
        makers = {
            "lingjax": functools.partial(lingjax_side, work),
            _PEER: functools.partial(transformers_side, work),
        }
        measured = side_by_side.alternate(makers, rounds=work.rounds, threads=work.threads)
    _check_same_work(measured, work.dtype)
    described = dataclasses.asdict(work)
    del described["folder"]
    flops_per_token = measured["lingjax"]["facts"]["flops_per_token"]
    sides = {name: _described(side, flops_per_token) for name, side in measured.items()}
    memory = "peak_device_bytes" if "peak_device_bytes" in sides["lingjax"] else "peak_memory_bytes"
    side_by_side.print_result(
        "pretraining_throughput",
        machine=machine,
        work=described,
        sides=sides,
        ratios={
            f"lingjax / {_PEER}": side_by_side.compare(measured, name="lingjax", peer=_PEER),
            "peak_memory": sides["lingjax"][memory] / sides[_PEER][memory],
        },
    )


def lingjax_side(work: PretrainingWork) -> Side:
    """Returns lingjax's pretraining step, compiled."""
    runtime.start_jax()
    import jax
    from flax import nnx

    from lingjax.data import TokenBatch
    from lingjax.models import abstract_model, axes_by_path, load_pretrained
    from lingjax.study.models import scan_by_default
    from lingjax.training.loss import LossTally
    from lingjax.training.mesh import make_mesh, place_batch, place_new_state
    from lingjax.training.optimizer import OptimizerConfig, make_optimizer
    from lingjax.training.steps import make_evaluation_step, make_train_step, token_loss_function
    from lingjax.training.throughput import training_flops_per_token

    mesh = make_mesh("")
    changes = {
        "compute_dtype": work.dtype,
        "scan_layers": scan_by_default() if work.scan is None else work.scan,
        "attention": work.attention,
        "remat": work.remat,
        "vocab_multiple": 128,  # as experiments.pretrain does
    }
    loaded = load_pretrained(work.folder, head="language_model", offline=True, changes=changes)
    graph = nnx.split(abstract_model(loaded.config, "language_model"))[0]
    recipe = OptimizerConfig(learning_rate=_LEARNING_RATE, warmup_fraction=0.0, clip_norm=1.0)
    optimizer = make_optimizer(recipe, total_steps=work.rounds * work.steps)
    loss = token_loss_function(graph, num_domains=1, mesh=mesh)
    step = make_train_step(loss, optimizer)
    axes = axes_by_path(work.family, "language_model")

    def batch(number: int) -> dict[str, jax.Array]:
        tokens, targets, counted = work.batch(number)
        positions = np.broadcast_to(np.arange(work.length, dtype=np.int32), tokens.shape)
        zeros = np.zeros(work.rows, np.int32)
        return place_batch(TokenBatch(tokens, targets, counted, np.ones_like(tokens), positions, zeros, zeros), mesh)

    with jax.set_mesh(mesh):
        first = make_evaluation_step(loss)(loaded.parameters, batch(0), LossTally.empty()).means()["loss"]
        state = place_new_state(loaded.parameters, optimizer, axes, mesh, seed=work.seed)
        num_parameters = sum(leaf.size for leaf in jax.tree.leaves(loaded.parameters))
        loaded = dataclasses.replace(loaded, parameters=None)
        warm_up_started = time.perf_counter()
        state, tally, _ = step(state, batch(0))
        jax.block_until_ready((state, LossTally.empty() + tally))
    warm_up_seconds = time.perf_counter() - warm_up_started

    peak = functools.partial(side_by_side.peak_device_bytes_of_jax, mesh.devices.flat[0])

    def run(number: int) -> tuple[int, dict[str, Any]]:
        nonlocal state
        tally = LossTally.empty()
        with jax.set_mesh(mesh):
            for done in range(work.steps):
                state, one, _ = step(state, batch(1 + number * work.steps + done))
                tally = tally + one
            jax.block_until_ready(state)
        return work.steps * work.rows * work.length, {"loss": tally.means()["loss"], "device_bytes": peak()}

    facts = {
        "versions": {name: importlib.metadata.version(name) for name in ("jax", "jaxlib", "flax", "optax")},
        "device": mesh.devices.flat[0].device_kind,
        "model": {name: getattr(loaded.config, name) for name in ("attention", "scan_layers", "remat")},
        "flops_per_token": training_flops_per_token(loaded.config, num_parameters=num_parameters, length=work.length),
        "warm_up_seconds": warm_up_seconds,
        "loss_before": first,
    }
    return Side(facts, run)


def transformers_side(work: PretrainingWork) -> Side:
    """Returns the step of transformers on PyTorch, after one."""
    import torch
    import transformers

    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    torch.set_num_threads(work.threads)
    torch.manual_seed(work.seed)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    kind = transformers.GPT2LMHeadModel if work.family == "gpt2" else transformers.BertForMaskedLM
    model = kind.from_pretrained(work.folder, dtype=torch.float32).to(device)
    run_model = torch.compile(model) if device == "cuda" else model
    parameters = list(model.parameters())
    optimizer = torch.optim.AdamW(parameters, lr=_LEARNING_RATE, weight_decay=0.0, fused=True)

    def loss_of(number: int, run_model: torch.nn.Module = run_model) -> torch.Tensor:
        arrays = (torch.from_numpy(np.ascontiguousarray(part)) for part in work.batch(number))
        tokens, targets, counted = (array.to(device, non_blocking=True) for array in arrays)
        # GPT-2 shifts its labels itself.
        labels = tokens if work.family == "gpt2" else torch.where(counted, targets, -100)
        with torch.autocast(device, dtype=torch.bfloat16, enabled=work.dtype == "bfloat16"):
            return run_model(input_ids=tokens.long(), labels=labels.long()).loss

    def step(number: int) -> torch.Tensor:
        loss = loss_of(number)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        return loss.detach()

    model.eval()
    with torch.no_grad():
        first = float(loss_of(0, model))  # not compiled, as it runs once
    model.train()
    warm_up_started = time.perf_counter()
    float(step(0))
    warm_up_seconds = time.perf_counter() - warm_up_started

    def run(number: int) -> tuple[int, dict[str, Any]]:
        losses = [step(1 + number * work.steps + done) for done in range(work.steps)]
        loss = float(sum(losses)) / work.steps  # waits for the last step's forward pass
        if device == "cuda":
            torch.cuda.synchronize()
        return work.steps * work.rows * work.length, {
            "loss": loss,
            "device_bytes": side_by_side.peak_device_bytes_of_torch(),
        }

    facts = {
        "versions": {name: importlib.metadata.version(name) for name in ("torch", "transformers")},
        "device": torch.cuda.get_device_name() if device == "cuda" else "cpu",
        "attention": model.config._attn_implementation,
        "compiled": device == "cuda",
        "threads": torch.get_num_threads(),
        "warm_up_seconds": warm_up_seconds,
        "loss_before": first,
    }
    return Side(facts, run)


def _write_model(folder: str, model: str, *, dropout: float, seed: int) -> int:
    """Writes the weights that both sides load, and returns the vocabulary's size."""
    import torch
    import transformers

    from lingjax.models import preset

    torch.manual_seed(seed)
    family, _, size = model.partition("-")
    shape = preset(family, size, vocab_size=1)
    if family == "gpt2":
        dropouts = dict.fromkeys(("resid_pdrop", "embd_pdrop", "attn_pdrop"), dropout)
        config = transformers.GPT2Config(n_embd=shape.width, n_layer=shape.depth, n_head=shape.num_heads, **dropouts)
        transformers.GPT2LMHeadModel(config).save_pretrained(folder)
        return config.vocab_size
    dropouts = dict.fromkeys(("hidden_dropout_prob", "attention_probs_dropout_prob"), dropout)
    config = transformers.BertConfig(
        hidden_size=shape.width,
        num_hidden_layers=shape.depth,
        num_attention_heads=shape.num_heads,
        intermediate_size=shape.mlp_width,
        **dropouts,
    )
    transformers.BertForMaskedLM(config).save_pretrained(folder)
    return config.vocab_size


def _check_same_work(measured: dict[str, dict[str, Any]], dtype: str) -> None:
    losses = {name: side["facts"]["loss_before"] for name, side in measured.items()}
    if max(losses.values()) - min(losses.values()) > _LARGEST_LOSS_DIFFERENCE[dtype]:
        raise RuntimeError(f"the sides do not do the same: loss of the first batch without dropout {losses}")


def _described(side: dict[str, Any], flops_per_token: float) -> dict[str, Any]:
    losses = [done.notes["loss"] for done in side["rounds"]]
    described = side_by_side.describe_side(side, unit="tokens") | {"loss_by_round": losses}
    chip = find_chip(side["facts"]["device"])
    if chip is None:
        return described
    flops = described["tokens_per_second"]["median"] * flops_per_token
    device_bytes = max(done.notes["device_bytes"] for done in side["rounds"])
    return described | {"model_flops_utilization": flops / chip.peak_flops, "peak_device_bytes": device_bytes}


if __name__ == "__main__":
    command.run(main)
