"""Pretraining in seconds on packed rows in memory, made the same way by the tests and by a process that they kill.

As a command, `python -m tests.training.small_pretraining TOKENIZER FOLDER SECONDS`, it kills itself SECONDS after its
first step.
"""

import dataclasses
import os
import signal
import sys
import threading
from pathlib import Path
from types import SimpleNamespace

import jax
import numpy as np

from lingjax.data import PackedRow
from lingjax.training.optimizer import OptimizerConfig
from lingjax.training.pretrain import PretrainConfig, pretrain
from lingjax.training.run_log import LoopConfig
from tests.training.small_run import make_start, one_device

OPTIMIZER = OptimizerConfig(learning_rate=3e-3, weight_decay=0.1, warmup_fraction=0.1)


class Rows:
    """A packed source: two documents and padding a row, tokens that count upwards from a random one."""

    length = 16
    characters_per_token = 4.0

    def __init__(self, count: int, *, domain: str, seed: int):
        self.count, self.domain, self.seed = count, domain, seed
        self.split = SimpleNamespace(name=domain)

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, number: int) -> PackedRow:
        first = np.random.default_rng([self.seed, number]).integers(13)
        tokens = (6 + (first + np.arange(16)) % 13).astype(np.int32)
        documents = np.repeat(np.array([1, 2, 0], np.int32), [7, 7, 2])
        return PackedRow(np.where(documents > 0, tokens, 0).astype(np.int32), documents, number)


def go(
    tokenizer_folder: Path,
    folder: Path,
    *,
    family="gpt2",
    mesh=None,
    remat="none",
    clock=lambda: 0.0,
    domains=("english", "dna"),
    held_out=None,
    **recipe,
):
    """Pretrains in `folder`, with fields of its configuration in `recipe`; returns what `result.json` holds."""
    if held_out is None:
        held_out = {domain: [] for domain in domains}
        for domain, rows, seed in zip(domains, (5, 3), (3, 4), strict=True):
            held_out[domain].append(Rows(rows, domain=domain, seed=seed))
    start = make_start(
        tokenizer_folder,
        family=family,
        head="language_model",
        dropout_rate=0.2,
        attention_dropout_rate=0.2,
        vocab_multiple=8,
        remat=remat,
    )
    start = type(start)(**{**vars(start), "parameters": jax.tree.map(np.asarray, start.parameters)})
    given = {"batch_size": 8, "steps": 6, "log_every": 1, "mask_fraction": 0.4, "keep_checkpoints": 2, **recipe}
    loop = {field.name: given.pop(field.name) for field in dataclasses.fields(LoopConfig) if field.name in given}
    return pretrain(
        start,
        config=PretrainConfig(optimizer=OPTIMIZER, loop=LoopConfig(**loop), **given),
        mixture=[(Rows(29, domain=domains[0], seed=1), 2.0), (Rows(23, domain=domains[1], seed=2), 1.0)],
        held_out=held_out,
        mesh=one_device() if mesh is None else mesh,
        seed=7,
        folder=folder,
        settings={},
        clock=clock,
    )


def _killing_clock(seconds: float):
    """A clock that, from its first look after a step on, lets the process live so long."""
    looks = iter(range(10**9))

    def clock() -> float:
        if next(looks) == 6:
            threading.Timer(seconds, os.kill, (os.getpid(), signal.SIGKILL)).start()
        return 0.0

    return clock


if __name__ == "__main__":
    go(Path(sys.argv[1]), Path(sys.argv[2]), steps=40, save_every=1, clock=_killing_clock(float(sys.argv[3])))
