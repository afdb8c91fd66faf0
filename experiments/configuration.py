"""Where configuration ends: flags and ConfigDicts in, plain arguments and frozen dataclasses out."""

import difflib
import importlib.util
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from absl import flags
from ml_collections import ConfigDict, config_flags

from lingjax.errors import InputError, nearest

TRAINED_CONTROLS = ("random_init", "shuffled_labels")
"""Controls that cost a fine-tuning a seed."""


def define_config() -> Any:
    """Defines `--config=FILE[:ARGUMENT]` and `--config.KEY=VALUE`; returns the flag's holder, `.value` a ConfigDict.

    The default comes from `with_default_config`: given here, the library would read the command line on import.
    """
    return config_flags.DEFINE_config_file("config", lock_config=True)


def define_hosts() -> dict[str, Any]:
    """Defines the flags by which several processes find each other; returns their holders by name."""
    return {
        "coordinator_address": flags.DEFINE_string(
            "coordinator_address", None, "HOST:PORT of process 0. TPU pods and SLURM jobs find each other without."
        ),
        "num_processes": flags.DEFINE_integer("num_processes", None, "How many processes there are.", lower_bound=1),
        "process_id": flags.DEFINE_integer("process_id", None, "Which of them this is, from 0.", lower_bound=0),
    }


def with_default_config(argv: list[str], default: str) -> list[str]:
    """Returns a checked command line that names a configuration; the library answers a misspelt key by a traceback.

    Args:
      argv: arguments without the program's name.
      default: shipped configuration used where `--config` is not given, by its name without `.py`.

    Raises:
      InputError: the file is missing, is no configuration, or a key does not exist; names the nearest key.
    """
    chosen = None
    keys = []
    for index, argument in enumerate(argv):
        name, _, value = argument.lstrip("-").partition("=")
        if not argument.startswith("-"):
            continue
        if name == "config":
            chosen = value or (argv[index + 1] if index + 1 < len(argv) else "")
        elif name.startswith("config."):
            keys.append(name.removeprefix("config."))
    if chosen is None:
        chosen = str(Path(__file__).parent / "configs" / f"{default}.py")
        argv = [f"--config={chosen}", *argv]
    known = _leaf_keys(_load(chosen))
    file = Path(chosen.partition(":")[0]).name
    unknown = [
        f"--config.{key}: {file} has no such key, {_nearest_key(key, known)}" for key in keys if key not in known
    ]
    if unknown:
        raise InputError("; ".join(unknown))
    return argv


def to_json(config: ConfigDict) -> dict[str, Any]:
    """Returns the resolved configuration as plain values."""
    return json.loads(config.to_json())


def resolve(arguments: list[str]) -> dict[str, Any]:
    """Returns, as plain values, the configuration that a command would run with.

    Args:
      arguments: its `--config=FILE[:ARGUMENT]` (`base.py` if there is none) and then its `--config.KEY=VALUE`.

    Raises:
      InputError: the file is no configuration, a key does not exist, or a value has the wrong type.
    """
    file, *overrides = with_default_config(arguments, "base")
    values = flags.FlagValues()
    holder = config_flags.DEFINE_config_dict(
        "config", _load(file.removeprefix("--config=")), flag_values=values, sys_argv=["", *overrides]
    )
    try:
        values(["", *overrides])
    except flags.Error as error:
        raise InputError(str(error)) from error
    return to_json(holder.value)


def differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> dict[str, str]:
    """Returns what changed between two trees of settings: `old -> new` by dotted key."""
    flat_before, flat_now = _flat(before), _flat(now)
    return {
        key: f"{flat_before.get(key)!r} -> {flat_now.get(key)!r}"
        for key in sorted(flat_before | flat_now)
        if flat_before.get(key) != flat_now.get(key)
    }


def seed_numbers(config: ConfigDict) -> range:
    """Returns the seeds to train: `config.seed` and those after it.

    Raises:
      InputError: none are asked for, or more controls than seeds.
    """
    if config.seeds < 1:
        raise InputError(f"--config.seeds={config.seeds} must be at least 1")
    if not 0 <= config.get("control_seeds", 0) <= config.seeds:
        raise InputError(f"--config.control_seeds={config.control_seeds} must lie between 0 and seeds={config.seeds}")
    if config.seeds_at_once < 0:
        raise InputError(f"--config.seeds_at_once={config.seeds_at_once} must not be negative; 0 takes what fits")
    if config.seeds_at_once > 1 and config.model.attention in ("cudnn", "auto"):
        raise InputError(
            f"--config.seeds_at_once={config.seeds_at_once} needs --config.model.attention=plain or bands: "
            "cuDNN's kernel takes no runs side by side"
        )
    if config.seeds_at_once > 1 and config.train.pairs_per_row == 1:
        raise InputError(
            f"--config.seeds_at_once={config.seeds_at_once} needs rows of one length: set --config.train.pairs_per_row "
            "above 1"
        )
    return range(config.seed, config.seed + config.seeds)


