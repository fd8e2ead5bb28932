"""Holds protocol.py to bench/accuracy: both score what Foresail forecasts on the traces of this repository, and must agree."""

import subprocess
import unittest
from pathlib import Path

import numpy as np

from methods import PEERS, foresail
from protocol import Trace, naive, pinball, score, with_own_errors

ROOT = Path(__file__).parents[2]
TRACES = ROOT / "bench/traces"


def made(values: list[float], step: int = 600) -> Trace:
    return Trace("made", 0, step, np.array(values, dtype=float))


class AgainstGo(unittest.TestCase):
    def test_scores(self):
        table = subprocess.run(["go", "run", "./bench/accuracy", "-traces", TRACES], cwd=ROOT, check=True, capture_output=True, text=True).stdout
        rows = {fields[0]: fields for fields in map(str.split, table.splitlines()) if fields}
        paths = sorted(TRACES.glob("*.csv.gz"))
        self.assertGreater(len(paths), 0)
        for path in paths:
            trace = Trace.read(path)
            said, _ = foresail(trace, ROOT / "bin/foresail")
            ours, base = score(trace, said), score(trace, naive(trace))
            got = [ours[k] / base[k] for k in ("mae", "pin90", "wpin90")] + [ours["wcov90"]]
            want = [float(rows[trace.name][k]) for k in (1, 2, 3, 5)]  # Official mae, pin90, wpin90 and wcov90, to three places.
            np.testing.assert_allclose(got, want, atol=0.00051, err_msg=trace.name)


class Protocol(unittest.TestCase):
    def test_outcomes(self):
        trace = made([1, 5, np.nan, 2, np.nan, np.nan, np.nan])  # Steps of 10 minutes: the lead is 3.
        np.testing.assert_equal(trace.ahead, [2, np.nan, np.nan, np.nan, np.nan, np.nan, np.nan])
        np.testing.assert_equal(trace.largest, [5, 2, 2, np.nan, np.nan, np.nan, np.nan])

    def test_pinball(self):
        np.testing.assert_allclose(pinball(np.array([12, 8]), np.array([10, 10])), [1.8, 0.2])  # .9 * 2 above, .1 * 2 below.

    def test_nobody_knows_the_future(self):
        rng = np.random.default_rng(1)
        values = rng.normal(100, 10, 7 * 144)
        trace, other = made(values), made(values)
        now = trace.origins[6]
        other.values[now + 1 :] = rng.normal(200, 50, len(values) - now - 1)
        for name, method in PEERS.items() | {("naive", naive)}:
            before, after = method(trace)[trace.origins], method(other)[trace.origins]
            np.testing.assert_equal(before[:7], after[:7], err_msg=name)
            self.assertFalse(np.array_equal(before, after), name)

    def test_own_errors_cover(self):
        # Errors are uniform on 0..1, so the .9 quantile of both is .9 and .9 of the outcomes are below it.
        rng = np.random.default_rng(2)
        trace = made(rng.uniform(0, 1, 40 * 48), step=1800)
        at = np.arange(len(trace.values))
        said = with_own_errors(trace, at, np.zeros(len(at)), np.zeros(len(at)))
        self.assertAlmostEqual(said[trace.origins[-1], 2], 0.9, delta=0.05)
        self.assertAlmostEqual(score(trace, said)["wcov90"], 0.9, delta=0.06)  # Three standard errors of 269 origins.


if __name__ == "__main__":
    unittest.main()
