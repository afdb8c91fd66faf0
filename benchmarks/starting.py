"""One start up to the end of its first optimizer step, in a process of its own; `benchmarks.second_start` runs it.

`python -m benchmarks.starting REQUEST` reads a `Start` as JSON and prints what took how long as JSON, then ends the
process: what a run does after its first step, such as writing checkpoints, is not waited for.
"""

import collections
import contextlib
import dataclasses
import functools
import importlib
import json
import os
import runpy
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

LEARNING_RATE = 1e-5


@dataclasses.dataclass(frozen=True)
class Start:
    """What a process is to do.

    Attributes:
      side: `lingjax` or `transformers`.
      began: on the monotonic clock, when the process was asked for.
      experiment: `pretrain` or `finetune`.
      folder: Hugging Face folder with weights and tokenizer.
      arguments: what the command `experiments.EXPERIMENT` is given.
      batch: what transformers trains on: rows of token ids, or pairs of texts with their labels.
      max_length: most tokens of a pair.
      threads: cores.
    """

    side: str
    began: float
    experiment: str
    folder: str
    arguments: list[str]
    batch: dict[str, Any]
    max_length: int
    threads: int


class Stages:
    """Seconds of the main thread by stage; inside of several they count to the innermost, outside of all to `other`."""

    def __init__(self, began: float):
        self.seconds: collections.Counter[str] = collections.Counter()
        self._began = self._last = began
        self._inside = ["other"]

    @contextlib.contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Counts what happens inside to a stage."""
        self._count()
        self._inside.append(name)
        try:
            yield
        finally:
            self._count()
            self._inside.pop()

    def wrap(self, module: Any, function: str, stage: str) -> None:
        """Lets a module's function count to a stage."""
        original = getattr(module, function)

        @functools.wraps(original)
        def counted(*arguments: Any, **keywords: Any) -> Any:
            if threading.current_thread() is not threading.main_thread():
                return original(*arguments, **keywords)
            with self.stage(stage):
                return original(*arguments, **keywords)

        setattr(module, function, counted)

    def move(self, stage: str, seconds: float) -> None:
        """Takes seconds out of the innermost stage, which the library itself measured as another."""
        self._count()
        self.seconds[self._inside[-1]] -= seconds
        self.seconds[stage] += seconds

    @property
    def total(self) -> float:
        """Seconds since the process was asked for."""
        return self._last - self._began

    def imported(self) -> None:
        """Counts all time until now to the imports: the interpreter's start is among it."""
        self._count()
        self.seconds["imports"] += self.seconds.pop("other")

    def _count(self) -> None:
        now = time.monotonic()
        self.seconds[self._inside[-1]] += now - self._last
        self._last = now


def main(request: str) -> None:
    """Starts one side."""
    start = Start(**json.loads(Path(request).read_text()))
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: start.threads])
    stages = Stages(start.began)
    {"lingjax": _start_lingjax, "transformers": _start_transformers}[start.side](start, stages)


def _end(stages: Stages, loss: float) -> None:
    sys.stdout.write(json.dumps({"seconds": stages.total, "stages": stages.seconds, "loss": loss}) + "\n")
    sys.stdout.flush()
    os._exit(0)


# Where the parts of a start lie: module, function, stage.
_PARTS = {
    "pretrain": [
        ("lingjax.study.pretraining", "open_corpora", "data"),
        ("lingjax.study.pretraining", "start_pretrained", "model"),
        ("lingjax.study.pretraining", "load_start_tokenizer", "tokenizer"),
        ("lingjax.training.pretrain", "place_new_state", "state"),
    ],
    "finetune": [
        ("lingjax.study.tasks", "open_source", "data"),
        ("lingjax.study.models", "start_pretrained", "model"),
        ("lingjax.study.encoded", "encode_pairs", "data"),
        ("lingjax.training.finetune", "place_new_state", "state"),
    ],
}
_EVENTS = {
    "/jax/core/compile/jaxpr_trace_duration": "tracing",
    "/jax/core/compile/jaxpr_to_mlir_module_duration": "lowering",
    "/jax/core/compile/backend_compile_duration": "compiling or reading the cache",
}


def _start_lingjax(start: Start, stages: Stages) -> None:
    """Runs the command itself, as typed, with its parts timed."""
    import jax

    from lingjax.training import loop
    from lingjax.training import start as training_start

    parts = [(importlib.import_module(module), *names) for module, *names in _PARTS[start.experiment]]
    stages.imported()
    for module, function, stage in [*parts, (training_start, "load_tokenizer", "tokenizer")]:
        stages.wrap(module, function, stage)
    make_step = loop.OneRun.step
    in_step = False

    def count(event: str, seconds: float, **_: Any) -> None:
        if in_step and event in _EVENTS:
            stages.move(_EVENTS[event], seconds)

    def first_step(*arguments: Any) -> None:
        nonlocal in_step
        with stages.stage("first step"):
            in_step = True
            made = make_step(*arguments)
            jax.block_until_ready(made)
        _end(stages, made[1].means()["loss"])

    jax.monitoring.register_event_duration_secs_listener(count)
    loop.OneRun.step = first_step
    sys.argv = [f"experiments/{start.experiment}.py", *start.arguments]
    runpy.run_module(f"experiments.{start.experiment}", run_name="__main__", alter_sys=False)


def _start_transformers(start: Start, stages: Stages) -> None:
    """Does what a careful user's script does; its data lie in memory."""
    import torch
    import transformers

    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    model_class, classifier_class, tokenizer_class = (
        transformers.AutoModelForCausalLM,
        transformers.AutoModelForSequenceClassification,
        transformers.AutoTokenizer,
    )
    stages.imported()
    torch.set_num_threads(start.threads)
    with stages.stage("tokenizer"):
        tokenizer = tokenizer_class.from_pretrained(start.folder)
        tokenizer.pad_token = tokenizer.pad_token or tokenizer.eos_token
    with stages.stage("model"):
        if start.experiment == "pretrain":
            model = model_class.from_pretrained(start.folder, dtype=torch.float32)
        else:
            model = classifier_class.from_pretrained(start.folder, dtype=torch.float32, num_labels=2)
            model.config.pad_token_id = tokenizer.pad_token_id
    with stages.stage("first step"):
        if start.experiment == "pretrain":
            token_ids = torch.tensor(start.batch["token_ids"])
            inputs = {"input_ids": token_ids, "labels": token_ids}
        else:
            padded = {"truncation": True, "max_length": start.max_length, "padding": True, "return_tensors": "pt"}
            inputs = dict(tokenizer(start.batch["texts"], **padded), labels=torch.tensor(start.batch["labels"]))
        parameters = list(model.parameters())
        optimizer = torch.optim.AdamW(parameters, lr=LEARNING_RATE, fused=True)
        model.train()
        loss = model(**inputs).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        loss_value = float(loss)
    _end(stages, loss_value)


if __name__ == "__main__":
    main(sys.argv[1])
