"""Zero-shot evaluation beside transformers + PyTorch: the same weights and pairs, on the same cores, by turns.

Prints JSON: pairs per second of every round, their medians, and the ratio lingjax / transformers with its range.
Commands and how to read the result: benchmarks/README.md.
"""

import dataclasses
import functools
import importlib.metadata
import json
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from absl import flags

from benchmarks import side_by_side
from benchmarks.side_by_side import Side
from experiments import runtime
from lingjax import command

if TYPE_CHECKING:
    from lingjax.data import SubsetSource

_MODEL = flags.DEFINE_string(
    "model", None, "Hugging Face folder, or gpt2-small or bert-base with random weights.", required=True
)
_TOKENIZER = flags.DEFINE_string("tokenizer", None, "Hugging Face folder; the model's own where it has one.")
_SOURCE = flags.DEFINE_string("source", None, "Dataset reference of the pairs: PATH or PATH@SPLIT.", required=True)
_PAIRS = flags.DEFINE_integer("pairs", 2000, "Most pairs a round, the first of the dataset.", lower_bound=1)
_BATCH_SIZE = flags.DEFINE_integer("batch_size", 64, "Pairs of a forward pass.", lower_bound=1)
_MAX_LENGTH = flags.DEFINE_integer("max_length", 128, "Most tokens of a pair.", lower_bound=5)
_ROUNDS = flags.DEFINE_integer("rounds", 5, "Turns of each side.", lower_bound=1)
_THREADS = flags.DEFINE_integer("threads", 0, "Cores each side may use; 0: all.", lower_bound=0)
_DTYPE = flags.DEFINE_enum("dtype", "float32", ["float32", "bfloat16"], "Type of the computation on both sides.")
_SEED = flags.DEFINE_integer("seed", 0, "Of random weights.")

_PEER = "transformers"
_PAIRS_COMPARED = 64
# Of a logit. Float32 sums in another order differ by less; bfloat16 rounds at other places.
_LARGEST_DIFFERENCE = {"float32": 1e-3, "bfloat16": 5e-2}


@dataclasses.dataclass(frozen=True)
class Work:
    """What both sides are given.

    Attributes:
      folder: Hugging Face folder of tokenizer and pair classifier.
      source: dataset reference of the pairs.
      pairs: how many of them, at most.
      pair_format: how two texts become one row of tokens: `concat` or `bert`.
      max_length: most tokens of a pair.
      batch_size: pairs of a forward pass.
      threads: cores.
      dtype: of the computation; the peer's bfloat16 is PyTorch's autocast.
    """

    folder: str
    source: str
    pairs: int
    pair_format: str
    max_length: int
    batch_size: int
    threads: int
    dtype: str

    def rows(self) -> "SubsetSource":
        """Opens the pairs."""
        from lingjax.data import PairSource, SubsetSource, open_split

        source = PairSource(open_split(self.source, default=("test", "validation", "dev", "train")))
        return SubsetSource(source, range(min(self.pairs, len(source))))


def main(_: list[str]) -> None:
    """Measures and prints."""
    from benchmarks.model_folders import write_pair_classifier
    from lingjax.models import read_config

    threads = side_by_side.choose_threads(_THREADS.value)
    machine = side_by_side.describe_machine(threads)
    with tempfile.TemporaryDirectory() as folder:
        write_pair_classifier(Path(folder), model=_MODEL.value, tokenizer=_TOKENIZER.value, seed=_SEED.value)
        config = read_config(Path(folder))
        work = Work(
            folder=folder,
            source=_SOURCE.value,
            pairs=_PAIRS.value,
            pair_format="bert" if config.family == "bert" else "concat",
            max_length=_MAX_LENGTH.value,
            batch_size=_BATCH_SIZE.value,
            threads=threads,
            dtype=_DTYPE.value,
        )
        sides = {"lingjax": functools.partial(lingjax_side, work), _PEER: functools.partial(transformers_side, work)}
        measured = side_by_side.alternate(sides, rounds=_ROUNDS.value, threads=threads)
    difference = _check_same_work(measured)
    described = dataclasses.asdict(work) | {
        "model": "/".join(Path(_MODEL.value).parts[-2:]),
        "family": config.family,
        "width": config.width,
        "depth": config.depth,
        "source": Path(_SOURCE.value).name,
        "pairs": measured["lingjax"]["rounds"][0].amount,
        "rounds": _ROUNDS.value,
        "seed": _SEED.value,
        "largest_logit_difference": difference,
    }
    del described["folder"]
    result = {
        "benchmark": "evaluation_throughput",
        "created_utc": runtime.now_utc(),
        "machine": machine,
        "work": described,
        "sides": {name: _described(side) for name, side in measured.items()},
        "ratios": {f"lingjax / {_PEER}": side_by_side.compare(measured, name="lingjax", peer=_PEER)},
    }
    print(json.dumps(result, indent=2))


def lingjax_side(work: Work) -> Side:
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


def transformers_side(work: Work) -> Side:
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


def _check_same_work(measured: dict[str, dict[str, Any]]) -> float:
    """Returns how far the sides' logits of the first pairs, from before anything was timed, are apart at most."""
    ours, theirs = (np.array(side["facts"]["logits"]) for side in measured.values())
    difference = float(np.abs(ours - theirs).max())
    if not difference <= _LARGEST_DIFFERENCE[_DTYPE.value]:
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
