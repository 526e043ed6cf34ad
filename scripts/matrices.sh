#!/usr/bin/env bash
# Proves the shaders that multiply by cooperative matrices, and trains with them, on software Vulkan that has matrices: that
# of Debian testing, by the mirror that apt knows. It is unpacked under target/ and used by nothing else; that needs no root.
# Arguments go to cargo, such as features that are built already. Ends with exit code 1 where something is wrong, and with 3
# where there is no such Vulkan to be had.
set -euo pipefail
cd "$(dirname "$0")/.."
mesa=$PWD/target/matrices
missing() {
    echo "$1: shaders that multiply by matrices are not run" >&2
    exit 3
}

if [ ! -e "$mesa/complete" ]; then
    mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Origin: Debian' 2>/dev/null | head -1)
    [ -n "$mirror" ] || missing "apt knows no mirror of Debian"
    rm -rf "$mesa"
    mkdir -p "$mesa/lists/partial" "$mesa/archives/partial" "$mesa/files"
    echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror testing main" >"$mesa/sources.list"
    # As if nothing were installed, so that all of it comes, down to the C library.
    : >"$mesa/status"
    own=(-qq -o Dir::Etc::SourceList="$mesa/sources.list" -o Dir::Etc::SourceParts=/dev/null
        -o Dir::Etc::PreferencesParts=/dev/null -o Dir::State::Lists="$mesa/lists" -o Dir::State::status="$mesa/status"
        -o Dir::Cache="$mesa" -o APT::Sandbox::User= -o Debug::NoLocking=true)
    apt-get "${own[@]}" update &&
        apt-get "${own[@]}" -y --no-install-recommends --download-only install mesa-vulkan-drivers libvulkan1 ||
        missing "Debian's mirror, or Mesa there, is not here"
    for package in "$mesa"/archives/*.deb; do
        dpkg-deb -x "$package" "$mesa/files"
    done
    rm -rf "$mesa/archives" "$mesa/lists"
    touch "$mesa/complete"
fi

# Programs get all their libraries from there, with the loader that fits them.
program=${SIAMESE:-target/debug/siamese}
[ -n "${SIAMESE:-}" ] || cargo build --quiet "$@"
loader=$(ls "$mesa"/files/usr/lib/*/ld-linux*.so.* | head -1)
runner=("$loader" --library-path "$(dirname "$loader")")
VK_DRIVER_FILES=$(ls "$mesa"/files/usr/share/vulkan/icd.d/lvp_icd*.json)
export VK_DRIVER_FILES SIAMESE_ADAPTER=vulkan
"${runner[@]}" "$program" adapters --json | grep -q '"matrices":\[8\]' || missing "this Mesa has no matrices of 8 × 8"
host=$(rustc -vV | sed -n 's/^host: //p' | tr a-z- A-Z_)
export "CARGO_TARGET_${host}_RUNNER=${runner[*]}"
cargo test --quiet "$@" --test kernels --test contract --test run -- matri
