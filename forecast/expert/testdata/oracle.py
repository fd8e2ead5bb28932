"""Writes oracle.json: Holt-Winters forecasts of a load that the test draws too.

Run as `python oracle.py > oracle.json`. Made with Python 3.11.7, numpy 2.4.6, statsmodels 0.15.0.
"""
import json
import numpy as np
from statsmodels.tsa.exponential_smoothing.ets import ETSModel

state = 11


def draw():  # A linear congruential generator, easily written down in Go: 0, 1/32, ... 31/32.
    global state
    state = (state * 6364136223846793005 + 1442695040888963407) % 2**64
    return float((state >> 33) % 32) / 32


M1, M2, N, LEADS, EVERY = 6, 18, 150, 8, 7
day, week = [draw() for _ in range(M1)], [draw() for _ in range(M2)]
z = np.array([10 + 2 * day[t % M1] + week[t % M2] + draw() - draw() for t in range(N)])
seed = [2 * day[i] - 1 for i in range(M1)]  # The states that smoothing starts from.
longer = [week[i] - 0.5 for i in range(M2)]


def ets(alpha, gamma):
    """One season, no autocorrelation: statsmodels' ETS(A,N,A), with given parameters and seeds."""
    model = ETSModel(z, error="add", trend=None, seasonal="add", seasonal_periods=M1, initialization_method="known", initial_level=10.0, initial_seasonal=seed)
    names = dict(zip(model.param_names, np.zeros(len(model.param_names))))
    names.update({"smoothing_level": alpha, "smoothing_seasonal": gamma, "initial_level": 10.0})
    # Its states run backwards: initial_seasonal.0 is the newest.
    for i in range(M1):
        names[f"initial_seasonal.{i}"] = seed[M1 - 1 - i]
    fit = model.smooth([names[k] for k in model.param_names])
    return {"parameters": [alpha, gamma], "oneStep": fit.fittedvalues[::EVERY].tolist(), "path": fit.forecast(LEADS).tolist()}


def taylor(level, short, long, phi):
    """Two seasons and AR(1) errors, as the linear innovations state space y = w'x + v, x <- F x + g v that Taylor's smoothing is (Hyndman,
    Koehler, Ord & Snyder 2008, eq. 2.12): x = (level, short season oldest first, long season, last error of the smoothing)."""
    k = 1 + M1 + M2 + 1
    w, F, g = np.zeros(k), np.zeros((k, k)), np.zeros(k)
    w[[0, 1, 1 + M1, k - 1]] = 1, 1, 1, phi  # y = l + d + w + phi e + v, so that e' = phi e + v.
    F[0, 0] = 1
    for start, m in ((1, M1), (1 + M1, M2)):
        for i in range(m - 1):
            F[start + i, start + i + 1] = 1
        F[start + m - 1, start] = 1
    F[k - 1, k - 1] = phi
    for at, gain in ((0, level), (M1, short), (M1 + M2, long), (k - 1, 1)):
        g[at] += gain
        F[at, k - 1] += gain * phi if at != k - 1 else 0
    x = np.concatenate([[10.0], seed, longer, [0.0]])
    one = []
    for y in z:
        one.append(float(w @ x))
        x = F @ x + g * (y - w @ x)
    path = []
    for _ in range(LEADS):
        path.append(float(w @ x))
        # What is expected of the errors to come: their autocorrelated part is in the forecast and not in the states.
        e = x[k - 1]
        G = F.copy()
        for at in (0, M1, M1 + M2):
            G[at, k - 1] = 0
        x = G @ x
        assert x[k - 1] == phi * e
    return {"parameters": [level, short, long, phi], "oneStep": one[::EVERY], "path": path}


print(json.dumps({
    "ets": [ets(a, g) for a, g in ((0.3, 0.2), (0.01, 0.5), (0.9, 0.05))],
    "taylor": [taylor(*p) for p in ((0.01, 0.2, 0.2, 0.97), (0.02, 0.05, 0.02, 0.3), (0.3, 0.1, 0.05, 0.7))],
}, indent=1))
