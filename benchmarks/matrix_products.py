"""What a model's matrix products alone take, in XLA beside PyTorch: the bound on what a training step can reach.

The products of one layer, forwards and backwards, with nothing between them. Prints JSON: GFLOP/s of each side and the
ratio XLA / PyTorch. Commands and how to read the result: benchmarks/README.md.
"""

import dataclasses
import functools
import importlib.metadata
import itertools
import json

from absl import flags

from benchmarks import side_by_side
from benchmarks.side_by_side import Side
from experiments import runtime
from lingjax import command

_WIDTH = flags.DEFINE_integer("width", 768, "Of the model; its feed-forward layers are 4 times as wide.", lower_bound=1)
_TOKENS = flags.DEFINE_integer("tokens", 1024, "Positions of a step.", lower_bound=1)
_STEPS = flags.DEFINE_integer("steps", 10, "Passes over all products in a round.", lower_bound=1)
_ROUNDS = flags.DEFINE_integer("rounds", 5, "Turns of each side.", lower_bound=1)
_THREADS = flags.DEFINE_integer("threads", 0, "Cores each side may use; 0: all.", lower_bound=0)
_DTYPE = flags.DEFINE_enum("dtype", "float32", ["float32", "bfloat16"], "Of what is multiplied.")

_NAME, _PEER = "xla", "pytorch"


@dataclasses.dataclass(frozen=True)
class Work:
    """What both sides are given; see the flags."""

    width: int
    tokens: int
    steps: int
    rounds: int
    dtype: str

    def maps(self) -> list[tuple[int, int]]:
        """Returns inputs and outputs of a layer's linear maps."""
        width, wider = self.width, 4 * self.width
        return [(width, 3 * width), (width, width), (width, wider), (wider, width)]

    def products(self) -> list[tuple[str, tuple[int, int], tuple[int, int]]]:
        """Returns equation and operands' shapes, of each map for its output and for both gradients."""
        n = self.tokens
        return [
            product
            for a, b in self.maps()
            for product in (("na,ab->nb", (n, a), (a, b)), ("nb,ab->na", (n, b), (a, b)), ("na,nb->ab", (n, a), (n, b)))
        ]

    def gigaflops(self) -> float:
        """Returns the operations of all products in 1e9, a multiplication and an addition counted as two."""
        return sum(3 * 2 * self.tokens * a * b for a, b in self.maps()) / 1e9


def main(_: list[str]) -> None:
    """Measures and prints."""
    threads = side_by_side.choose_threads(_THREADS.value)
    machine = side_by_side.describe_machine(threads)
    work = Work(
        width=_WIDTH.value,
        tokens=_TOKENS.value,
        steps=_STEPS.value,
        rounds=_ROUNDS.value,
        dtype=_DTYPE.value,
    )
    sides = {_NAME: functools.partial(xla_side, work), _PEER: functools.partial(pytorch_side, work)}
    measured = side_by_side.alternate(sides, rounds=work.rounds, threads=threads)
    result = {
        "benchmark": "matrix_products",
        "created_utc": runtime.now_utc(),
        "machine": machine,
        "work": dataclasses.asdict(work),
        "sides": {name: side_by_side.describe_side(side, unit="gigaflops") for name, side in measured.items()},
        "ratios": {f"{_NAME} / {_PEER}": side_by_side.compare(measured, name=_NAME, peer=_PEER)},
    }
    print(json.dumps(result, indent=2))


def xla_side(work: Work) -> Side:
    """Returns the products as lingjax's models make them, each a program of its own."""
    runtime.start_jax()
    import jax
    import jax.numpy as jnp

    from lingjax.models.products import product

    key, dtype = jax.random.key(0), jnp.dtype(work.dtype)
    calls = []
    for equation, first, second in work.products():
        program = jax.jit(functools.partial(product, equation, dtype=dtype))
        calls.append(functools.partial(program, *(jax.random.normal(key, shape, dtype) for shape in (first, second))))

    def run(_: int) -> tuple[float, dict]:
        for _, call in itertools.product(range(work.steps), calls):
            jax.block_until_ready(call())
        return work.steps * work.gigaflops(), {}

    run(0)
    return Side({"jax": jax.__version__, "device": jax.devices()[0].device_kind}, run)


def pytorch_side(work: Work) -> Side:
    """Returns the same products by `torch.einsum`, on the GPU if there is one."""
    import torch

    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    dtype = getattr(torch, work.dtype)
    torch.manual_seed(0)
    calls = []
    for equation, first, second in work.products():
        operands = [torch.randn(shape, dtype=dtype, device=device) for shape in (first, second)]
        calls.append(functools.partial(torch.einsum, equation, *operands))

    def run(_: int) -> tuple[float, dict]:
        for _, call in itertools.product(range(work.steps), calls):
            call()
            if device.type == "cuda":
                torch.cuda.synchronize()
        return work.steps * work.gigaflops(), {}

    run(0)
    return Side({"torch": importlib.metadata.version("torch"), "device": str(device)}, run)


if __name__ == "__main__":
    command.run(main)
