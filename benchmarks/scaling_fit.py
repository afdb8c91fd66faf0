"""Power laws through measured points."""

import dataclasses
from collections.abc import Sequence

import numpy as np


@dataclasses.dataclass(frozen=True)
class PowerLaw:
    """y = coefficient * x ** exponent.

    Attributes:
      coefficient, exponent: of the law.
      standard_error: the exponent's; None for two points, through which a law goes exactly.
    """

    coefficient: float
    exponent: float
    standard_error: float | None


def fit_power_law(x: Sequence[float], y: Sequence[float]) -> PowerLaw | None:
    """Fits a straight line to the logarithms by least squares; None if fewer than two different x are given."""
    if len(set(x)) < 2:
        return None
    log_x, log_y = np.log(x), np.log(y)
    centred = log_x - log_x.mean()
    exponent = centred @ log_y / (centred @ centred)
    intercept = log_y.mean() - exponent * log_x.mean()
    standard_error = None
    if len(x) > 2:
        residuals = log_y - intercept - exponent * log_x
        standard_error = float(np.sqrt(residuals @ residuals / (len(x) - 2) / (centred @ centred)))
    return PowerLaw(float(np.exp(intercept)), float(exponent), standard_error)
