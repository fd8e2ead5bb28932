"""Writes oracle.json: what LightGBM fits to the rows of loads() in the test, and says of 200 further ones.

Run as `python oracle.py > oracle.json`. Made with Python 3.11.7, numpy 2.4.6, LightGBM 4.7.0.
"""
import json
import lightgbm as lgb
import numpy as np

state = 42


def draw():
    global state
    state = (state * 6364136223846793005 + 1442695040888963407) % 2**64
    return float((state >> 33) % 32)


def rows(n):
    x, y = np.empty((n, 4)), np.empty(n)
    for i in range(n):
        a, b, c, d = draw(), draw(), draw(), draw()
        noise = draw() + draw() - 31
        y[i] = (0.5 * b if c > 20 else 0.1 * b) + (10 if a > 15 else 0) + noise * (0.2 + 0.02 * d)
        x[i] = a, b, c, d
    return x.astype(np.float32), y.astype(np.float32)


def loss(y, q, tau):
    r = y - q
    return float(np.mean(np.maximum(tau * r, (tau - 1) * r)))


x, y = rows(600)
later, came = rows(200)
out = []
for tau, leaves, depth in ((0.5, 15, -1), (0.9, 8, 3), (0.1, 8, 3)):
    parameters = dict(
        num_leaves=leaves, max_depth=depth, learning_rate=0.2, min_data_in_leaf=20, min_sum_hessian_in_leaf=0, max_bin=64,
        min_data_in_bin=1, verbose=-1, num_threads=1, deterministic=True, seed=1,
        **({"objective": "regression_l1"} if tau == 0.5 else {"objective": "quantile", "alpha": tau}),
    )
    model = lgb.train(parameters, lgb.Dataset(x, y), 30)
    said = model.predict(later)
    out.append(dict(tau=tau, leaves=leaves, depth=max(depth, 0), loss=loss(y, model.predict(x), tau), later=loss(came, said, tau), said=[round(float(v), 4) for v in said]))
print(json.dumps(out))
