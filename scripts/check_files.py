#!/usr/bin/env python3
"""Reads what `siamese` writes for other programs with those programs, and compares: embeddings as .npy (NumPy), .parquet
(pyarrow and polars) and .csv, and the TensorBoard events of a run with its metrics.jsonl.

    pip install numpy pyarrow polars tensorboard
    siamese embed RUN --set test --out test.npy
    siamese embed RUN --set test --out test.parquet
    siamese embed RUN --set test --out test.csv
    check_files.py test.npy test.parquet test.csv RUN

Ends with exit code 1 at the first difference.
"""

import csv
import json
import sys
from pathlib import Path

import numpy as np
import polars
import pyarrow.parquet
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

if len(sys.argv) != 5:
    sys.exit(__doc__)
npy, parquet, table, run = map(Path, sys.argv[1:])


def same(name, got, wanted):
    if not np.array_equal(got, wanted):
        sys.exit(f"{name} differs")
    print(f"{name}: {np.shape(got)} equal")


with open(table, newline="") as file:
    rows = list(csv.reader(file))[1:]
wanted = np.array([row[2:] for row in rows], np.float32)
names, classes = [row[0] for row in rows], [row[1] for row in rows]
same(npy, np.load(npy), wanted)
sidecar = json.loads(npy.with_name(npy.name + ".json").read_text())
same("names and classes of the .npy", [sidecar["names"], sidecar["classes"]], [names, classes])

read = pyarrow.parquet.read_table(parquet)
same(f"{parquet} in pyarrow", np.stack(read["embedding"].to_numpy()), wanted)
same("names and classes in pyarrow", [read["name"].to_pylist(), read["class"].to_pylist()], [names, classes])
read = polars.read_parquet(parquet)
same(f"{parquet} in polars", np.array(read["embedding"].to_list(), np.float32), wanted)
same("names and classes in polars", [read["name"].to_list(), read["class"].to_list()], [names, classes])

board = EventAccumulator(str(run), size_guidance={"scalars": 0})
board.Reload()
steps = [event for event in map(json.loads, open(run / "metrics.jsonl")) if event["event"] == "step"]
for field in ["loss", "active", "d_ap", "d_an", "gradient_norm", "images_per_s"]:
    events = board.Scalars(f"train/{field}")
    same(f"train/{field} in TensorBoard", [event.step for event in events], [step["step"] for step in steps])
    same(f"train/{field}", np.float32([event.value for event in events]), np.float32([step[field] for step in steps]))
if "test/knn5" not in board.Tags()["scalars"]:
    sys.exit("the evaluation is not in TensorBoard")
