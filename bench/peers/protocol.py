"""What bench/accuracy judges forecasts by, written a second time: grid, origins, scores, and the naive forecast.

A method is told the values up to an origin and says three numbers: the median and the .9 quantile of the value at the lead, and the .9 quantile of the
largest value until then. What was said is an array of one row per step and these three columns; only the rows of the origins count.
"""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd

MINUTE = 60
DAY = 24 * 60 * MINUTE
TAU = 0.9
MEMORY = 14  # Days of errors that empirical quantiles are taken of.


@dataclass
class Trace:
    """A recorded load on its grid."""

    name: str
    first: int  # Start of the first step, seconds since 1970.
    step: int  # Seconds.
    values: np.ndarray  # The mean of each step; NaN where there is none.

    @classmethod
    def read(cls, path: Path) -> "Trace":
        """Reads timestamp,value rows from .csv or .csv.gz; steps are 5 minutes, or what rows are usually apart if that is longer."""
        rows = pd.read_csv(path).dropna()
        seconds = pd.to_datetime(rows["timestamp"], utc=True).astype("int64").to_numpy() // 10**9
        step = max(5 * MINUTE, int(np.median(np.diff(seconds))))
        slots = seconds // step
        first = slots.min()
        counts = np.bincount(slots - first)
        sums = np.bincount(slots - first, weights=rows["value"])
        values = np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)
        return cls(path.name.removesuffix(".gz").removesuffix(".csv"), int(first) * step, step, values)

    @property
    def coarse(self) -> bool:
        return self.step >= 30 * MINUTE

    @property
    def day(self) -> int:
        """Steps of a day."""
        return DAY // self.step

    @property
    def lead(self) -> int:
        """Steps of half an hour, at least one."""
        return max(1, 30 * MINUTE // self.step)

    @property
    def stride(self) -> int:
        """Steps from one origin to the next."""
        return 5 if self.coarse else 25

    @property
    def start(self) -> int:
        """The first step that is judged."""
        days = len(self.values) / self.day
        judged = 28 if self.coarse else MEMORY if days >= 28 else 0.4 * days
        return len(self.values) - round(judged * self.day)

    @cached_property
    def ahead(self) -> np.ndarray:
        """The value at the lead after each step; NaN where it is missing."""
        return np.append(self.values[self.lead :], np.full(self.lead, np.nan))

    @cached_property
    def largest(self) -> np.ndarray:
        """The largest value after each step, up to the lead; NaN where all are missing."""
        padded = np.append(self.values, np.full(self.lead, np.nan))
        top = np.full(len(self.values), np.nan)
        for k in range(1, self.lead + 1):
            top = np.fmax(top, padded[k : k + len(top)])
        return top

    def steps(self, begin: int) -> np.ndarray:
        """The steps from begin on, a stride apart, that have a value of their own and one until the lead."""
        at = np.arange(begin, len(self.values) - self.lead, self.stride)
        return at[np.isfinite(self.values[at]) & np.isfinite(self.largest[at])]

    @cached_property
    def origins(self) -> np.ndarray:
        return self.steps(self.start)

    def nothing_said(self) -> np.ndarray:
        return np.full((len(self.values), 3), np.nan)


def pinball(actual: np.ndarray, quantile: np.ndarray) -> np.ndarray:
    error = actual - quantile
    return np.where(error > 0, TAU * error, (TAU - 1) * error)


def score(trace: Trace, said: np.ndarray) -> dict[str, float]:
    """Mean losses over the origins, and the share of window maxima that were not above their quantile."""
    p50, p90, window = said[trace.origins].T
    if np.isnan([p50, p90, window]).any():
        raise ValueError(f"nothing said at an origin of {trace.name}")
    value, top = trace.ahead[trace.origins], trace.largest[trace.origins]
    known = np.isfinite(value)
    return {
        "mae": np.abs(value - p50)[known].mean(),
        "pin90": pinball(value, p90)[known].mean(),
        "wpin90": pinball(top, window).mean(),
        "wcov90": (top <= window + 1e-9).mean(),
    }


def with_own_errors(trace: Trace, at: np.ndarray, value: np.ndarray, top: np.ndarray) -> np.ndarray:
    """Makes quantiles of point forecasts: of the value and of the largest, issued at the steps `at`, by adding the .9 quantiles of the errors that
    the same forecasts made in the 14 days before, as far as they are known at the origin."""
    errors = trace.ahead[at] - value, trace.largest[at] - top
    said = trace.nothing_said()
    for origin in trace.origins:
        matured = (at >= origin - MEMORY * trace.day) & (at <= origin - trace.lead)
        margins = []
        for e in errors:
            known = e[matured & np.isfinite(e)]
            margins.append(np.quantile(known, TAU) if len(known) else 0)
        k = np.searchsorted(at, origin)
        said[origin] = value[k], value[k] + margins[0], top[k] + margins[1]
    return said


def naive(trace: Trace) -> np.ndarray:
    """Says that nothing changes."""
    at = np.flatnonzero(np.isfinite(trace.values))
    return with_own_errors(trace, at, trace.values[at], trace.values[at])
