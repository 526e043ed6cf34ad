#!/usr/bin/env bash
# What becomes of a run's files when things go wrong around it: kills, full disks, closed pipes, senseless command
# lines, hostile files. Prints a table of figures; ends with 1 where something failed. At most twenty minutes, no part of
# CI. Builds the program unless it is there or another is named; options are those of scripts/campaign.py.
set -euo pipefail
cd "$(dirname "$0")/.."
if [[ " $* " != *" --program"* ]] && [ ! -x target/release/siamese ]; then
    cargo build --release
fi
exec python3 scripts/campaign.py "$@"
