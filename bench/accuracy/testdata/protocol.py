"""The protocol of this directory's command, independently: the naive forecast's scores of a trace, and with the rows that `foresail backtest
--input TRACE --step STEP --output ROWS` wrote of it, the ratios that the command prints.

Run as `python protocol.py TRACE.csv[.gz] [ROWS.csv]`. Made with Python 3.11.7, numpy 2.4.6, pandas 3.1.1.
"""
import sys
import numpy as np
import pandas as pd

d = pd.read_csv(sys.argv[1], parse_dates=["timestamp"])
at = d.timestamp.values.astype("datetime64[s]").astype(np.int64)
step = max(300, int(np.median(np.diff(at))))
means = d.value.groupby(at // step).mean()
y = means.reindex(range(means.index[0], means.index[-1] + 1)).to_numpy(float)
n, day, lead = len(y), 86400 // step, max(1, 1800 // step)
coarse = step >= 1800
days = 28 if coarse else 14 if n / day >= 28 else 0.4 * n / day
start = n - round(days * day)
ahead = np.array([y[t + 1 : t + lead + 1] for t in range(n - lead)])
known = np.isfinite(ahead).any(axis=1)
top = np.full(n - lead, np.nan)
top[known] = np.nanmax(ahead[known], axis=1)
value = ahead[:, -1]


def loss(y, q):
    return np.nanmean(np.maximum(0.9 * (y - q), -0.1 * (y - q)))


def scores(origins, p50, p90, window):
    o = np.array(origins)
    return {
        "mae": np.nanmean(abs(value[o] - p50[o])), "pin90": loss(value[o], p90[o]), "wpin90": loss(top[o], window[o]),
        "wcov90": np.mean(top[o] <= window[o] + 1e-9), "values": int(np.isfinite(value[o]).sum()),
    }


def naive():  # The last value, and the .9 quantiles of its own errors of 14 days, of those that are known by then.
    p90, window = np.full(n, np.nan), np.full(n, np.nan)
    point_error, top_error = value - y[: n - lead], top - y[: n - lead]
    for t in range(start, n - lead):
        past = slice(max(t - 14 * day, 0), t - lead + 1)
        p90[t] = y[t] + np.nanquantile(point_error[past], 0.9)
        window[t] = y[t] + np.nanquantile(top_error[past], 0.9)
    return y, p90, window


def usable(stride):
    return [t for t in range(start, n - lead, stride) if np.isfinite(y[t]) and np.isfinite(top[t])]


rows = pd.read_csv(sys.argv[2], parse_dates=["issued_at"]) if len(sys.argv) > 2 else None
if rows is not None:
    ends = rows.issued_at.values.astype("datetime64[s]").astype(np.int64)
    np.testing.assert_array_equal(ends, (np.arange(n) + means.index[0] + 1) * step)
    np.testing.assert_allclose(rows.actual[: n - lead], value, rtol=1e-12)
    np.testing.assert_allclose(rows.window_max[: n - lead], top, rtol=1e-12)
for name, stride in (("official", 5 if coarse else 25), ("dense", 1)):
    base = scores(usable(stride), *naive())
    print(name, "naive", {k: float(f"{v:.6g}") for k, v in base.items()})
    if rows is not None:
        ours = scores(usable(stride), *(rows[c].to_numpy(float) for c in ("p50", "p90", "window_p90")))
        served = scores(usable(stride), *(rows[c].to_numpy(float) for c in ("p50", "p90", "served")))
        print(name, "ratios", {k: f"{ours[k] / base[k]:.3f}" for k in ("mae", "pin90", "wpin90")}, f"served {served['wpin90'] / base['wpin90']:.3f} wcov90 {ours['wcov90']:.3f}")
