"""The peers: each walks a trace and says at every origin what is said in protocol.py, knowing nothing of what comes after it."""

import resource
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

import lightgbm as lgb
import numpy as np
import pandas as pd
from statsforecast.models import MSTL, AutoETS

from protocol import MEMORY, TAU, Trace, with_own_errors


def history(trace: Trace) -> int:
    """The steps that a model is fitted on."""
    return (84 if trace.coarse else 28) * trace.day


def lightgbm(trace: Trace) -> np.ndarray:
    """Three models per series, fitted anew each day: absolute error for the median, pinball loss at .9 for the value and for the largest value."""
    table, y = features(trace), trace.values
    targets = [("l1", trace.ahead - y), ("quantile", trace.ahead - y), ("quantile", trace.largest - y)]
    said, models, due = trace.nothing_said(), [], 0
    for origin in trace.origins:
        if origin >= due:
            rows = np.arange(max(0, origin - history(trace)), origin - trace.lead + 1)
            models = [boosted(objective, table[rows], target[rows]) for objective, target in targets]
            due = origin + trace.day
        p50, p90, window = (y[origin] + m.predict(table[[origin]])[0] for m in models)
        said[origin] = p50, max(p50, p90), max(p50, p90, window)
    return np.maximum(said, 0)


def boosted(objective: str, table: np.ndarray, target: np.ndarray) -> lgb.Booster:
    known = np.isfinite(target)
    settings = {"objective": objective, "alpha": TAU, "num_leaves": 31, "learning_rate": 0.1, "seed": 1, "deterministic": True, "num_threads": 1, "verbose": -1}
    return lgb.train(settings, lgb.Dataset(table[known], target[known]), num_boost_round=200)


def features(trace: Trace) -> np.ndarray:
    """What LightGBM is told at each step: recent values, those of a day and of a week ago with what followed, running means, all as
    differences from the newest value; that value; time of day and day of week."""
    y = pd.Series(trace.values)
    ahead, largest = pd.Series(trace.ahead), pd.Series(trace.largest)
    columns = [y.shift(k) for k in (1, 2, 3, 4, 6, 9, 12)]
    for season in (trace.day, 7 * trace.day):
        columns += [y.shift(season), ahead.shift(season), largest.shift(season)]
    columns += [y.ewm(halflife=k).mean() for k in (3, 12, 36, trace.day / 2, trace.day, 3 * trace.day)]
    columns = [c - y for c in columns]
    steps = np.arange(len(y)) + trace.first // trace.step
    return np.column_stack([*columns, y, steps % trace.day, steps // trace.day % 7])


# The path up to the lead, of the values since the fit.
Forecast = Callable[[np.ndarray], np.ndarray]


def walk(trace: Trace, fit: Callable[[Trace, np.ndarray], Forecast]) -> np.ndarray:
    """Fits each day, and forecasts in between from the state that the newest values led to. Missing values repeat the one before. The library has
    no quantile of the largest value, so both quantiles are made as the naive forecast's are, of errors since 14 days before the first
    origin, at most half of what lies before it."""
    y = pd.Series(trace.values).ffill().to_numpy()
    warm = min(MEMORY * trace.day, trace.start // 2) // trace.stride * trace.stride
    at = trace.steps(trace.start - warm)
    paths, due = [], 0
    for origin in at:
        now = origin + 1
        if now >= due:
            fitted, due = now, now + trace.day
            forecast = fit(trace, y[max(0, now - history(trace)) : now])
        paths.append(np.maximum(forecast(y[fitted:now]), 0))
    paths = np.array(paths)
    return with_own_errors(trace, at, paths[:, -1], paths.max(axis=1))


def mstl(trace: Trace, past: np.ndarray) -> Forecast:
    """Daily and weekly seasons, those of which the past holds two, on a trend by AutoETS. Until the next fit the seasons go on as they are and the
    trend's state takes what is left of the new values. The smoothing of trend and low pass is interpolated over steps of a tenth of a day:
    with the library's default, every step, a fit takes 20 s."""
    seasons = [s for s in (trace.day, 7 * trace.day) if 2 * s < len(past)]
    if not seasons:
        return autoets(trace, past)
    jump = max(1, trace.day // 10)
    model = MSTL(seasons, trend_forecaster=AutoETS(model="ZZN"), stl_kwargs={"trend_jump": jump, "low_pass_jump": jump}).fit(past)
    far = trace.day + trace.lead
    season = model.predict(far)["mean"] - model.trend_forecaster.predict(far)["mean"]
    rest = (model.model_["trend"] + model.model_["remainder"]).to_numpy()

    def forecast(since: np.ndarray) -> np.ndarray:
        n = len(since)
        return model.trend_forecaster.forward(np.append(rest, since - season[:n]), trace.lead)["mean"] + season[n : n + trace.lead]

    return forecast


def autoets(trace: Trace, past: np.ndarray) -> Forecast:
    """The automatic choice among errors and trends, without a season. On 28 days of 5 minutes a choice that may have a season of a day takes two
    minutes and, where tried, was a model without it; one told to have it (AAA, damped) fits its 288 states so badly that its mae was 1.3 to 6
    times the last value's on the traces of bench/traces."""
    model = AutoETS(model="ZZN").fit(past)
    return lambda since: model.forward(np.append(past, since), trace.lead)["mean"]


PEERS = {"lightgbm": lightgbm, "mstl": lambda trace: walk(trace, mstl), "autoets": lambda trace: walk(trace, autoets)}


def foresail(trace: Trace, binary: Path) -> tuple[np.ndarray, float]:
    """What `foresail backtest` says of the same load, and the processor seconds that it took for all steps."""
    with tempfile.TemporaryDirectory() as folder:
        load, rows = Path(folder, "load.csv"), Path(folder, "rows.csv")
        times = pd.to_datetime(trace.first + trace.step * np.arange(len(trace.values)), unit="s", utc=True).strftime("%Y-%m-%dT%H:%M:%SZ")
        pd.DataFrame({"timestamp": times, "value": trace.values}).dropna().to_csv(load, index=False)
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        lead = trace.lead * trace.step
        command = [binary, "backtest", "--input", load, "--step", f"{trace.step}s", "--lead", f"{lead}s", "--output", rows]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        table = pd.read_csv(rows)
    issued = pd.to_datetime(table["issued_at"], utc=True).astype("int64") // 10**9
    steps = ((issued - trace.first) // trace.step - 1).to_numpy()
    if not np.allclose(table["actual"], trace.ahead[steps], equal_nan=True):
        raise ValueError(f"foresail has other values of {trace.name}")
    said = trace.nothing_said()
    said[steps] = table[["p50", "p90", "window_p90"]]
    # Where it says nothing, the live value is what would be served.
    said = np.where(np.isnan(said), trace.values[:, None], said)
    return said, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
