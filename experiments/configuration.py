"""Where configuration ends: flags and ConfigDicts in, frozen dataclasses of `lingjax.study` out."""

import dataclasses
import difflib
import importlib.util
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from absl import flags
from ml_collections import ConfigDict, config_flags

from lingjax import command
from lingjax.errors import InputError, nearest
from lingjax.study.config import EvaluationConfig, StudyConfig
from lingjax.study.pretraining_config import PretrainingConfig

Settings = TypeVar("Settings")


def define_config() -> Any:
    """Defines `--config=FILE[:ARGUMENT]` and `--config.KEY=VALUE`; returns the flag's holder, `.value` a ConfigDict.

    The default comes from `with_default_config`: given here, the library would read the command line on import.
    """
    return config_flags.DEFINE_config_file("config", lock_config=True)


@dataclasses.dataclass(frozen=True)
class RunFlags:
    """The flags of a command that trains: its configuration, its workdir, and how its processes find each other."""

    config: flags.FlagHolder
    workdir: flags.FlagHolder
    hosts: dict[str, flags.FlagHolder]


def define_run() -> RunFlags:
    """Defines the flags that every command that trains takes."""
    workdir = flags.DEFINE_string("workdir", None, "Folder of all that is written, made if need be.", required=True)
    return RunFlags(define_config(), workdir, _define_hosts())


def run(main: Callable[[list[str]], None], *, default: str) -> None:
    """Runs a command that takes a configuration; `--help` shows the keys of its default one."""
    from experiments.config_help import describe_keys

    command.run(
        main, complete=lambda argv: with_default_config(argv, default), more_help=lambda: describe_keys(default)
    )


def _define_hosts() -> dict[str, flags.FlagHolder]:
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
    known = list(flatten(load(chosen)))
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


def flatten(config: ConfigDict, prefix: str = "") -> dict[str, Any]:
    """Returns the values of a configuration by dotted key."""
    flat = {}
    for name, value in config.items():
        flat |= flatten(value, f"{prefix}{name}.") if isinstance(value, ConfigDict) else {f"{prefix}{name}": value}
    return flat


def load(chosen: str) -> ConfigDict:
    """Returns the configuration that `--config=FILE[:ARGUMENT]` names.

    Raises:
      InputError: there is no such file, or it is no configuration.
    """
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


def to_study(config: ConfigDict) -> StudyConfig:
    """Returns the study that a configuration of `transfer` or `finetune` describes.

    Raises:
      InputError: a key is not known, or a value is out of range; names the key.
    """
    return _build(StudyConfig, to_json(config))


def to_evaluation(config: ConfigDict) -> EvaluationConfig:
    """Returns the evaluation that a configuration of `evaluate` describes.

    Raises:
      InputError: a key is not known, or a value is out of range; names the key.
    """
    return _build(EvaluationConfig, to_json(config))


def to_pretraining(config: ConfigDict) -> PretrainingConfig:
    """Returns the pretraining that a configuration of `pretrain` describes.

    Raises:
      InputError: the configuration is another command's, a key is not known, or a value is out of range.
    """
    if "data" not in config:
        raise InputError(
            "this is a configuration of another command, without corpora; take one of pretraining's, as "
            "experiments/configs/pretrain_gpt2.py, or name the recipe's stage, as in --config=FILE:pretrain"
        )
    return _build(PretrainingConfig, to_json(config))


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
        "config", load(file.removeprefix("--config=")), flag_values=values, sys_argv=["", *overrides]
    )
    try:
        values(["", *overrides])
    except flags.Error as error:
        raise InputError(str(error)) from error
    return to_json(holder.value)


def _build(kind: type[Settings], values: Mapping[str, Any], prefix: str = "--config.") -> Settings:
    fields = {field.name: field.default for field in dataclasses.fields(kind)}
    unknown = [f"{prefix}{name} is not known, {nearest(name, fields)}" for name in values if name not in fields]
    if unknown:
        raise InputError("; ".join(unknown))
    nested = {name: default for name, default in fields.items() if dataclasses.is_dataclass(default)}
    return kind(
        **{
            name: _build(type(nested[name]), value, f"{prefix}{name}.") if name in nested else value
            for name, value in values.items()
        }
    )


def _nearest_key(key: str, known: list[str]) -> str:
    same_end = [candidate for candidate in known if candidate.rpartition(".")[2] == key.rpartition(".")[2]]
    close = same_end or difflib.get_close_matches(key, known, n=1)
    return f"did you mean '--config.{close[0]}'?" if close else nearest(key, known)
