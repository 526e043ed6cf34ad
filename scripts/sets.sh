#!/usr/bin/env bash
# Makes the picture sets of docs/quality.md under target/sets/, from npm's and Debian's packages:
#
#   emoji    1,906 emoji, each as four to seven vendors draw it, 64x64: 1,430 to train on, 476 others to test
#   glyphs   1,149 characters in 20 fonts each, 32x32 light on dark: 859 to train on, 290 others to test
#
# scripts/sets.sh [emoji] [glyphs]; some minutes, most of them downloads (half a gigabyte). Needs npm and rsvg-convert
# for emoji, apt-get for glyphs. The pictures are their vendors': MIT, OFL, CC BY and CC BY-SA by OpenMoji, Noto,
# Twemoji and Fluent, and not to be passed on by Apple and Facebook. They stay on this machine.
set -euo pipefail
cd "$(dirname "$0")/.."
sets=target/sets
packages=$sets/packages
mkdir -p "$packages"

python=$sets/python/bin/python
if ! "$python" -c 'import numpy, PIL, fontTools' 2>/dev/null; then
    python3 -m venv "$sets/python"
    "$sets/python/bin/pip" install --quiet --disable-pip-version-check numpy pillow fonttools
fi

emoji() {
    command -v rsvg-convert >/dev/null || { echo "rsvg-convert is missing: Debian's librsvg2-bin" >&2; exit 1; }
    local package
    for package in emoji-datasource-{apple,google,twitter,facebook}@16.0.0 emojione-assets@4.5.0 openmoji@17.0.0 \
        @lobehub/fluent-emoji-3d@1.1.0; do
        local folder=$packages/${package//\//-}
        [ ! -e "$folder/package.json" ] || continue
        echo "fetching $package" >&2
        mkdir -p "$folder"
        tar -xzf "$packages/$(cd "$packages" && npm pack --silent --ignore-scripts "$package")" \
            -C "$folder" --strip-components=1
        rm -f "$packages"/*.tgz
    done
    "$python" scripts/sets.py emoji "$packages" "$sets/emoji"
}

glyphs() {
    local package
    mkdir -p "$packages/fonts"
    while read -r package; do
        [ ! -e "$packages/fonts/$package" ] || continue
        (cd "$packages" && apt-get download -q "$package" >/dev/null)
        dpkg -x "$packages/$package"_*.deb "$packages/fonts/$package"
        rm "$packages/$package"_*.deb
    done <scripts/fonts.txt
    "$python" scripts/sets.py glyphs "$packages/fonts" "$sets/glyphs"
}

[ $# -gt 0 ] || set -- emoji glyphs
for name in "$@"; do
    case $name in
        emoji | glyphs) $name ;;
        *) echo "$name is neither emoji nor glyphs" >&2; exit 2 ;;
    esac
done
