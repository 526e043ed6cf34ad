#!/bin/sh
# Makes sure that there is what siamese builds and runs with: a C linker for cargo, and a Vulkan loader with at least
# one driver. Does nothing where both are there. On Debian and Ubuntu it installs them, with the software driver
# (lavapipe) for machines without a GPU; elsewhere it says what to install.
set -eu

has_driver() {
    [ -n "${VK_DRIVER_FILES:-}${VK_ICD_FILENAMES:-}" ] && return 0
    for folder in /usr/share/vulkan/icd.d /usr/local/share/vulkan/icd.d /etc/vulkan/icd.d; do
        for file in "$folder"/*.json; do
            [ -e "$file" ] && return 0
        done
    done
    return 1
}

has_loader() {
    { ldconfig -p 2>/dev/null || /sbin/ldconfig -p 2>/dev/null; } | grep -q 'libvulkan\.so\.1'
}

if ! command -v cargo >/dev/null 2>&1; then
    echo "cargo is missing: install Rust 1.95 or newer from https://rustup.rs, then run this again" >&2
    exit 1
fi

# macOS has Metal, Windows has DirectX 12.
[ "$(uname -s)" = Linux ] || exit 0

packages=
command -v cc >/dev/null 2>&1 || packages="gcc libc6-dev"
has_loader || packages="$packages libvulkan1"
has_driver || packages="$packages mesa-vulkan-drivers"
[ -n "$packages" ] || exit 0

if command -v apt-get >/dev/null 2>&1; then
    root=
    [ "$(id -u)" = 0 ] || root=sudo
    echo "installing:$(printf ' %s' $packages)" >&2
    $root apt-get update -qq
    $root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $packages >/dev/null
    exit 0
fi

cat >&2 <<MESSAGE
Missing here, in the names of Debian's packages:$(printf ' %s' $packages)
  Fedora   dnf install gcc vulkan-loader mesa-vulkan-drivers
  Arch     pacman -S gcc vulkan-icd-loader vulkan-swrast   (or your GPU's driver: vulkan-radeon, vulkan-intel, nvidia-utils)
  Alpine   apk add gcc musl-dev vulkan-loader mesa-vulkan-swrast
  openSUSE zypper install gcc libvulkan1 Mesa-vulkan-device-select libvulkan_lvp
\`siamese train --adapter cpu\` needs no Vulkan.
MESSAGE
exit 1
