"""Pretrains a language model on a weighted mixture of packed corpora: GPT-2 on next tokens, BERT on masked ones."""

import dataclasses
import functools
import math
import operator
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from etils import epath
from jax.sharding import Mesh

from lingjax.axes import Parameters
from lingjax.data import (
    MaskedTokens,
    Masking,
    NextToken,
    Objective,
    PackedSource,
    PackedSubset,
    choose_in_equal_steps,
    count_characters,
    held_out_batches,
    markov_loss,
    mixture_batches,
    read_passages,
    seen_fraction,
    unigram_loss,
)
from lingjax.errors import InputError, raise_problems, range_problems
from lingjax.models import axes_by_path
from lingjax.training.loaded_model import LoadedModel
from lingjax.training.loop import OneRun, train
from lingjax.training.loss import LossTally
from lingjax.training.mesh import check_rows, place_batch, place_new_state, rows_of_this_process
from lingjax.training.optimizer import OptimizerConfig, learning_rate_schedule, make_optimizer
from lingjax.training.run_folder import describe_run, write_result
from lingjax.training.run_log import Evaluation, LoopConfig, Run, RunLog
from lingjax.training.steps import make_evaluation_step, make_train_step, token_loss_function
from lingjax.training.throughput import training_flops_per_token


@dataclasses.dataclass(frozen=True)
class PretrainConfig:
    """The recipe.

    Attributes:
      optimizer: update rule and schedule.
      batch_size: rows an update.
      steps: updates of the whole run.
      accumulation: micro-batches an update is computed in.
      mask_fraction: share of the tokens that BERT predicts; GPT-2 does not use it.
      evaluation_rows: most held-out rows of a corpus that are looked at, in equal steps; 0 means all.
      markov_tokens: most tokens of a training or held-out corpus that are compared by characters (a Markov model, and
        what of the held-out text was seen), in rows that are spread over it; 0 means no such comparison. Each start
        takes the time, and about 0.2 GB of memory a million characters.
      loop: when it is logged, evaluated and saved.
    """

    optimizer: OptimizerConfig
    batch_size: int
    steps: int
    accumulation: int = 1
    mask_fraction: float = 0.15
    evaluation_rows: int = 0
    markov_tokens: int = 2_000_000
    loop: LoopConfig = dataclasses.field(default_factory=lambda: LoopConfig(keep_checkpoints=2))

    def __post_init__(self):
        counts, sizes = ["batch_size", "steps", "accumulation"], ["evaluation_rows", "markov_tokens"]
        problems = range_problems(vars(self), at_least_1=counts, not_negative=sizes) + self.loop.problems()
        if not 0 < self.mask_fraction < 1:
            problems.append(f"mask_fraction={self.mask_fraction} must lie between 0 and 1")
        raise_problems("training configuration", problems)


def pretrain(
    start: LoadedModel,
    *,
    config: PretrainConfig,
    mixture: Sequence[tuple[PackedSource, float]],
    held_out: Mapping[str, Sequence[PackedSource]],
    mesh: Mesh,
    seed: int,
    folder: epath.PathLike,
    settings: Mapping[str, Any],
    clock: Callable[[], float] = time.perf_counter,
) -> dict[str, Any]:
    """Trains in `folder`, going on where an interrupted run stopped, and returns what `result.json` then holds.

    Args:
      start: a model with the `language_model` head; its parameters' memory is reused.
      config: the recipe.
      mixture: packed corpora and their shares of the tokens.
      held_out: packed rows by domain. Each domain's loss is logged as `DOMAIN_loss`, in nats a predicted token, beside
        `DOMAIN_unigram_loss`, that of a model which knows how frequent each token is and no more; and for GPT-2 as
        `DOMAIN_bits_per_character`, which is comparable between tokenizers, beside two of models that only count:
        `DOMAIN_composition_bits_per_character`, how frequent each character is, and
        `DOMAIN_markov_bits_per_character`, what follows `DOMAIN_markov_order` characters (`lingjax.data.markov_loss`).
        `DOMAIN_seen_fraction` is the share of the held-out text that stands in the training text too
        (`lingjax.data.seen_fraction`; missing where no passage is long enough).
      mesh: devices.
      seed: decides the order of the rows, masking and dropout.
      folder: where the run lives.
      settings: plain values to keep beside the model.
      clock: seconds, increasing.

    Raises:
      InputError: rows are longer than the model's positions, or a batch does not divide over the devices.
    """
    length = max(source.length for source, _ in mixture)
    if length > start.config.max_length:
        raise InputError(f"rows of {length} tokens exceed the model's {start.config.max_length} positions")
    check_rows(config.batch_size, mesh, accumulation=config.accumulation)
    optimizer = make_optimizer(config.optimizer, total_steps=config.steps)
    loss = token_loss_function(start.graph, num_domains=len(mixture), mesh=mesh)
    objective = _objective(start, config, seed=seed)
    rows = rows_of_this_process(mesh, batch_size=config.batch_size)
    axes = axes_by_path(start.config.family, start.head)
    state = place_new_state(start.parameters, optimizer, axes, mesh, seed=seed)

    describe_run(folder, start, settings)
    run = Run(
        state,
        mixture_batches(mixture, objective=objective, batch_size=config.batch_size, seed=seed, rows=rows),
        _HeldOut(
            start,
            config,
            held_out,
            mixture=mixture,
            objective=_objective(start, config, seed=0),
            mesh=mesh,
            rows=rows,
        ),
        folder,
        batch_rows=config.batch_size,
        flops_per_token=training_flops_per_token(start.config, num_parameters=start.num_parameters, length=length),
        groups=[source.domain for source, _ in mixture],
    )
    log = RunLog(run, config.loop, clock=clock)
    train(
        log,
        OneRun(make_train_step(loss, optimizer, accumulation=config.accumulation), mesh, config.batch_size),
        total_steps=config.steps,
        learning_rate=learning_rate_schedule(config.optimizer, total_steps=config.steps),
        clock=clock,
        title="pretrain",
    )
    (done,) = log.outcomes()
    result = {
        "best_step": done.best_step,
        "best": done.best,
        "total_steps": config.steps,
        "history": done.history,
        "seconds": done.seconds,
        "tokens_per_second": done.tokens / done.seconds if done.seconds else None,
    }
    write_result(folder, result)
    return result


