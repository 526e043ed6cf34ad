#!/usr/bin/env python3
"""Reads what `siamese` writes for other programs with those programs, and compares: embeddings as .npy (NumPy), .parquet
(pyarrow and polars), .csv and shards (DuckDB), and the TensorBoard events of a run with its metrics.jsonl.

    pip install duckdb numpy pyarrow polars tensorboard
    siamese embed RUN --set test --out test.npy
    siamese embed RUN --set test --out test.parquet
    siamese embed RUN --set test --out test.csv
    siamese embed RUN --set test --out shards --shard 1/2    and 2/2
    check_files.py test.npy test.parquet test.csv RUN shards

Ends with exit code 1 at the first difference.
"""

import csv
import json
import sys
from pathlib import Path

import duckdb
import numpy as np
import polars
import pyarrow.parquet
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

if len(sys.argv) != 6:
    sys.exit(__doc__)
npy, parquet, table, run, shards = map(Path, sys.argv[1:])


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

of = f"from read_parquet('{shards}/*.parquet', filename=true, file_row_number=true)"
kinds = dict(row[:2] for row in duckdb.sql(f"describe select name, class, embedding {of}").fetchall())
same("the columns of shards in DuckDB", kinds, {"name": "VARCHAR", "class": "VARCHAR", "embedding": "FLOAT[]"})
read = duckdb.sql(f"select name, class, embedding {of} order by filename, file_row_number").fetchnumpy()
same("shards in DuckDB, all as one table", np.stack(read["embedding"]), wanted)
same("names and classes in DuckDB", [list(read["name"]), list(read["class"])], [names, classes])
counts = duckdb.sql(f"select filename, count(*) {of} group by filename order by filename").fetchall()
manifests = [json.loads(path.read_text()) for path in sorted(shards.glob("*.json"))]
same("rows of each shard and its manifest", [count for _, count in counts], [known["rows"] for known in manifests])

board = EventAccumulator(str(run), size_guidance={"scalars": 0})
board.Reload()
steps = [event for event in map(json.loads, open(run / "metrics.jsonl")) if event["event"] == "step"]
for field in ["loss", "active", "d_ap", "d_an", "gradient_norm", "images_per_s"]:
    events = board.Scalars(f"train/{field}")
    same(f"train/{field} in TensorBoard", [event.step for event in events], [step["step"] for step in steps])
    same(f"train/{field}", np.float32([event.value for event in events]), np.float32([step[field] for step in steps]))
if "test/knn5" not in board.Tags()["scalars"]:
    sys.exit("the evaluation is not in TensorBoard")
