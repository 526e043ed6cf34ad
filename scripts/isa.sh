#!/usr/bin/env bash
# Machine code of every shader of the presets for three families of AMD's GPUs, without a GPU: see examples/isa.rs.
# Use: scripts/isa.sh [FILTER]     FILTER: only shaders whose name contains it
# ISA: the program, if it is built.
# Needs Debian's mesa-vulkan-drivers; ends with a word and 0 where RADV is not there.
set -euo pipefail
cd "$(dirname "$0")/.."
driver=$(ls /usr/share/vulkan/icd.d/radeon_icd*.json 2>/dev/null | head -n 1)
if [ -z "$driver" ]; then
    echo "no RADV here (Debian: mesa-vulkan-drivers): the machine code of the shaders is not looked at" >&2
    exit 0
fi
isa=${ISA:-target/debug/examples/isa}
[ -n "${ISA:-}" ] || cargo build --quiet --example isa
# Side by side: each takes one core.
tables=$(mktemp -d)
trap 'rm -rf "$tables"' EXIT
families="navi21 vega10 gfx1100"
for family in $families; do
    { RADV_FORCE_FAMILY=$family RADV_DEBUG=nocache VK_DRIVER_FILES=$driver "$isa" "$@" >"$tables/$family" 2>&1 ||
        touch "$tables/failed"; } &
done
wait
for family in $families; do
    cat "$tables/$family"
    echo
done
[ ! -e "$tables/failed" ]
