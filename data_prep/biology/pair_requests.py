"""What the flags of a pair dataset ask for, checked and told again on its card."""

import itertools
import math
from collections.abc import Mapping, Sequence

from data_prep.biology.alignment import TokenRuler
from data_prep.tally import Tally
from lingjax.data import PairSource, load_tokenizer, open_split
from lingjax.errors import InputError, nearest

FULL = "full"
LEAST_LETTERS = 20  # with fewer, no hit is significant
GENBANK_LICENCE = (
    "GenBank and RefSeq records: NCBI places no restrictions on use or distribution; some submitters may claim rights "
    "in the data that they submitted (https://www.ncbi.nlm.nih.gov/genbank/)."
)
_ROWS_AT_ONCE = 1024
# More are drawn than are needed: some receive no negative, or lie between two splits. Of organisms, most pairs may.
_SPARE_SHARE, _SPARE_ROWS = 1.5, 500


def check_num_pairs(num_pairs: int | None) -> None:
    """Refuses a number of rows that two labels cannot share.

    Raises:
      InputError: the number is odd or not positive.
    """
    if num_pairs is not None and (num_pairs < 2 or num_pairs % 2):
        raise InputError(f"--num_pairs={num_pairs}: expected an even number of 2 or more, half of them positive")


def check_evalue(evalue: float) -> None:
    """Raises an InputError unless the flag `--evalue` has a value by which texts can be told to be homologous."""
    if not 0 < evalue <= 1:
        raise InputError(f"--evalue={evalue:g}: expected more than 0 and at most 1, as in 1e-5")


def check_choice(flag: str, value: str, choices: Sequence[str]) -> None:
    """Raises an InputError unless a flag has one of the values that it may have."""
    if value not in choices:
        raise InputError(f"--{flag}={value} is unknown; {nearest(value, choices)}")


def parse_identity(identity: Sequence[str]) -> tuple[float, float]:
    """Returns the least and the greatest identity from the flag `--identity`.

    Raises:
      InputError: these are not two numbers from 0 to 1 in increasing order.
    """
    try:
        least, greatest = map(float, identity)
    except ValueError:
        least, greatest = math.nan, math.nan
    if not 0 <= least <= greatest <= 1:
        raise InputError(f"--identity={','.join(identity)}: expected the least and the greatest, as in 0.6,0.95")
    return least, greatest


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
    if length == FULL:
        return None
    text = str(default) if length is None else length
    if not text.isascii() or not text.isdigit() or int(text) < least:
        raise InputError(f"--length={length}: expected {least} letters or more, or '{FULL}'")
    return int(text)


def choose_length(
    length: str | None, match_tokens_of: str | None, tokenizer: str | None, *, default: int
) -> int | None:
    """Returns the letters of each text, None if each has its own.

    Raises:
      InputError: the flags `--length`, `--match_tokens_of` and `--tokenizer` do not fit together.
    """
    if (match_tokens_of is None) != (tokenizer is None):
        given, missing = ("match_tokens_of", "tokenizer") if tokenizer is None else ("tokenizer", "match_tokens_of")
        raise InputError(f"--{given} needs --{missing}, which is missing")
    if length is not None and match_tokens_of is not None:
        raise InputError("--length and --match_tokens_of both say how long texts are; give one of the two")
    return None if match_tokens_of else choose_letters(length, default=default, least=LEAST_LETTERS)


def measure_tokens_of(reference: str, tokenizer: str, *, offline: bool) -> tuple[TokenRuler, dict[str, str]]:
    """Counts the tokens of a dataset's pairs; returns a ruler and what a request holds of it.

    Args:
      reference: a dataset's folder, of which its split "train" is taken unless it names one.
      tokenizer: a Hugging Face folder or hub name.
      offline: whether a tokenizer of the hub must be on this machine already.

    Raises:
      InputError: the dataset or the tokenizer cannot be read.
    """
    split = open_split(reference, default=("train",))
    loaded = load_tokenizer(tokenizer, offline=offline)
    counts, pairs = [], iter(PairSource(split))
    while batch := list(itertools.islice(pairs, _ROWS_AT_ONCE)):
        ids = loaded.encode([text for pair in batch for text in (pair.sentence1, pair.sentence2)])
        sizes = [max(len(its_ids), 1) for its_ids in ids]
        counts += zip(sizes[::2], sizes[1::2], strict=True)
    described = {"dataset": f"{split.name}@{split.split}", "rows": split.fingerprint, "tokenizer": loaded.fingerprint}
    return TokenRuler(loaded, counts), described


def choose_most(num_pairs: int | None, split_by: str) -> int | None:
    """Returns how many positives to hold so that `num_pairs` rows are left in the end; None for all."""
    if num_pairs is None or split_by == "organism":
        return None
    return int(num_pairs / 2 * _SPARE_SHARE) + _SPARE_ROWS


def find_share(fractions: Mapping[str, float], num_pairs: int | None, num_positives: int) -> float:
    """Returns which share of all positives the smallest split is going to have.

    In a database of its texts alone, E-values are lower by this share than among the texts of all.
    """
    wanted = num_positives if num_pairs is None else min(num_pairs // 2, num_positives)
    return min(fractions.values()) * wanted / num_positives


def describe_counts(tally: Tally) -> str:
    """Returns all counts of a tally as part of a message."""
    counts = [f"{count:,} {name}" for group in ("read", "dropped") for name, count in tally.counts[group].items()]
    return ", ".join(counts)


def describe_read(tally: Tally) -> dict[str, int]:
    """Returns what came in and was changed, in the order in which it was counted, as a card lists it."""
    return {name: count for group in ("read", "changed") for name, count in tally.counts.get(group, {}).items()}


def describe_dropped(tally: Tally) -> dict[str, int]:
    """Returns what was left out as the card lists it."""
    return {f"dropped: {name}": count for name, count in tally.group("dropped").items()}


def shorten_references(references: Sequence[str]) -> list[str]:
    """Returns the names of datasets without the folders of this machine.

    >>> shorten_references(["/data/paws_en@train"])
    ['paws_en@train']
    """
    return [reference.rstrip("/").rpartition("/")[2] for reference in references]
