"""Zero-shot evaluation beside transformers + PyTorch: the same weights and pairs, on the same cores, by turns.

Prints JSON: pairs per second of every round, their medians, and the ratio lingjax / transformers with its range.
Commands and how to read the result: benchmarks/README.md.
"""

import dataclasses
import functools
import importlib.metadata
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks import side_by_side
from benchmarks.side_by_side import Side
from benchmarks.work import PairWork, define_flags, flag
from experiments import runtime
from lingjax import command

if TYPE_CHECKING:
    from lingjax.data import SubsetSource

_PEER = "transformers"
_PAIRS_COMPARED = 64
# Of a logit. Float32 sums in another order differ by less; bfloat16 rounds at other places.
_LARGEST_DIFFERENCE = {"float32": 1e-3, "bfloat16": 5e-2}


@dataclasses.dataclass(frozen=True, kw_only=True)
class EvaluationWork(PairWork):
    """The pairs and the model that both sides are given; see the flags."""

    pairs: int = flag("Most pairs a round, the first of the dataset.", 2000, least=1)
    batch_size: int = flag("Pairs of a forward pass.", 64, least=1)

    def rows(self) -> "SubsetSource":
        """Opens the pairs."""
        from lingjax.data import PairSource, SubsetSource, open_split

        source = PairSource(open_split(self.source, default=("test", "validation", "dev", "train")))
        return SubsetSource(source, range(min(self.pairs, len(source))))


_WORK = define_flags(EvaluationWork)


def main(_: list[str]) -> None:
    """Measures and prints."""
    from benchmarks.model_folders import write_pair_classifier
    from lingjax.models import read_config

    work = _WORK()
    machine = side_by_side.describe_machine(work.threads)
    with tempfile.TemporaryDirectory() as folder:
        write_pair_classifier(Path(folder), model=work.model, tokenizer=work.tokenizer, seed=work.seed)
        config = read_config(Path(folder))
        pair_format = "bert" if config.family == "bert" else "concat"
        work = dataclasses.replace(work, folder=folder, pair_format=pair_format)
        sides = {"lingjax": functools.partial(lingjax_side, work), _PEER: functools.partial(transformers_side, work)}
        measured = side_by_side.alternate(sides, rounds=work.rounds, threads=work.threads)
    difference = _check_same_work(measured, work.dtype)
    described = dataclasses.asdict(work) | {
        "model": "/".join(Path(work.model).parts[-2:]),
        "family": config.family,
        "width": config.width,
        "depth": config.depth,
        "source": Path(work.source).name,
        "pairs": measured["lingjax"]["rounds"][0].amount,
        "largest_logit_difference": difference,
    }
    for name in ("folder", "tokenizer"):
        del described[name]
    side_by_side.print_result(
        "evaluation_throughput",
        machine=machine,
        work=described,
        sides={name: _described(side) for name, side in measured.items()},
        ratios={f"lingjax / {_PEER}": side_by_side.compare(measured, name="lingjax", peer=_PEER)},
    )


def lingjax_side(work: EvaluationWork) -> Side:
    """Returns what `experiments.evaluate` runs of one model on one target, compiled for every shape of batch."""
    runtime.start_jax()
    from lingjax.data import PairEncoder
    from lingjax.evaluation.predict import predict_pairs
    from lingjax.study.models import scan_by_default
    from lingjax.training.mesh import make_mesh
    from lingjax.training.start import start_pretrained

    mesh = make_mesh("")
    changes = {"compute_dtype": work.dtype, "scan_layers": scan_by_default()}
    start = start_pretrained(work.folder, head="pairs", mesh=mesh, seed=None, changes=changes, offline=True)
    encoder = PairEncoder(start.tokenizer, pair_format=work.pair_format, max_length=work.max_length)
    rows = work.rows()

    def predict() -> np.ndarray:
        return predict_pairs(start, rows, encoder, mesh=mesh, batch_size=work.batch_size).logits

    warm_up_started = time.perf_counter()
    logits = predict()
    facts = {
        "versions": {name: importlib.metadata.version(name) for name in ("jax", "jaxlib", "flax")},
        "parameters": start.num_parameters,
        "device": mesh.devices.flat[0].device_kind,
        "warm_up_seconds": time.perf_counter() - warm_up_started,
        "logits": logits[:_PAIRS_COMPARED].tolist(),
    }
    return Side(facts, lambda _: (len(predict()), {}))


def transformers_side(work: EvaluationWork) -> Side:
    """Returns transformers on PyTorch: tokenized in one call, sorted by length, padded to a batch's longest pair."""
    import torch
    import transformers

    transformers.logging.disable_progress_bar()
    torch.set_num_threads(work.threads)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    tokenizer = transformers.AutoTokenizer.from_pretrained(work.folder)
    model = transformers.AutoModelForSequenceClassification.from_pretrained(work.folder, dtype=torch.float32)
    model.to(device).eval()
    forward = torch.compile(model, dynamic=True) if device == "cuda" else model
    records = list(work.rows())
    firsts, seconds = ([getattr(record, name) for record in records] for name in ("sentence1", "sentence2"))

    def encode() -> list[dict[str, list[int]]]:
        if work.pair_format == "concat":
            texts = ([first + second for first, second in zip(firsts, seconds, strict=True)],)
        else:
            texts = (firsts, seconds)
        columns = tokenizer(*texts, truncation=True, max_length=work.max_length)
        return [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]

    def predict() -> np.ndarray:
        encoded = encode()
        order = sorted(range(len(encoded)), key=lambda row: -len(encoded[row]["input_ids"]))
        logits = np.zeros((len(encoded), 2), np.float32)
        with torch.inference_mode(), torch.autocast(device, torch.bfloat16, enabled=work.dtype == "bfloat16"):
            for begin in range(0, len(order), work.batch_size):
                chosen = order[begin : begin + work.batch_size]
                inputs = tokenizer.pad([encoded[row] for row in chosen], return_tensors="pt").to(device)
                logits[chosen] = forward(**inputs).logits.float().cpu().numpy()
        return logits

    warm_up_started = time.perf_counter()
    logits = predict()
    facts = {
        "versions": {name: importlib.metadata.version(name) for name in ("torch", "transformers", "tokenizers")},
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "attention": model.config._attn_implementation,
        "device": torch.cuda.get_device_name() if device == "cuda" else "cpu",
        "threads": torch.get_num_threads(),
        "warm_up_seconds": time.perf_counter() - warm_up_started,
        "logits": logits[:_PAIRS_COMPARED].tolist(),
    }
    return Side(facts, lambda _: (len(predict()), {}))


def _check_same_work(measured: dict[str, dict[str, Any]], dtype: str) -> float:
    """Returns how far the sides' logits of the first pairs, from before anything was timed, are apart at most."""
    ours, theirs = (np.array(side["facts"]["logits"]) for side in measured.values())
    difference = float(np.abs(ours - theirs).max())
    if not difference <= _LARGEST_DIFFERENCE[dtype]:
        raise RuntimeError(f"the sides do not do the same: logits of the first pairs are {difference} apart")
    parameters = {name: side["facts"]["parameters"] for name, side in measured.items()}
    if len(set(parameters.values())) > 1:
        raise RuntimeError(f"the sides do not have the same model: parameters {parameters}")
    return difference


def _described(side: dict[str, Any]) -> dict[str, Any]:
    described = side_by_side.describe_side(side, unit="pairs")
    del described["logits"]
    return described


if __name__ == "__main__":
    command.run(main)
