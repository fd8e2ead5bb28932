"""Walks recorded loads with published forecasters on the origins of bench/accuracy and prints their scores beside Foresail's.

mae, pin90 and wpin90 are ratios to the naive forecast, wcov90 is a share, as bench/accuracy says. CPU is the processor seconds of the whole walk: a peer
forecasts at the origins alone, Foresail at every step.
"""

import argparse
import os
import sys
import time
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path

THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS")
os.environ.update(dict.fromkeys(THREADS, "1"))  # Before numpy is loaded: a trace and method is one process with one thread.

import numpy as np

from methods import PEERS, foresail
from protocol import Trace, naive, score

LOSSES = ("mae", "pin90", "wpin90")


def judge(path: Path, method: str, binary: Path) -> tuple[Trace, dict[str, float]]:
    """Scores one method on one trace, losses as ratios to the naive forecast's, with the processor seconds it took."""
    trace = Trace.read(path)
    if method == "foresail":
        said, seconds = foresail(trace, binary)
    else:
        began = time.process_time()
        said = PEERS[method](trace)
        seconds = time.process_time() - began
    scores, base = score(trace, said), score(trace, naive(trace))
    return trace, {"wcov90": scores["wcov90"], "cpu": seconds} | {loss: scores[loss] / base[loss] for loss in LOSSES}


def means(results: list[dict[str, float]]) -> dict[str, float]:
    """Geometric means of the ratios, plain ones of coverage and time."""
    plain = {k: np.mean([r[k] for r in results]) for k in ("wcov90", "cpu")}
    return plain | {loss: np.exp(np.mean([np.log(r[loss]) for r in results])) for loss in LOSSES}


def show(title: str, rows: dict[str, dict[str, float]]) -> None:
    print(f"\n{title:38}{'mae':>8}{'pin90':>8}{'wpin90':>8}{'wcov90':>8}{'CPU s':>9}")
    for method, r in rows.items():
        print(f"  {method:36}{r['mae']:8.3f}{r['pin90']:8.3f}{r['wpin90']:8.3f}{r['wcov90']:8.3f}{r['cpu']:9.2f}")


def main() -> int:
    flags = argparse.ArgumentParser(description=__doc__)
    flags.add_argument("traces", type=Path, help="a trace, or a directory of them: timestamp,value rows in .csv or .csv.gz")
    flags.add_argument("--peers", default=",".join(PEERS), help="which to walk with beside Foresail")
    flags.add_argument("--foresail", type=Path, default=Path("bin/foresail"), help="the program to compare with")
    flags.add_argument("--jobs", type=int, default=os.cpu_count(), help="how many walk at a time")
    args = flags.parse_args()
    methods = ["foresail", *filter(None, args.peers.split(","))]
    if unknown := set(methods) - {"foresail", *PEERS}:
        flags.error(f"no such peer: {', '.join(unknown)}; there are {', '.join(PEERS)}")
    paths = [args.traces] if args.traces.is_file() else sorted(p for p in args.traces.glob("*.csv*") if p.name.endswith((".csv", ".csv.gz")))
    if not paths:
        flags.error(f"no traces in {args.traces}")

    results: dict[Path, dict[str, dict[str, float]]] = {p: {} for p in paths}
    fine, failed = [], []
    with ProcessPoolExecutor(args.jobs) as pool:
        walks = {pool.submit(judge, p, m, args.foresail): (p, m) for p in paths for m in methods}
        for n, walk in enumerate(as_completed(walks), 1):
            path, method = walks[walk]
            try:
                trace, results[path][method] = walk.result()
            except Exception as e:
                failed.append(f"cannot walk {path.name} with {method}: {e!r}")
                continue
            if not trace.coarse and path not in fine:
                fine.append(path)
            print(f"{n} of {len(walks)} walks: {path.name}, {method}", file=sys.stderr)
    for path in paths:
        show(path.name, {m: results[path][m] for m in methods if m in results[path]})
    for title, group in (("mean", paths), ("mean, steps under 30 min", fine)):
        whole = [p for p in group if len(results[p]) == len(methods)]
        if whole:
            show(f"{title} of {len(whole)} traces", {m: means([results[p][m] for p in whole]) for m in methods})
    for failure in failed:
        print(failure, file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
