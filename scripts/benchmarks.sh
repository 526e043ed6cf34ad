#!/usr/bin/env bash
# Measures siamese beside PyTorch and TensorFlow on this machine, and writes docs/benchmarks.md and its plot: some
# twenty minutes, in which nothing else should run. Makes a virtual environment for them under target/, from PyPI.
# Options are those of scripts/benchmarks.py.
set -euo pipefail
cd "$(dirname "$0")/.."
scripts/setup.sh
environment=target/benchmarks
if [ ! -x "$environment/bin/python" ] || ! "$environment/bin/python" -c 'import torch, tensorflow, matplotlib' 2>/dev/null; then
    python3 -m venv "$environment"
    "$environment/bin/pip" install --quiet --disable-pip-version-check numpy matplotlib torch tensorflow-cpu
fi
cargo build --release
"$environment/bin/python" scripts/benchmarks.py "$@"
