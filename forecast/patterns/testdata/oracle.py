"""Prints the strengths of the cycles and the trend of the last 28 days of two traces, from the formulas with pandas.

Strength: Hyndman & Athanasopoulos, Forecasting: Principles and Practice, 3rd ed., section 4.3, 1 - Var(R)/Var(S+R), with S the mean day,
or what the mean week adds to it, around the line through the mean with the median change from week to week as its slope; the variance of
R over its degrees of freedom, and what R adds to that of S taken out. Trend: Hirsch, Slack & Smith 1982, eq. 10, over all pairs of
values a whole number of weeks apart.
Run as `python oracle.py ../../../bench/traces`. Made with Python 3.11.7, numpy 2.4.6, pandas 3.1.1.
"""
import sys
import numpy as np
import pandas as pd

for name in ("nab_nyc_taxi_passengers_30m", "pems_lane_flow_5m"):
    d = pd.read_csv(f"{sys.argv[1]}/{name}.csv.gz", parse_dates=["timestamp"])
    at = d.timestamp.values.astype("datetime64[s]").astype(np.int64)
    step = int(np.median(np.diff(at)))
    day = 86400 // step
    week = 7 * day
    y = pd.Series(d.value.values, index=at // step)
    y = y.reindex(range(y.index[-1] - 28 * day + 1, y.index[-1] + 1)).astype(float)
    slot = y.index.values
    weekly = (y - y.shift(week)).dropna()
    line = np.median(weekly) / week * np.arange(len(y))
    flat = y - line - (y - line).mean()
    known = int(flat.notna().sum())
    per_day, per_week = flat.groupby(slot % day).mean(), None
    no_days = flat - flat.groupby(slot % day).transform("mean")
    weeks = no_days.groupby(slot % week).transform("mean")
    rest, no_weeks = no_days - weeks, flat - weeks
    days_known, weeks_known = per_day.notna().sum(), no_days.groupby(slot % week).mean().notna().sum()

    def squares(v):
        return float(((v - v.mean()) ** 2).sum())

    def strength(all, freedom):
        r, free = squares(rest), known - weeks_known
        noise = r / free
        season = (squares(all) - r - (freedom - free) * noise) / known
        return max(0, season / (season + noise))

    pairs = np.concatenate([((y - y.shift(k * week)) / k).dropna().values for k in (1, 2, 3, 4)])
    slope = np.median(pairs)
    agree = np.mean(np.where(pairs == 0, 0.5, (pairs > 0) == (slope > 0)))
    print(name, f"daily {strength(no_weeks, known - 1 - weeks_known + days_known):.6f} weekly {strength(no_days, known - days_known):.6f}",
          f"per week {slope:.6f} agreement {agree:.6f}")
