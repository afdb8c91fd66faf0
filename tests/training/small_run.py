"""A training run of seconds, made the same way by the tests and by the process that one of them kills.

As a command, `python -m tests.training.small_run TOKENIZER FOLDER`, it kills itself in the middle.
"""

import dataclasses
import functools
import os
import random
import signal
import sys
from pathlib import Path

import jax
import jax.numpy as jnp

from lingjax.data import PairEncoder, PairRecord, evaluation_batches, load_tokenizer, training_batches
from lingjax.models import axes_by_path
from lingjax.training.loaded_model import LoadedModel
from lingjax.training.loop import OneRun, train
from lingjax.training.loss import LossTally
from lingjax.training.mesh import make_mesh, parameter_shardings, place_batch, state_shardings
from lingjax.training.optimizer import OptimizerConfig, learning_rate_schedule, make_optimizer
from lingjax.training.run_log import Evaluation, LoopConfig, Outcome, Run, RunLog
from lingjax.training.start import Architecture, start_random
from lingjax.training.state import TrainState, new_state
from lingjax.training.steps import make_evaluation_step, make_train_step, pair_loss_function

WORDS = ("red", "green", "blue", "stone", "river", "cloud", "tree", "sand", "moon", "wind", "snow", "frost", "magic")
SPECIAL = {
    "pad_token": "[PAD]",
    "unk_token": "[UNK]",
    "cls_token": "[CLS]",
    "sep_token": "[SEP]",
    "eos_token": "[END]",
    "mask_token": "[MASK]",
}
FORMATS = {"gpt2": "separated", "bert": "bert"}
STEPS = 6
OPTIMIZER = OptimizerConfig(learning_rate=3e-3, schedule="linear", warmup_fraction=0.2, weight_decay=0.1)


def write_tokenizer(folder: Path) -> Path:
    """Writes a tokenizer of whole words with the special tokens of both families."""
    import tokenizers
    from transformers import PreTrainedTokenizerFast

    vocabulary = {word: index for index, word in enumerate([*SPECIAL.values(), *WORDS])}
    backend = tokenizers.Tokenizer(tokenizers.models.WordLevel(vocabulary, unk_token="[UNK]"))
    backend.pre_tokenizer = tokenizers.pre_tokenizers.WhitespaceSplit()
    PreTrainedTokenizerFast(tokenizer_object=backend, **SPECIAL).save_pretrained(str(folder))
    return folder


def make_records(count: int, *, seed: int = 0, longest: int = 5) -> list[PairRecord]:
    """Makes pairs of which those with the word "magic" in the second sentence have label 1."""
    rng = random.Random(seed)

    def sentence() -> list[str]:
        return rng.choices(WORDS[:-1], k=rng.randint(1, longest))

    records = []
    for number in range(count):
        label = rng.randint(0, 1)
        second = sentence()
        second[rng.randrange(len(second))] = "magic" if label else "moon"
        records.append(PairRecord(f"pair-{number}", " ".join(sentence()), " ".join(second), label))
    return records


def make_encoder(tokenizer, family: str) -> PairEncoder:
    return PairEncoder(tokenizer, pair_format=FORMATS[family], max_length=16)


@functools.cache
def make_start(
    tokenizer_folder: Path, *, family: str = "gpt2", head: str = "pairs", seed: int = 5, **changes
) -> LoadedModel:
    """Returns a random model on one device, of sizes that mesh axes of 2 and 4 divide, but for its vocabulary of 19.

    It is made once; who trains it needs a copy of its parameters, as `placed_state` takes.
    """
    return start_random(
        Architecture(family, "tiny", str(tokenizer_folder), max_length=16),
        head=head,
        mesh=one_device(),
        seed=seed,
        changes={"width": 16, "depth": 2, "num_heads": 4, "mlp_width": 24, **changes},
        offline=True,
    )


def one_device() -> jax.sharding.Mesh:
    return make_mesh("data:1", devices=jax.devices()[:1])


def placed_state(start: LoadedModel, optimizer, mesh, *, seed: int = 3) -> TrainState:
    """Returns a first state of its own memory on a mesh, because steps consume the states that they are given."""
    state = new_state(jax.tree.map(jnp.copy, start.parameters), optimizer, seed=seed)
    shardings = parameter_shardings(axes_by_path(start.config.family, start.head), state.parameters, mesh)
    return jax.device_put(state, state_shardings(state, shardings, mesh))


class SmallRun:
    """Six steps over two epochs with dropout and several pairs a row, as a rule evaluated every second step."""

    def __init__(self, tokenizer_folder: Path):
        self.mesh = one_device()
        self.encoder = make_encoder(load_tokenizer(str(tokenizer_folder), offline=True), "gpt2")
        self.start = make_start(tokenizer_folder, dropout_rate=0.2, attention_dropout_rate=0.2)
        self.optimizer = make_optimizer(OPTIMIZER, total_steps=STEPS)
        loss = pair_loss_function(self.start.graph)
        self.step = make_train_step(loss, self.optimizer)
        self.evaluation_step = make_evaluation_step(loss)

    def evaluate(self, done: int, parameters) -> Evaluation:
        tally = LossTally.empty()
        for batch in evaluation_batches(make_records(7, seed=1), self.encoder, batch_size=7):
            tally = self.evaluation_step(parameters, place_batch(batch, self.mesh), tally)
        means = tally.means()
        return Evaluation({"dev_loss": means["loss"]}, score=-means["loss"])

    def go(self, folder: Path, *, step=None, evaluate=None, **when) -> "TrainedRun":
        """Trains in `folder`, with the fields of `LoopConfig` in `when`."""
        batches = training_batches(
            make_records(17),
            self.encoder,
            batch_size=5,
            seed=2,
            epochs=2,
            max_pairs_per_row=3,
            rows_multiple=4,
        )
        run = Run(placed_state(self.start, self.optimizer, self.mesh), batches, evaluate or self.evaluate, folder)
        return train_alone(
            run,
            OneRun(step or self.step, self.mesh),
            LoopConfig(**{"log_every": 1, "evaluate_every": 2, **when}),
            total_steps=STEPS,
            learning_rate=learning_rate_schedule(OPTIMIZER, total_steps=STEPS),
            clock=lambda: 0.0,
        )


@dataclasses.dataclass(frozen=True)
class TrainedRun(Outcome):
    """How a run went, with its state after the last step."""

    state: TrainState


def train_alone(run: Run, program: OneRun, config: LoopConfig, *, clock, **arguments) -> TrainedRun:
    """Makes one run."""
    log = RunLog(run, config, clock=clock)
    state = train(log, program, clock=clock, title="test", **arguments)
    return TrainedRun(**vars(log.outcomes()[0]), state=state)


def _kill_in_evaluation(done: int, parameters) -> Evaluation:
    if done == 4:
        os.kill(os.getpid(), signal.SIGKILL)
    return Evaluation({}, score=0.0)


if __name__ == "__main__":
    SmallRun(Path(sys.argv[1])).go(Path(sys.argv[2]), save_every=1, evaluate=_kill_in_evaluation)
