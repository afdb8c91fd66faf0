"""What every dataset is: a frozen dataclass whose fields are the flags of `data_prep.build`."""

import dataclasses
import shlex
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import ClassVar

from data_prep import writer

NAME = "name of the dataset: letters, digits and underscores"
SPLIT = "the one split that receives every row"
SHARES = "splits and their shares, which sum to 1"
OFFLINE = "downloads: use the cache alone"
EMAIL = "downloads from NCBI: your address, which Entrez asks for (or NCBI_EMAIL)"


def flag(
    meaning: str, default: object = dataclasses.MISSING, *, decides: bool = True, kw_only: bool = True
) -> dataclasses.Field:
    """Returns a field that is a flag; `--help` and the table in data_prep/README.md are made of its meaning.

    Args:
      meaning: half a sentence; what it says need not name the default, which is shown behind it.
      default: without one, the flag is needed.
      decides: whether the value belongs to the request by which a built dataset is recognised, as it stands.
      kw_only: whether it is given by name alone.
    """
    return dataclasses.field(default=default, kw_only=kw_only, metadata={"meaning": meaning, "decides": decides})


@dataclasses.dataclass(frozen=True)
class Dataset:
    """A dataset that can be built. Fields that `flag` has made are its flags."""

    dataset: ClassVar[str]  # what --dataset calls it

    data_dir: Path | str = flag(  # noqa: RUF009
        "folder of all datasets; the new one becomes DATA_DIR/NAME/1.0.0", decides=False, kw_only=False
    )
    overwrite: bool = flag("replace a dataset of this name that was built from other input", False, decides=False)

    def build(self) -> list[Path]:
        """Builds the dataset, unless it was built from the same input before, and returns its folders.

        Raises:
          InputError: the flags or the input cannot be used, or a dataset exists that may not be replaced.
        """
        raise NotImplementedError

    def find_built(self, name: str, request: Mapping[str, object]) -> Path | None:
        """Returns the folder that the same request has built; as `writer.find_built`."""
        return writer.find_built(self.data_dir, name, request, overwrite=self.overwrite)

    def command(self, told: Mapping[str, object]) -> str:
        """Returns the command that builds the dataset again, without folders of this machine.

        Args:
          told: the values of flags, in order; defaults and None are not spelled out.
        """
        defaults = {field.name: field.default for field in dataclasses.fields(self)}
        words = [f"python -m data_prep.build --dataset={self.dataset}"]
        for name, value in told.items():
            if value is None or _plain(value) == _plain(defaults[name]):
                continue
            if isinstance(value, bool):
                words.append(f"--{'' if value else 'no'}{name}")
            else:
                text = ",".join(map(str, value)) if isinstance(value, (list, tuple)) else value
                words.append(shlex.quote(f"--{name}={text}"))
        return " ".join([*words, "--data_dir=DIR"])


def _plain(value: object) -> object:
    return list(value) if isinstance(value, tuple) else value


def as_function(dataset: type[Dataset]) -> Callable[..., list[Path]]:
    """Returns a function that builds a dataset from its fields."""

    def build(data_dir: Path | str, **fields) -> list[Path]:
        return dataset(data_dir, **fields).build()

    build.__doc__ = f"Builds `{dataset.dataset}` from the fields of `{dataset.__name__}` and returns its folders."
    return build
