#!/usr/bin/env bash
# Measures what docs/quality.md has of the length of embeddings, of the quality and the size of test pictures, and of
# the number of identities to train on: prints tables, and draws docs/sweep.svg. Takes a set of scripts/sets.sh; makes a
# Python environment under target/, from PyPI. Options are those of scripts/sweep.py:
#
#   scripts/sweep.sh                                        everything: some two dozen trainings
#   scripts/sweep.sh --only dims --dims 16 --images 500     one small point
set -euo pipefail
cd "$(dirname "$0")/.."
environment=target/sweep
if [ ! -x "$environment/bin/python" ] || ! "$environment/bin/python" -c 'import PIL, matplotlib' 2>/dev/null; then
    python3 -m venv "$environment"
    "$environment/bin/pip" install --quiet --disable-pip-version-check pillow matplotlib
fi
[ -n "${SIAMESE:-}" ] || cargo build --release --quiet
"$environment/bin/python" scripts/sweep.py "$@"
