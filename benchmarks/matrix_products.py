"""What a model's matrix products alone take, in XLA beside PyTorch: the bound on what a training step can reach.

The products of one layer, forwards and backwards, with nothing between them. Prints JSON: GFLOP/s of each side and the
ratio XLA / PyTorch. Commands and how to read the result: benchmarks/README.md.
"""

import dataclasses
import functools
import importlib.metadata
import itertools

from benchmarks import side_by_side
from benchmarks.side_by_side import Side
from benchmarks.work import Work, define_flags, flag
from experiments import runtime
from lingjax import command

_NAME, _PEER = "xla", "pytorch"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Products(Work):
    """The products of one layer, for both sides; see the flags."""

    width: int = flag("Of the model; its feed-forward layers are 4 times as wide.", 768, least=1)
    tokens: int = flag("Positions of a step.", 1024, least=1)
    steps: int = flag("Passes over all products in a round.", 10, least=1)

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


_WORK = define_flags(Products)


def main(_: list[str]) -> None:
    """Measures and prints."""
    work = _WORK()
    machine = side_by_side.describe_machine(work.threads)
    sides = {_NAME: functools.partial(xla_side, work), _PEER: functools.partial(pytorch_side, work)}
    measured = side_by_side.alternate(sides, rounds=work.rounds, threads=work.threads)
    side_by_side.print_result(
        "matrix_products",
        machine=machine,
        work=dataclasses.asdict(work),
        sides={name: side_by_side.describe_side(side, unit="gigaflops") for name, side in measured.items()},
        ratios={f"{_NAME} / {_PEER}": side_by_side.compare(measured, name=_NAME, peer=_PEER)},
    )


def xla_side(work: Products) -> Side:
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


def pytorch_side(work: Products) -> Side:
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
