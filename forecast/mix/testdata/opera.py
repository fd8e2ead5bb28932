"""Writes opera.json: mixtures by ML-Poly of forecasts that the test draws too.

`opera` is R/MLpol.R of github.com/Dralliag/opera at c961dba (version 1.2.2), by an author of the algorithm, for the pinball loss with
gradient trick and sleeping experts, line by line in numpy. `foresail` is the same with what Foresail does otherwise: regrets and their
squares fade with a memory, and the largest squared regret of one step counts by a hundredth.
Run as `python opera.py > opera.json`. Made with Python 3.11.7, numpy 2.4.6.
"""
import json
import numpy as np

state = 13


def draw():  # A linear congruential generator, easily written down in Go: 0, 1/32, ... 31/32.
    global state
    state = (state * 6364136223846793005 + 1442695040888963407) % 2**64
    return float((state >> 33) % 32) / 32


STEPS, MODELS = 60, 4
y, experts, awake = np.empty(STEPS), np.empty((STEPS, MODELS)), np.ones((STEPS, MODELS))
for t in range(STEPS):
    y[t] = 10 + 4 * draw()
    experts[t] = [y[t] + draw(), y[t] - 2 * draw(), 11 + draw(), 9 + 6 * draw()]
    awake[t, 3] = draw() > 0.3
# The first step has by far the largest regret, so that the largest is the same from then on whatever its share.
y[0], experts[0], awake[0] = 12, [112, 2, 11, 9], 1


def gradient(pred, y, tau):  # opera's loss.R: lossPinball's derivative.
    return float(y < pred) - tau


def opera(tau):
    eta, R, B = np.full(MODELS, np.exp(700.0)), np.zeros(MODELS), 0.0
    said = []
    for t in range(STEPS):
        w = eta * np.maximum(R, 0) / np.sum(eta * np.maximum(R, 0)) if np.max(awake[t] * R) > 0 else np.ones(MODELS)
        p = awake[t] * w / np.sum(awake[t] * w)
        pred = experts[t] @ p
        said.append(pred)
        g = gradient(pred, y[t], tau)
        r = awake[t] * (g * pred - g * experts[t])
        R = R + r
        newB = max(B, np.max(r**2))
        eta = 1 / (1 / eta + r**2 + newB - B)
        B = newB
    return said, float(B)


def foresail(tau, memory, share):
    fade, R, S, B = 1 - 1 / memory, np.zeros(MODELS), np.zeros(MODELS), 0.0
    said = []
    for t in range(STEPS):
        on = awake[t] > 0
        w = np.where(on, np.maximum(R, 0) / np.where(B + S > 0, B + S, 1), 0)
        w = w if w.sum() > 0 else on.astype(float)
        pred = experts[t] @ w / w.sum()
        said.append(pred)
        g = gradient(pred, y[t], tau)
        r = g * (pred - experts[t])
        R, S, B = np.where(on, fade * R + r, R), np.where(on, fade * S + r**2, S), max(fade * B, share * np.max(np.where(on, r, 0) ** 2))
    return said


out = []
for tau in (0.5, 0.9):
    said, bound = opera(tau)
    np.testing.assert_allclose(foresail(tau, np.inf, 1), said, rtol=1e-12)  # With nothing done otherwise they are one.
    out.append({"tau": tau, "opera": said, "bound": bound, "foresail": foresail(tau, 20, 0.01)})
print(json.dumps(out, indent=1))
