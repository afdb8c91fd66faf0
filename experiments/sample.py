"""Continues texts with a GPT-2: python -m experiments.sample --checkpoint=DIR --prompt=TEXT --max_new_tokens=100.

The checkpoint is a workdir of experiments.pretrain, finished or not, or a Hugging Face folder or hub name. Prints each
prompt and what follows it, or with --json one object a line: prompt, sample (its number, from 0), text (what follows),
token_ids (of that text), log_probability (of that text given the prompt, in nats, by the model at temperature 1 and
with every token allowed) and ended (whether the text came to its end, not to --max_new_tokens).
"""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from absl import flags

from lingjax import command
from lingjax.errors import InputError

if TYPE_CHECKING:
    from lingjax.models import Sampling
    from lingjax.training.loaded_model import LoadedModel

_CHECKPOINT = flags.DEFINE_string("checkpoint", None, "Workdir, or Hugging Face folder or hub name.", required=True)
_STEP = flags.DEFINE_integer("step", None, "Checkpoint of a workdir; by default the best, or the newest if unfinished.")
_PROMPT = flags.DEFINE_string("prompt", None, "Text to continue; an empty one starts a new text.")
_PROMPT_FILE = flags.DEFINE_string("prompt_file", None, "UTF-8 file of prompts, one a line.")
_MAX_NEW_TOKENS = flags.DEFINE_integer("max_new_tokens", 100, "Longest continuation, in tokens.", lower_bound=1)
_NUM_SAMPLES = flags.DEFINE_integer("num_samples", 1, "Continuations of each prompt.", lower_bound=1, upper_bound=10**5)
_GREEDY = flags.DEFINE_bool("greedy", False, "Take the likeliest token each time instead of drawing one.")
_TEMPERATURE = flags.DEFINE_float("temperature", 1.0, "Below 1 sharpens the distribution, above 1 flattens it.")
_TOP_K = flags.DEFINE_integer("top_k", None, "Draw among so many of the likeliest tokens only; by default among all.")
_TOP_P = flags.DEFINE_float("top_p", 1.0, "Draw among the likeliest tokens that hold this share of the probability.")
_SEED = flags.DEFINE_integer("seed", 0, "Of the draws.", lower_bound=0, upper_bound=2**32 - 1)
_BATCH_SIZE = flags.DEFINE_integer("batch_size", 8, "Texts computed together.", lower_bound=1)
_DTYPE = flags.DEFINE_enum("dtype", "float32", ["float32", "bfloat16"], "Type of the computation.")
_JSON = flags.DEFINE_bool("json", False, "Print one JSON object a line.")
_OFFLINE = flags.DEFINE_bool("offline", False, "Never touch the network.")


def main(_: list[str]) -> None:
    """Loads, continues and prints."""
    prompts, sampling = _read_prompts(), _choose_sampling()

    import jax

    from experiments import runtime
    from lingjax.models import continue_texts, merge_model

    runtime.start_jax()
    start = _load()
    tokenizer = start.tokenizer
    token_ids = tokenizer.encode(prompts)
    continuations = continue_texts(
        merge_model(start.config, start.head, start.parameters),
        token_ids,
        max_new_tokens=_MAX_NEW_TOKENS.value,
        sampling=sampling,
        key=jax.random.key(_SEED.value),
        num_samples=_NUM_SAMPLES.value,
        end_id=tokenizer.end_id,
        vocab_size=tokenizer.vocab_size,
        batch_size=_BATCH_SIZE.value,
    )
    for number, continuation in enumerate(continuations):
        prompt, sample = divmod(number, _NUM_SAMPLES.value)
        # Decoded together: a tokenizer of words puts a space between, and one of bytes does not.
        whole = tokenizer.decode([*token_ids[prompt], *continuation.token_ids])
        described = {
            "prompt": prompts[prompt],
            "sample": sample,
            "text": whole.removeprefix(tokenizer.decode(token_ids[prompt])),
            "token_ids": continuation.token_ids.tolist(),
            "log_probability": float(continuation.log_probabilities.sum(dtype=float)),
            "ended": continuation.ended,
        }
        if _JSON.value:
            sys.stdout.write(json.dumps(described, ensure_ascii=False) + "\n")
        else:
            heading = f"--- prompt {prompt + 1}, sample {sample + 1}\n" if len(prompts) * _NUM_SAMPLES.value > 1 else ""
            sys.stdout.write(f"{heading}{described['prompt']}{described['text']}\n")
        sys.stdout.flush()


def _read_prompts() -> list[str]:
    if (_PROMPT.value is None) == (_PROMPT_FILE.value is None):
        raise InputError(
            "give one prompt by --prompt=TEXT (--prompt= starts a new text), or many by --prompt_file=FILE"
        )
    if _PROMPT.value is not None:
        return [_PROMPT.value]
    path = Path(_PROMPT_FILE.value)
    try:
        # Not splitlines: a prompt may hold any other character that Unicode calls a line's end.
        lines = path.read_text(encoding="utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"--prompt_file={path}: cannot be read as UTF-8 text ({error})") from error
    if lines[-1] == "":  # what follows the last line's end is no line
        lines.pop()
    if not lines:
        raise InputError(f"--prompt_file={path}: is empty; expected one prompt a line (an empty one starts a new text)")
    return lines


def _choose_sampling() -> "Sampling | None":
    from lingjax.models import Sampling

    if not _GREEDY.value:
        return Sampling(temperature=_TEMPERATURE.value, top_k=_TOP_K.value, top_p=_TOP_P.value)
    idle = [flag.name for flag in (_TEMPERATURE, _TOP_K, _TOP_P, _SEED) if flag.present]
    idle += ["num_samples"] if _NUM_SAMPLES.value > 1 else []
    if idle:
        raise InputError(f"--greedy draws nothing at random: leave out {', '.join(f'--{name}' for name in idle)}")
    return None


def _load() -> "LoadedModel":
    """Loads the model onto one device, after a look at what it is."""
    import jax

    from lingjax.models import read_config, resolve_folder
    from lingjax.study.checkpoints import check_is_one_run
    from lingjax.training.mesh import make_mesh
    from lingjax.training.run_folder import is_described, read_run_description
    from lingjax.training.start import restore_run, start_pretrained

    checkpoint, mesh = _CHECKPOINT.value, make_mesh("", devices=jax.local_devices()[:1])
    check_is_one_run(checkpoint)
    changes = {"compute_dtype": _DTYPE.value}
    if is_described(checkpoint):
        description = read_run_description(checkpoint)
        _check_model(description["model"]["family"], description["head"])
        return restore_run(checkpoint, mesh=mesh, changes=changes, step=_STEP.value)
    if _STEP.value is not None:
        raise InputError(f"--step={_STEP.value} is for a workdir, and {checkpoint} is none")
    folder = resolve_folder(checkpoint, offline=_OFFLINE.value)
    _check_model(read_config(folder).family, "language_model")
    return start_pretrained(
        str(folder), head="language_model", mesh=mesh, seed=None, changes=changes, offline=_OFFLINE.value
    )


def _check_model(family: str, head: str) -> None:
    if family != "gpt2":
        raise InputError(f"{_CHECKPOINT.value}: is a {family} model, which fills gaps; only gpt2 continues texts")
    if head != "language_model":
        raise InputError(
            f"{_CHECKPOINT.value}: its model has the head '{head}', and only a language model continues texts; "
            "give the checkpoint that it was fine-tuned from"
        )


if __name__ == "__main__":
    command.run(main)
