#!/usr/bin/env bash
# Asks a service everything that its own description allows, and much that it does not, by schemathesis from PyPI, with all
# of its checks. Makes a virtual environment for it under target/. Ends with exit code 1 where an answer is not as described,
# and with 3 where PyPI cannot be reached.
set -euo pipefail
cd "$(dirname "$0")/.."
environment=target/schemathesis
if [ ! -x "$environment/bin/schemathesis" ]; then
    python3 -m venv "$environment" &&
        "$environment/bin/pip" install --quiet --disable-pip-version-check 'schemathesis>=4.32,<5' || {
        echo "PyPI, or python3 with venv, is not here: the service is not asked by its description" >&2
        exit 3
    }
fi
work=$(mktemp -d)
program=${SIAMESE:-target/debug/siamese}
[ -n "${SIAMESE:-}" ] || cargo build --quiet
token=$(head -c 24 /dev/urandom | base64)
"$program" train --adapter cpu --spec "conv4 pool dense8 l2" --steps 20 --out "$work/run" >/dev/null 2>&1
"$program" enroll "$work/run" "$work/some.gallery" --adapter cpu --set test --take first 2>/dev/null
SIAMESE_TOKEN=$token "$program" serve "$work/run" --gallery "$work/some.gallery" --adapter cpu --listen 127.0.0.1:0 \
    2>"$work/words" &
service=$!
trap 'kill $service 2>/dev/null || true; rm -rf "$work"' EXIT
until address=$(grep -o 'http://.*' "$work/words"); do
    kill -0 $service || { cat "$work/words" >&2; exit 1; }
    sleep 0.1
done
export SCHEMATHESIS_HOOKS=schemathesis_hooks PYTHONPATH=$PWD/scripts PYTHONDONTWRITEBYTECODE=1 TOKEN=$token
schemathesis=$PWD/$environment/bin/schemathesis settings=$PWD/scripts/schemathesis.toml
# It keeps what it finds where it is.
(cd "$work" && "$schemathesis" --config-file "$settings" run "$address/openapi.json" --no-color)
# It ends as it should, after all that.
kill $service && wait $service
! grep panicked "$work/words"