def _objective(start: LoadedModel, config: PretrainConfig, *, seed: int) -> Objective:
    if start.config.family == "gpt2":
        return NextToken()
    return MaskedTokens(Masking.of(start.tokenizer, fraction=config.mask_fraction), seed=seed)


class _HeldOut:
    """The evaluation of a run: every domain's loss on rows that are not trained on."""

    def __init__(
        self,
        start: LoadedModel,
        config: PretrainConfig,
        held_out: Mapping[str, Sequence[PackedSource]],
        *,
        mixture: Sequence[tuple[PackedSource, float]],
        objective: Objective,
        mesh: Mesh,
        rows: Sequence[int],
    ):
        self._step = make_evaluation_step(token_loss_function(start.graph, num_domains=1, mesh=mesh))
        self._causal = start.config.family == "gpt2"
        self._vocab_size = start.config.padded_vocab_size
        self._config, self._mesh = config, mesh
        # The model and every yardstick beside it are judged by the same rows.
        most_rows = config.evaluation_rows
        self._sources = {
            domain: [choose_in_equal_steps(source, most_rows=most_rows) if most_rows else source for source in sources]
            for domain, sources in held_out.items()
        }
        self._mixture, self._objective, self._rows = mixture, objective, rows
        self._tokenizer = start.tokenizer

    @functools.cached_property
    def _yardsticks(self) -> dict[str, float]:
        """What models that only count lose, and what was seen: found at the first evaluation, not before training."""
        values, most_tokens = {}, self._config.markov_tokens
        for domain, sources in self._sources.items():
            training = [source for source, _ in self._mixture if source.domain == domain]
            # The objective of BERT masks no special token; GPT-2's has its separators predicted.
            values[f"{domain}_unigram_loss"] = unigram_loss(
                training,
                sources,
                vocab_size=self._vocab_size,
                never_asked=() if self._causal else self._tokenizer.special_ids,
            )
            if most_tokens:
                passages = [
                    list(read_passages(corpora, self._tokenizer, most_tokens=most_tokens))
                    for corpora in (training, sources)
                ]
                seen = seen_fraction(*passages)
                if seen is not None:
                    values[f"{domain}_seen_fraction"] = seen
                if self._counts_characters(domain):
                    loss = markov_loss(*passages)
                    values[f"{domain}_composition_bits_per_character"] = loss.composition_bits_per_character
                    values[f"{domain}_markov_bits_per_character"] = loss.bits_per_character
                    values[f"{domain}_markov_order"] = loss.order
        return values

    def __call__(self, _: int, parameters: Parameters) -> Evaluation:
        """Returns the losses; the mean over all predicted tokens is the score."""
        total = LossTally.empty()
        values = {}
        for domain, sources in self._sources.items():
            tallies = [self._tally(source, parameters) for source in sources]
            tally = functools.reduce(operator.add, tallies)
            values[f"{domain}_loss"] = tally.means()["loss"]
            if self._counts_characters(domain):
                characters = sum(
                    per_token * int(each.count.sum())
                    for per_token, each in zip(self._characters_per_token[domain], tallies, strict=True)
                )
                values[f"{domain}_bits_per_character"] = float(tally.loss_sum.sum()) / math.log(2) / characters
            total = total + tally
        values["held_out_loss"] = total.means()["loss"]
        return Evaluation({**values, **self._yardsticks}, score=-values["held_out_loss"])

    @functools.cached_property
    def _characters_per_token(self) -> dict[str, list[float | None]]:
        """Of the rows that are looked at: as recorded where those are all, otherwise counted."""

        def find(source: PackedSource | PackedSubset) -> float | None:
            if not isinstance(source, PackedSubset):
                return source.characters_per_token
            characters, tokens = count_characters(source, self._tokenizer)
            return characters / tokens

        return {domain: [find(source) for source in sources] for domain, sources in self._sources.items()}

    def _counts_characters(self, domain: str) -> bool:
        """Whether losses are of whole texts (BERT's are of masked tokens) whose characters are known."""
        return self._causal and None not in self._characters_per_token[domain]

    def _tally(self, source: PackedSource | PackedSubset, parameters: Parameters) -> LossTally:
        batch_size = self._config.batch_size
        tally = LossTally.empty()
        batches = held_out_batches(
            source,
            objective=self._objective,
            batch_size=batch_size,
            rows=self._rows,
        )
        for batch in batches:
            tally = self._step(parameters, place_batch(batch, self._mesh, num_rows=batch_size), tally)
        return tally
