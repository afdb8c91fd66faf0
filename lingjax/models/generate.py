"""Continues texts with GPT-2, many at once, token by token."""

import dataclasses
import functools
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Bool, Float, Float32, Int, Int32, Key

from lingjax.axes import Parameters, TokenIds
from lingjax.errors import InputError, raise_problems, range_problems
from lingjax.models.config import ModelConfig
from lingjax.models.gpt2 import Gpt2LanguageModel
from lingjax.models.key_value_cache import Cache, empty_cache, next_token_logits
from lingjax.models.sampling import Sampling, choose_tokens


@dataclasses.dataclass(frozen=True)
class Continuation:
    """What follows one prompt.

    Attributes:
      token_ids: the new tokens, with the end-of-text token where one was drawn.
      log_probabilities: how likely each new token was given all before it, in nats. They are the model's own, whatever
        temperature, top-k or top-p the token was drawn with.
      ended: whether it stopped at the end-of-text token, not at the limit.
    """

    token_ids: Int32[np.ndarray, "new"]
    log_probabilities: Float32[np.ndarray, "new"]
    ended: bool


def continue_texts(
    model: Gpt2LanguageModel,
    prompts: Sequence[Sequence[int]],
    *,
    max_new_tokens: int,
    sampling: Sampling | None = None,
    key: Key[Array, ""] | None = None,
    num_samples: int = 1,
    end_id: int | None = None,
    vocab_size: int | None = None,
    batch_size: int = 8,
) -> Iterator[Continuation]:
    """Continues every prompt `num_samples` times.

    What is drawn depends on the key and the numbers of the prompt and of its sample; on the other texts, on how many
    there are and on the batch size it does not, but for rounding.

    Args:
      model: computes in the type that its configuration says.
      prompts: token ids; an empty prompt starts from `end_id`, which comes before a text in training.
      max_new_tokens: limit of a continuation's length.
      sampling: how to draw; None takes the likeliest token each time.
      key: decides all random numbers; needed only with `sampling`.
      num_samples: continuations of each prompt.
      end_id: the token after which a text is over; None goes on to the limit.
      vocab_size: ids from here on are never drawn; for a tokenizer of fewer tokens than the model has.
      batch_size: texts computed together. All batches share one compiled program, as long as the longest prompt.

    Returns:
      The continuations, all of the first prompt first, computed a batch at a time as they are asked for.

    Raises:
      InputError: the model is not GPT-2, a number is below 1, or prompts are empty, too long or hold unknown tokens,
        all named together; while iterating, that the model's logits are not finite.
    """
    if not isinstance(model, Gpt2LanguageModel):
        raise InputError(f"only a GPT-2 language model continues texts, and this is a {type(model).__name__}")
    if sampling is not None and key is None:
        raise ValueError("sampling needs a random key")
    config = model.backbone.config
    vocab_size = min(vocab_size or config.vocab_size, config.vocab_size)
    starts = [list(map(int, prompt)) or ([] if end_id is None else [end_id]) for prompt in prompts]
    numbers = {"max_new_tokens": max_new_tokens, "num_samples": num_samples, "batch_size": batch_size}
    problems = range_problems(numbers, at_least_1=numbers)
    problems += _unusable_prompts(starts, config, vocab_size=vocab_size, max_new_tokens=max_new_tokens)
    raise_problems("generation", problems)

    extend = functools.partial(
        _extend,
        *nnx.split(model),
        key=key,
        max_new_tokens=max_new_tokens,
        sampling=sampling,
        end_id=end_id,
        vocab_size=vocab_size,
    )
    return _in_batches(extend, starts, num_samples=num_samples, batch_size=batch_size)


def _unusable_prompts(
    prompts: Sequence[Sequence[int]], config: ModelConfig, *, vocab_size: int, max_new_tokens: int
) -> list[str]:
    problems = []
    for number, prompt in enumerate(prompts, start=1):
        length, room = len(prompt), config.max_length - len(prompt)
        unknown = [token_id for token_id in prompt if not 0 <= token_id < vocab_size]
        if not prompt:
            problems.append(f"prompt {number} is empty and the tokenizer has no end-of-text token to start from")
        if unknown:
            problems.append(f"prompt {number}: token {unknown[0]} is outside the vocabulary of {vocab_size}")
        if room < 1:
            problems.append(f"prompt {number} has {length} tokens, of {config.max_length} positions; shorten it")
        elif room < max_new_tokens:
            problems.append(
                f"prompt {number} has {length} tokens, of {config.max_length} positions: at most {room} new ones fit, "
                f"not max_new_tokens={max_new_tokens}"
            )
    return problems


