"""A chain of commands on tiny data, each killed again and again at random moments, and what it leaves compared."""

import dataclasses
import json
import random
import re
import shutil
import signal
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from tests.experiments.prepared_process import PreparedProcess

SIGNALS = (signal.SIGKILL, signal.SIGKILL, signal.SIGTERM, signal.SIGINT)
_OF_TIME = re.compile(r"seconds|per_second|^created_utc$|^timing$|^mfu$|data_wait|^content_sha256$|^crc32c$|^seconds_")
_LEFT = r"\.partial$|\.incomplete$|\.unfinished$|orbax-checkpoint-tmp|\.lock$"


@dataclasses.dataclass(frozen=True)
class Stage:
    """A command, and what it makes below the chain's folder."""

    name: str
    arguments: Callable[[Path], Sequence[object]]
    makes: Sequence[str]


def _pretraining(folder: Path, workdir: str) -> list[object]:
    return [
        "experiments.pretrain",
        f"--workdir={folder}/{workdir}",
        "--config.model.size=tiny",
        f"--config.model.tokenizer={folder}/tokenizer",
        "--config.model.max_length=32",
        f"--config.data.mixture={folder}/data/packed_dna:1",
        "--config.train.batch_size=4",
        "--config.train.steps=12",
        "--config.save_every=1",
        "--config.evaluate_every=4",
        "--config.log_every=2",
    ]


def _transfer(folder: Path) -> list[object]:
    return [
        "experiments.transfer",
        f"--workdir={folder}/transfer",
        f"--config.model.init={folder}/pretrained",
        f"--config.source={folder}/data/synthetic_english_pairs",
        f"--config.targets={folder}/data/synthetic_dna_pairs",
        "--config.train.max_length=32",
        "--config.train.steps=6",
        "--config.train.batch_size=5",
        "--config.save_every=1",
        "--config.seeds=2",
        "--config.seeds_at_once=1",
        "--config.trained_controls=random_init",
        "--config.bootstrap_replicates=20",
        "--config.offline=true",
    ]


STAGES = {
    stage.name: stage
    for stage in (
        Stage(
            "build",
            lambda folder: ["data_prep.build", "--dataset=synthetic", "--scale=0.02", f"--data_dir={folder}/data"],
            ["data/synthetic_*"],
        ),
        Stage(
            "tokenizer",
            lambda folder: [
                "data_prep.train_tokenizer",
                "--kind=bpe",
                "--vocab_size=300",
                f"--corpora={folder}/data/synthetic_dna:1",
                f"--out={folder}/tokenizer",
            ],
            ["tokenizer"],
        ),
        Stage(
            "pack",
            lambda folder: [
                "data_prep.pack",
                f"--corpus={folder}/data/synthetic_dna",
                f"--tokenizer={folder}/tokenizer",
                "--length=32",
                f"--data_dir={folder}/data",
                "--name=packed_dna",
            ],
            ["data/packed_dna"],
        ),
        Stage("pretrain", lambda folder: _pretraining(folder, "pretrained"), ["pretrained"]),
        Stage("transfer", _transfer, ["transfer"]),
        Stage(
            "export",
            lambda folder: ["experiments.export", f"--checkpoint={folder}/pretrained", f"--out={folder}/exported"],
            ["exported"],
        ),
    )
}


def _without_times(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _without_times(inner) for name, inner in value.items() if not _OF_TIME.search(name)}
    return [_without_times(inner) for inner in value] if isinstance(value, list) else value


def contents(folder: Path, patterns: Sequence[str]) -> dict[str, Any]:
    """Returns what was made, by file: bytes, without what a clock gave; of checkpoints the checksums of all arrays."""
    found: dict[str, Any] = {}
    for root in sorted(root for pattern in patterns for root in folder.glob(pattern)):
        for path in sorted(path for path in root.rglob("*") if path.is_file()):
            name = str(path.relative_to(folder))
            if "/checkpoints/" in name:
                if name.endswith("/checksums/metadata"):
                    read = json.loads(path.read_bytes())
                    found[name] = {key: value for key, value in read.items() if key != "progress"}
            elif path.suffix in (".json", ".jsonl"):
                found[name] = [_without_times(json.loads(text)) for text in _objects(path)]
            elif "/tensorboard/" not in name and path.suffix not in (".html", ".svg", ".png"):
                found[name] = path.read_bytes()
            else:
                found[name] = None
    return {re.sub(r"events\.out.*", "events", name): value for name, value in found.items()}


def _objects(path: Path) -> list[str]:
    text = path.read_text(encoding="utf-8")
    return text.splitlines() if path.suffix == ".jsonl" else [text]


@dataclasses.dataclass
class Tally:
    """Kills by stage and signal, and what differed in the end."""

    kills: dict[str, int] = dataclasses.field(default_factory=dict)
    faults: list[str] = dataclasses.field(default_factory=list)


def _remove(folder: Path, patterns: Sequence[str]) -> None:
    for pattern in patterns:
        for made in list(folder.glob(pattern)):
            shutil.rmtree(made)


def survive(process: PreparedProcess, folder: Path, names: Sequence[str], *, kills: dict[str, int], seed: int) -> Tally:
    """Runs stages undisturbed, then in the same place with kills, and compares.

    Args:
      process: runs the commands.
      folder: of the chain; what earlier stages made is there already, unless they are among `names`.
      names: of the stages.
      kills: how many each stage survives.
      seed: of moments and signals.
    """
    rng, tally = random.Random(seed), Tally()
    for name in names:
        stage = STAGES[name]
        began = time.monotonic()
        done = process.run(*stage.arguments(folder))
        assert done.returncode == 0, (name, done.stderr[-2000:])
        seconds = time.monotonic() - began
        expected = contents(folder, stage.makes)
        aside = folder / ".aside"
        aside.mkdir()
        for pattern in stage.makes:
            for made in list(folder.glob(pattern)):
                made.rename(aside / made.name)
        count = tries = 0
        while count < kills[name] and tries < 5 * kills[name]:
            tries += 1
            number = rng.choice(SIGNALS)
            done = process.run(*stage.arguments(folder), kill=(rng.uniform(0.02, seconds), number))
            if done.returncode == 0:  # it had ended: once more from the beginning, and sooner
                seconds *= 0.7
                _remove(folder, stage.makes)
                continue
            if done.returncode not in (-number, 128 + number):
                tally.faults.append(f"{name}, {number.name}: exit {done.returncode}: {done.stderr[-600:]}")
            if "Traceback" in done.stderr and number != signal.SIGINT:
                tally.faults.append(f"{name}, {number.name}: traceback: {done.stderr[-600:]}")
            key = f"{name} {number.name}"
            tally.kills[key] = tally.kills.get(key, 0) + 1
            count += 1
        done = process.run(*stage.arguments(folder))
        if done.returncode:
            tally.faults.append(f"{name}: does not end after {count} kills: {done.stderr[-1500:]}")
            return tally
        after = contents(folder, stage.makes)
        different = sorted(path for path in expected.keys() | after.keys() if expected.get(path) != after.get(path))
        if different:
            tally.faults.append(f"{name}: after {count} kills other content of {different[:8]}")
        left = [
            str(path)
            for path in folder.rglob("*")
            if re.search(r"\.partial$|\.incomplete$|orbax-checkpoint-tmp|\.lock$", path.name)
        ]
        if left:
            tally.faults.append(f"{name}: left over: {left[:5]}")
        shutil.rmtree(aside)
        sys.stderr.write(f"{name}: {count} kills survived, {seconds:.1f} s a run\n")
    return tally