def trained_controls(config: ConfigDict) -> tuple[str, ...]:
    """Returns the controls to fine-tune, in the order of `TRAINED_CONTROLS`.

    Raises:
      InputError: one is not known.
    """
    chosen = split_list(config.trained_controls)
    problems = [
        f"--config.trained_controls: no control '{name}' is trained, {nearest(name, TRAINED_CONTROLS)}"
        for name in chosen
        if name not in TRAINED_CONTROLS
    ]
    if problems:
        raise InputError("; ".join(problems))
    return tuple(name for name in TRAINED_CONTROLS if name in chosen)


def kmer_sizes(config: ConfigDict) -> tuple[int, ...]:
    """Returns the sizes among which the source dev set chooses the k of `kmer_jaccard`.

    Raises:
      InputError: there is none, or one is no positive number.
    """
    sizes = _positive_numbers(config.kmer_sizes)
    if not sizes:
        raise InputError(
            f"--config.kmer_sizes='{config.kmer_sizes}' must be positive numbers, as in 1,2,3,4,5,6; one fixes k"
        )
    return sizes


def curve_rows(config: ConfigDict) -> int:
    """Returns how many rows of a target the learning curve looks at.

    Raises:
      InputError: it is negative.
    """
    if config.curve_rows < 0:
        raise InputError(f"--config.curve_rows={config.curve_rows} must not be negative; 0 looks at none")
    return config.curve_rows


def shots(config: ConfigDict) -> tuple[int, ...]:
    """Returns how many of a target's training pairs models are fine-tuned on, in rising order; none by default.

    Raises:
      InputError: one is not a number of pairs that two labels can share.
    """
    if not str(config.shots).strip():
        return ()
    numbers = _positive_numbers(config.shots)
    if not numbers or min(numbers) < 2:
        raise InputError(f"--config.shots='{config.shots}' must be numbers of pairs, 2 or more, as in 16,64,256")
    if not config.shots_epochs > 0:
        raise InputError(f"--config.shots_epochs={config.shots_epochs} must be positive")
    return tuple(sorted(numbers))


def _positive_numbers(text: object) -> tuple[int, ...]:
    """The different numbers of a comma-separated value; none if one of them is no positive number."""
    texts = split_list(str(text))
    if not all(text.isdecimal() and int(text) for text in texts):
        return ()
    return tuple(dict.fromkeys(map(int, texts)))


def none_if_zero(value: int | None) -> int | None:
    """Translates the configuration's 0 for "no limit"."""
    return value or None


def split_list(text: str) -> list[str]:
    """Splits a comma-separated value; spaces and empty parts are dropped."""
    return [part.strip() for part in text.split(",") if part.strip()]


def _flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat = {}
    for name, value in values.items():
        flat |= _flat(value, f"{prefix}{name}.") if isinstance(value, Mapping) else {f"{prefix}{name}": value}
    return flat


def _nearest_key(key: str, known: list[str]) -> str:
    same_end = [candidate for candidate in known if candidate.rpartition(".")[2] == key.rpartition(".")[2]]
    close = same_end or difflib.get_close_matches(key, known, n=1)
    return f"did you mean '--config.{close[0]}'?" if close else nearest(key, known)


def _leaf_keys(config: ConfigDict, prefix: str = "") -> list[str]:
    keys = []
    for name in config:
        value = config.get_ref(name).get() if not isinstance(config.get_ref(name), ConfigDict) else config[name]
        keys += _leaf_keys(value, f"{prefix}{name}.") if isinstance(value, ConfigDict) else [f"{prefix}{name}"]
    return keys


def _load(chosen: str) -> ConfigDict:
    path, separator, argument = chosen.partition(":")
    if not Path(path).is_file():
        raise InputError(f"--config={chosen}: no such file; shipped ones are in experiments/configs/")
    spec = importlib.util.spec_from_file_location("lingjax_chosen_config", path)
    try:
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module.get_config(argument) if separator else module.get_config()
    except InputError:
        raise
    except Exception as error:
        raise InputError(f"--config={chosen}: not a configuration ({type(error).__name__}: {error})") from error
