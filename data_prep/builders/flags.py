"""The flags of `data_prep.build`, made of the fields of the datasets: as absl's flags, and as a table for README.md."""

import collections
import dataclasses
import types
from collections.abc import Iterator, Mapping, Sequence

from absl import flags

from data_prep.builders.dataset import Dataset

flags.disclaim_key_flags()  # they are those of the command that asks for them, and stand in its --help
_DEFINERS = {
    str: flags.DEFINE_string,
    int: flags.DEFINE_integer,
    float: flags.DEFINE_float,
    bool: flags.DEFINE_bool,
    Sequence[str]: flags.DEFINE_list,
}


@dataclasses.dataclass(frozen=True)
class _Use:
    """What a flag means to some datasets."""

    meaning: str
    default: object
    datasets: Sequence[str]

    def __str__(self) -> str:
        if self.default is dataclasses.MISSING:
            return f"{self.meaning} (needed)"
        if self.default is None or isinstance(self.default, bool) or self.default == ():
            return self.meaning
        default = ",".join(self.default) if isinstance(self.default, tuple) else self.default
        return f"{self.meaning} ({default})"


def list_flags(dataset: type[Dataset]) -> list[dataclasses.Field]:
    """Returns the fields of a dataset that are flags."""
    return [field for field in dataclasses.fields(dataset) if "meaning" in field.metadata]


def define_flags(datasets: Mapping[str, type[Dataset]]) -> list[flags.FlagHolder]:
    """Defines the flags of all datasets, none of which has a value unless it is given."""
    kinds = {field.name: _kind(field) for dataset in datasets.values() for field in list_flags(dataset)}
    return [
        _DEFINERS[kinds[name]](
            name,
            None,
            "; ".join(
                f"{', '.join(use.datasets)}: {use}" if len(use.datasets) < len(datasets) else str(use) for use in uses
            ),
        )
        for name, uses in _list_uses(datasets)
    ]


def describe_flags(datasets: Mapping[str, type[Dataset]]) -> str:
    """Returns a Markdown table of all flags."""
    rows = [
        f"| `--{name}` | {'all' if len(use.datasets) == len(datasets) else ', '.join(use.datasets)} | {use} |"
        for name, uses in _list_uses(datasets)
        for use in uses
    ]
    return "\n".join(["| flag | `--dataset` | meaning (default) |", "|---|---|---|", *rows])


def _kind(field: dataclasses.Field) -> type:
    kinds = field.type.__args__ if isinstance(field.type, types.UnionType) else (field.type,)
    return next(kind for kind in kinds if kind in _DEFINERS)


def _list_uses(datasets: Mapping[str, type[Dataset]]) -> Iterator[tuple[str, list[_Use]]]:
    """Yields each flag with what it means; datasets to which it means the same stand together."""
    uses = collections.defaultdict(lambda: collections.defaultdict(list))
    for name, dataset in datasets.items():
        for field in list_flags(dataset):
            uses[field.name][field.metadata["meaning"], field.default].append(name)
    for flag, its_uses in uses.items():
        yield flag, [_Use(meaning, default, names) for (meaning, default), names in its_uses.items()]
