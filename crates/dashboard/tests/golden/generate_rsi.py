"""Writes rsi.json: what TA-Lib says of the bars that the tests feed to the service.

Needs the PyPI package TA-Lib 0.8.2 (its wheel bundles the C library) and the capture
btcusdt-1d-2018-2022.csv. Run it from anywhere:

    python generate_rsi.py DIRECTORY_WITH_THE_CAPTURE
"""

import csv
import datetime as dt
import json
import pathlib
import sys

import numpy as np
import talib

LIMIT = 1000  # candles that the service asks for; the newest of them may still be open
DAY = dt.timedelta(days=1)

# The moments at which the source's clock stands still. Odd ones: the first day with 250 closed
# bars, the last millisecond of a bar (still open) and the one after it (closed).
MOMENTS = [
    "2018-09-08T12:00:00Z",
    "2018-12-16T12:00:00Z",
    "2019-06-27T12:00:00Z",
    "2019-12-31T23:59:59.999Z",
    "2020-01-01T00:00:00Z",
    "2020-03-13T06:30:00Z",
    "2020-11-21T12:00:00Z",
    "2021-01-09T12:00:00Z",
    "2021-05-20T12:00:00Z",
    "2021-11-10T18:00:00Z",
    "2022-01-23T12:00:00Z",
    "2022-02-08T12:00:00Z",
]


def capture(directory):
    path = pathlib.Path(directory) / "btcusdt-1d-2018-2022.csv"
    with path.open(newline="") as file:
        rows = list(csv.reader(file))[1:]
    days = [dt.datetime.fromisoformat(row[0][:10] + "T00:00:00+00:00") for row in rows]
    return days, [float(row[4]) for row in rows]


def at_moments(directory):
    days, closes = capture(directory)
    for text in MOMENTS:
        moment = dt.datetime.fromisoformat(text.replace("Z", "+00:00"))
        known = [i for i, day in enumerate(days) if day <= moment][-LIMIT:]
        closed = [i for i in known if days[i] + DAY - dt.timedelta(milliseconds=1) < moment]
        window = np.array([closes[i] for i in closed])
        yield {
            "source_time": text,
            "last_closed_day": days[closed[-1]].date().isoformat(),
            "bars_used": len(closed),
            "rsi_14": float(talib.RSI(window, timeperiod=14)[-1]),
        }


def main():
    golden = {"at_moments": list(at_moments(sys.argv[1]))}
    text = json.dumps(golden, separators=(",", ":")).replace("},{", "},\n{")
    pathlib.Path(__file__).with_name("rsi.json").write_text(text + "\n")


if __name__ == "__main__":
    main()
