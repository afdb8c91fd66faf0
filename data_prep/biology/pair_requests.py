"""What the flags of a pair dataset ask for, checked and told again on its card."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from data_prep.sources import distinct_names
from data_prep.tally import Tally
from lingjax.errors import InputError

GENBANK_LICENCE = (
    "GenBank and RefSeq records: NCBI places no restrictions on use or distribution; some submitters may claim rights "
    "in the data that they submitted (https://www.ncbi.nlm.nih.gov/genbank/)."
)


def check_num_pairs(num_pairs: int | None) -> None:
    """Refuses a number of rows that two labels cannot share.

    Raises:
      InputError: the number is odd or not positive.
    """
    if num_pairs is not None and (num_pairs < 2 or num_pairs % 2):
        raise InputError(f"--num_pairs={num_pairs}: expected an even number of 2 or more, half of them positive")


def parse_shares(negatives: Sequence[str], kinds: Sequence[str]) -> dict[str, float]:
    """Returns the share of each kind of negatives from texts like "random:0.5"; one kind alone needs no share.

    Raises:
      InputError: a text is not `KIND:SHARE`, a kind is unknown or named twice, or the shares do not sum to 1.
    """
    shares = {}
    for text in negatives:
        kind, colon, share = text.partition(":")
        try:
            value = float(share) if colon or len(negatives) > 1 else 1.0
        except ValueError:
            value = 0.0
        if kind not in kinds or kind in shares or not 0 < value <= 1:
            raise InputError(
                f"--negatives: '{text}' is not KIND:SHARE with a kind of {', '.join(kinds)}, each named once, and a "
                f"share above 0 and up to 1, as in {kinds[0]}:1"
            )
        shares[kind] = value
    if abs(sum(shares.values()) - 1) > 1e-6:
        raise InputError(f"--negatives: the shares sum to {sum(shares.values()):g}, not to 1")
    return shares


def choose_letters(length: str | None, *, default: int, least: int = 1) -> int | None:
    """Returns the letters of each text from the flag `--length`, None for "full".

    Raises:
      InputError: neither a whole number of `least` or more nor "full".
    """
    if length == "full":
        return None
    text = str(default) if length is None else length
    if not text.isascii() or not text.isdigit() or int(text) < least:
        raise InputError(f"--length={length}: expected {least} letters or more, or 'full'")
    return int(text)


def describe_command(
    build: Callable[..., object], dataset: str, paths: Sequence[Path], flags: Mapping[str, object]
) -> str:
    """Returns the command that builds a dataset again, with the names of its files but not their folders.

    Args:
      build: the dataset's builder, whose defaults are not spelled out.
      dataset: its name on the command line.
      paths: the files that `--source` stands for.
      flags: the values of all other flags that decide the content.
    """
    parameters = inspect.signature(build).parameters
    words = [f"python -m data_prep.build --dataset={dataset} --source={','.join(distinct_names(paths))}"]
    for flag, value in flags.items():
        default = parameters[flag].default
        if value is None or value == default or (value == list(default) if isinstance(default, tuple) else False):
            continue
        if isinstance(value, bool):
            words.append(f"--{'' if value else 'no'}{flag}")
        elif isinstance(value, (list, tuple)):
            words.append(f"--{flag}={','.join(map(str, value))}")
        else:
            words.append(f"--{flag}={value}")
    return " ".join([*words, "--data_dir=DIR"])


def describe_dropped(tally: Tally) -> dict[str, int]:
    """Returns what was left out as the card lists it."""
    return {f"dropped: {name}": count for name, count in tally.group("dropped").items()}