class _Drawn(NamedTuple):
    """The tokens drawn so far. A text that is over keeps its row; its length says how many tokens count."""

    steps: Int[Array, ""]
    token_ids: Int[Array, "rows new"]
    log_probabilities: Float[Array, "rows new"]
    lengths: Int[Array, "rows"]
    going_on: Bool[Array, "rows"]

    @classmethod
    def nothing(cls, rows: int, max_new_tokens: int) -> "_Drawn":
        shape = (rows, max_new_tokens)
        lengths, going_on = jnp.zeros(rows, jnp.int32), jnp.ones(rows, bool)
        return cls(jnp.int32(0), jnp.zeros(shape, jnp.int32), jnp.zeros(shape, jnp.float32), lengths, going_on)

    def add(
        self, token_ids: Int[Array, "rows"], log_probabilities: Float[Array, "rows"], *, end_id: int | None
    ) -> "_Drawn":
        return _Drawn(
            steps=self.steps + 1,
            token_ids=self.token_ids.at[:, self.steps].set(token_ids),
            log_probabilities=self.log_probabilities.at[:, self.steps].set(log_probabilities),
            lengths=self.lengths + self.going_on,
            going_on=self.going_on if end_id is None else self.going_on & (token_ids != end_id),
        )


def _in_batches(
    extend: Callable[..., _Drawn], prompts: Sequence[list[int]], *, num_samples: int, batch_size: int
) -> Iterator[Continuation]:
    total = len(prompts) * num_samples
    width = max(map(len, prompts), default=0)
    for first in range(0, total, batch_size):
        # The last batch is filled up with the last text, so that one program serves all.
        texts = np.minimum(np.arange(first, first + min(batch_size, total)), total - 1)
        prompt, sample = np.divmod(texts, num_samples)
        padding = np.array([width - len(prompts[number]) for number in prompt], np.int32)
        token_ids = np.array([[0] * (width - len(prompts[number])) + prompts[number] for number in prompt], np.int32)
        drawn = jax.device_get(extend(token_ids, padding, prompt, sample))
        for row, length in enumerate(drawn.lengths[: total - first]):
            log_probabilities = drawn.log_probabilities[row, :length]
            if not np.isfinite(log_probabilities).all():
                raise InputError("the model's logits are not finite: its training diverged; take an earlier checkpoint")
            yield Continuation(drawn.token_ids[row, :length], log_probabilities, ended=not drawn.going_on[row])


@functools.partial(jax.jit, static_argnames=("graph", "max_new_tokens", "sampling", "end_id", "vocab_size"))
def _extend(
    graph: nnx.GraphDef,
    parameters: Parameters,
    token_ids: TokenIds,
    padding: Int[Array, "rows"],
    prompt: Int[Array, "rows"],
    sample: Int[Array, "rows"],
    *,
    key: Key[Array, ""] | None,
    max_new_tokens: int,
    sampling: Sampling | None,
    end_id: int | None,
    vocab_size: int,
) -> _Drawn:
    """Reads left-padded prompts at once, then draws token by token until the last text is over.

    Of each row, `prompt` and `sample` are the numbers that make its random key.
    """
    model = nnx.merge(graph, parameters)
    rows, length = token_ids.shape
    fold_in = jax.vmap(jax.random.fold_in)
    keys = None if key is None else fold_in(jax.vmap(jax.random.fold_in, (None, 0))(key, prompt), sample)

    def draw(drawn: _Drawn, logits: Float[Array, "rows vocab"]) -> _Drawn:
        step_keys = None if keys is None else fold_in(keys, jnp.full(rows, drawn.steps))
        logits = logits[:, :vocab_size]
        chosen = choose_tokens(logits, step_keys, sampling)
        log_probabilities = jnp.take_along_axis(jax.nn.log_softmax(logits), chosen[:, None], axis=-1)[:, 0]
        return drawn.add(chosen, log_probabilities, end_id=end_id)

    def step(state: tuple[_Drawn, Cache]) -> tuple[_Drawn, Cache]:
        drawn, cache = state
        last = jax.lax.dynamic_slice_in_dim(drawn.token_ids, drawn.steps - 1, 1, axis=1)
        logits, cache = next_token_logits(model, last, cache, column=length + drawn.steps - 1, padding=padding)
        return draw(drawn, logits), cache

    def unfinished(state: tuple[_Drawn, Cache]) -> Bool[Array, ""]:
        return (state[0].steps < max_new_tokens) & state[0].going_on.any()

    # A text's last token is never read, so it needs no column.
    cache = empty_cache(model.backbone.config, rows=rows, columns=length + max_new_tokens - 1)
    logits, cache = next_token_logits(model, token_ids, cache, column=0, padding=padding)
    return jax.lax.while_loop(unfinished, step, (draw(_Drawn.nothing(rows, max_new_tokens), logits), cache))[0]
