"""Numbers beyond which a setting is a slip: they are refused at once, where memory or days would end without a word."""

import dataclasses
from collections.abc import Iterator
from typing import Any

# Setting -> least and most, where its own check does not say the least. Far above anything that anybody has trained.
_LIMITS: dict[str, tuple[float | None, float]] = {
    "seed": (0, 2**62),
    "seeds": (None, 10_000),
    "seeds_at_once": (None, 10_000),
    "control_seeds": (0, 10_000),
    "dev_fraction": (None, 1),
    "shots_epochs": (None, 10**6),
    "bootstrap_replicates": (1, 10**6),
    "evaluation_batch_size": (1, 10**6),
    "evaluation_rows": (None, 10**12),
    "alignment_rows": (0, 10**6),
    "curve_rows": (None, 10**9),
    "epochs": (None, 10**6),
    "steps": (None, 10**12),
    "batch_size": (None, 10**7),
    "accumulation": (None, 10**5),
    "pairs_per_row": (None, 10**5),
    "max_length": (None, 2**24),
    "width": (None, 2**17),
    "depth": (None, 10_000),
    "num_heads": (None, 2**17),
}


def limit_problems(settings: Any, prefix: str = "--config.") -> Iterator[str]:
    """Yields what is out of bounds in a dataclass of settings and those in it, a text a number.

    >>> from lingjax.study.config import TrainSettings
    >>> list(limit_problems(TrainSettings(steps=10**20), "--config.train."))
    ['--config.train.steps=100000000000000000000 must be at most 1,000,000,000,000']
    """
    for field in dataclasses.fields(settings):
        value = getattr(settings, field.name)
        if dataclasses.is_dataclass(value):
            yield from limit_problems(value, f"{prefix}{field.name}.")
        elif field.name in _LIMITS and isinstance(value, (int, float)):
            least, most = _LIMITS[field.name]
            if least is not None and value < least:
                yield f"{prefix}{field.name}={value} must be at least {least:,}"
            elif not value <= most:  # nor is what is no number
                yield f"{prefix}{field.name}={value} must be at most {most:,}"
