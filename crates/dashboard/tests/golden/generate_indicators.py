"""Writes btcusdt-1d.csv and indicators.json: real candles, and what TA-Lib says of them.

Needs the PyPI package TA-Lib (`pip install TA-Lib==0.8.2`; its wheel bundles the C library) and
the capture btcusdt-1d-2018-2022.csv (public domain). Run it from anywhere:

    python generate_indicators.py DIRECTORY_WITH_THE_CAPTURE

Of each indicator ten windows: the shortest that has a value, the whole series, and eight in
between. Of each window the first three values, the last, and some in between.
"""

import csv
import json
import pathlib
import random
import sys

import numpy as np
import talib

HERE = pathlib.Path(__file__).parent
WINDOWS = 10
VALUES = 9
SMA = 0  # TA-Lib's number for a plain mean

INDICATORS = {
    "rsi:14": lambda o, h, l, c: [talib.RSI(c, 14)],
    "rsi:2": lambda o, h, l, c: [talib.RSI(c, 2)],
    "ema:20": lambda o, h, l, c: [talib.EMA(c, 20)],
    "ema:200": lambda o, h, l, c: [talib.EMA(c, 200)],
    "ema:1": lambda o, h, l, c: [talib.EMA(c, 1)],
    "sma:20": lambda o, h, l, c: [talib.SMA(c, 20)],
    "sma:200": lambda o, h, l, c: [talib.SMA(c, 200)],
    "macd:12-26-9": lambda o, h, l, c: talib.MACD(c, 12, 26, 9),
    "macd:5-35-5": lambda o, h, l, c: talib.MACD(c, 5, 35, 5),
    "macd:3-10-1": lambda o, h, l, c: talib.MACD(c, 3, 10, 1),
    "bbands:20-2": lambda o, h, l, c: talib.BBANDS(c, 20, 2.0, 2.0, SMA),
    "bbands:50-2.5": lambda o, h, l, c: talib.BBANDS(c, 50, 2.5, 2.5, SMA),
    "atr:14": lambda o, h, l, c: [talib.ATR(h, l, c, 14)],
    "atr:1": lambda o, h, l, c: [talib.ATR(h, l, c, 1)],
    "stoch:14-3-3": lambda o, h, l, c: talib.STOCH(h, l, c, 14, 3, SMA, 3, SMA),
    "stoch:5-1-4": lambda o, h, l, c: talib.STOCH(h, l, c, 5, 1, SMA, 4, SMA),
}


def candles(directory):
    path = pathlib.Path(directory) / "btcusdt-1d-2018-2022.csv"
    with path.open(newline="") as file:
        rows = list(csv.reader(file))[1:]
    with (HERE / "btcusdt-1d.csv").open("w", newline="") as file:
        out = csv.writer(file, lineterminator="\n")
        out.writerow(["day", "open", "high", "low", "close"])
        out.writerows([row[0][:10], *row[1:5]] for row in rows)
    return np.array([[float(price) for price in row[1:5]] for row in rows]).T.copy()


def windows(choose, lookback, bars):
    yield 0, lookback + 1
    yield 0, bars
    for _ in range(WINDOWS - 2):
        length = choose.randint(lookback + 10, 600)
        start = choose.randint(1, bars - length)
        yield start, start + length


def vector(compute, prices, start, end):
    lines = compute(*(row[start:end].copy() for row in prices))
    first = max(int(np.flatnonzero(~np.isnan(line))[0]) for line in lines)
    spread = np.linspace(first + 2, end - start - 1, VALUES - 2).round().astype(int)
    at = sorted({first, first + 1, *spread.tolist()} & set(range(end - start)))
    values = [[float(line[i]) for line in lines] for i in at]
    return {"from": start, "to": end, "first": first, "at": at, "values": values}


def main():
    prices = candles(sys.argv[1])
    choose = random.Random(1978)
    golden = []
    for name, compute in INDICATORS.items():
        lookback = vector(compute, prices, 0, prices.shape[1])["first"]
        spans = windows(choose, lookback, prices.shape[1])
        golden += [{"indicator": name} | vector(compute, prices, *span) for span in spans]
    text = json.dumps(golden, separators=(",", ":")).replace("},{", "},\n{")
    (HERE / "indicators.json").write_text(text + "\n")


if __name__ == "__main__":
    main()
