#!/usr/bin/env bash
# Reads with other programs what siamese writes for them: ONNX in onnxruntime, embeddings in NumPy, pyarrow, polars and
# DuckDB, events in TensorBoard. Makes a virtual environment for them under target/, from PyPI. Ends with exit code 1 where
# something differs, and with 3 where PyPI cannot be reached.
set -euo pipefail
cd "$(dirname "$0")/.."
environment=target/check-exports
if [ ! -x "$environment/bin/python" ] || ! "$environment/bin/python" -c 'import duckdb, onnxruntime, polars, pyarrow, tensorboard' 2>/dev/null; then
    python3 -m venv "$environment" &&
        "$environment/bin/pip" install --quiet --disable-pip-version-check \
            duckdb numpy onnx onnxruntime polars pyarrow tensorboard || {
        echo "PyPI, or python3 with venv, is not here: exports are not checked by other programs" >&2
        exit 3
    }
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
program=${SIAMESE:-target/debug/siamese}
[ -n "${SIAMESE:-}" ] || cargo build --quiet
siamese() { "$program" "$@"; }
siamese train --adapter cpu --steps 20 --out "$work/run" >/dev/null
siamese export "$work/run" --out "$work/run.onnx"
for ending in npy parquet csv; do
    siamese embed "$work/run" --adapter cpu --set test --out "$work/test.$ending"
done
for shard in 1/3 2/3 3/3; do
    siamese embed "$work/run" --adapter cpu --set test --out "$work/shards" --shard $shard
done
"$environment/bin/python" scripts/check_onnx.py "$work/run.onnx" data/mnist/t10k-images-idx3-ubyte.xz "$work/test.npy"
"$environment/bin/python" scripts/check_onnx.py --presets "$program"
"$environment/bin/python" scripts/check_files.py "$work/test.npy" "$work/test.parquet" "$work/test.csv" "$work/run" \
    "$work/shards"
