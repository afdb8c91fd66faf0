"""What the sides of a benchmark are given: a frozen dataclass whose fields are the benchmark's flags."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from absl import flags

from benchmarks.side_by_side import choose_threads

flags.disclaim_key_flags()  # they are those of the benchmark that asks for them, and stand in its --help
_DEFINERS = {str: flags.DEFINE_string, int: flags.DEFINE_integer, float: flags.DEFINE_float, bool: flags.DEFINE_bool}
Given = TypeVar("Given", bound="Work")


def flag(
    meaning: str,
    default: Any = dataclasses.MISSING,
    *,
    least: float | None = None,
    choices: Sequence[str] | None = None,
    kind: type | None = None,
) -> Any:
    """Returns a field that is a flag.

    Args:
      meaning: the flag's help.
      default: its value where it is not given; without one it must be.
      least: the least number that it may be.
      choices: the texts that it may be.
      kind: the type of its value, where the default is None; else that of the default, or text.
    """
    if kind is None:
        kind = str if default is dataclasses.MISSING or default is None else type(default)
    metadata = {"meaning": meaning, "kind": kind, "least": least, "choices": choices}
    return dataclasses.field(default=default, metadata=metadata)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Work:
    """What every side of any benchmark is given.

    Attributes:
      rounds: turns of each side.
      threads: cores that each side may use.
      dtype: what is computed in; PyTorch's bfloat16 is its autocast.
      seed: decides all that is drawn.
    """

    rounds: int = flag("Turns of each side.", 5, least=1)
    threads: int = flag("Cores each side may use; 0: all.", 0, least=0)
    dtype: str = flag("Type of the computation on all sides.", "float32", choices=("float32", "bfloat16"))
    seed: int = flag("Of random weights and of all else that is drawn.", 0)


@dataclasses.dataclass(frozen=True, kw_only=True)
class PairWork(Work):
    """What every side of a benchmark over pairs of texts is given.

    Attributes:
      folder: Hugging Face folder of tokenizer and pair classifier, made of `model` and `tokenizer`.
      pair_format: how two texts become one row of tokens: `concat` or `bert`.
    """

    model: str = flag("Hugging Face folder, or gpt2-small or bert-base with random weights.")
    tokenizer: str | None = flag("Hugging Face folder; the model's own where it has one.", None)
    source: str = flag("Dataset reference of the pairs: PATH or PATH@SPLIT.")
    max_length: int = flag("Most tokens of a pair.", 128, least=5)
    folder: str = ""
    pair_format: str = ""


def define_flags(work: type[Given], *, among: flags.FlagValues = flags.FLAGS) -> Callable[[], Given]:
    """Defines a flag for every field that `flag` made, and returns what makes the work of their values.

    Args:
      work: the dataclass.
      among: the flags to which they are added.

    Raises:
      InputError: by what is returned: there are not so many cores.
    """
    fields = [field for field in dataclasses.fields(work) if "meaning" in field.metadata]
    holders = {field.name: _define(field, among) for field in fields}

    def read() -> Given:
        given = work(**{name: holder.value for name, holder in holders.items()})
        return dataclasses.replace(given, threads=choose_threads(given.threads))

    return read


def _define(field: dataclasses.Field, among: flags.FlagValues) -> flags.FlagHolder:
    about = field.metadata
    required = field.default is dataclasses.MISSING
    default, meaning = (None if required else field.default), about["meaning"]
    if about["choices"]:
        return flags.DEFINE_enum(field.name, default, about["choices"], meaning, required=required, flag_values=among)
    bounds = {} if about["least"] is None else {"lower_bound": about["least"]}
    return _DEFINERS[about["kind"]](field.name, default, meaning, required=required, flag_values=among, **bounds)
