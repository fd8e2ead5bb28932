"""Writes oracle.json: what scikit-learn's Ridge, numpy's lstsq and statsmodels' QuantReg make of rows that the test draws too.

Run as `python oracle.py > oracle.json`. Made with Python 3.11.7, numpy 2.4.6, scikit-learn 1.9.1, statsmodels 0.15.0.
"""
import json
import numpy as np
import statsmodels.api as sm
from sklearn.linear_model import Ridge

state = 7


def draw():  # A linear congruential generator, easily written down in Go: 0, 1/32, ... 31/32.
    global state
    state = (state * 6364136223846793005 + 1442695040888963407) % 2**64
    return float((state >> 33) % 32) / 32


# Ridge with forgetting: n rows of 5 features and 2 targets. Sample k counts by its weight and by what later ones left of it.
n, memory, penalty = 120, 50.0, 3.0
x, y, w = np.empty((n, 5)), np.empty((n, 2)), np.empty(n)
for i in range(n):
    x[i] = [1, draw(), 8 * draw(), draw() - draw(), draw() * draw()]
    y[i] = [2 * x[i, 1] - x[i, 2] + draw(), 3 + x[i, 4] + 2 * draw()]
    w[i] = 0.5 + draw()
fade, count = np.ones(n), 0.0
for i in range(n):
    rho = 1 - 1 / min(memory, i / 2 + 1)
    fade[:i] *= rho
    count = rho * count + 1
size = np.sqrt((fade * w) @ x**2 / count)  # The penalty is relative to each feature's own mean square.
ridge = [
    (Ridge(alpha=penalty, fit_intercept=False, solver="cholesky").fit(x / size, y[:, t], sample_weight=fade * w).coef_ / size).tolist()
    for t in (0, 1)
]
root = np.sqrt(fade * w)[:, None]
plain = np.linalg.lstsq(root * x, root * y, rcond=None)[0].T.tolist()

# Quantile regression: 8,000 rows of 11 features, of which three tell the size of the error.
rows, features = 8000, 11
xq, yq = np.zeros((rows, features)), np.empty(rows)
for i in range(rows):
    xq[i] = [1] + [draw() for _ in range(features - 1)]
    noise = sum(draw() for _ in range(4)) - 2
    yq[i] = (1 + 2 * xq[i, 1] + xq[i, 2]) * noise + xq[i, 3]
quantiles = {}
for tau in (0.5, 0.9, 0.99):
    fit = sm.QuantReg(yq, xq).fit(q=tau, max_iter=20000, p_tol=1e-8)
    r = yq - xq @ fit.params
    quantiles[tau] = {"coefficients": fit.params.tolist(), "loss": float(np.mean(np.maximum(tau * r, (tau - 1) * r)))}

print(json.dumps({"ridge": ridge, "leastSquares": plain, "quantiles": quantiles}, indent=1))
