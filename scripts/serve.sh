#!/usr/bin/env bash
# The service under load: `scripts/serve.sh [PROGRAM]`. 64 clients (wrk, Debian's) for a minute each with one picture a
# request and with 16, beside the bare forward pass of the same runner; then 100,000 broken bodies and 20 kills (tests/serve/).
# Prints a table for docs/service.md. Ten minutes; no part of CI. SECONDS_EACH, SERVE_BODIES and SERVE_KILLS make it shorter.
set -euo pipefail
cd "$(dirname "$0")/.."
program=$(realpath "${1:-target/release/siamese}")
seconds=${SECONDS_EACH:-60}
command -v wrk >/dev/null || apt-get install -y -qq wrk >/dev/null
work=$(mktemp -d)
trap 'kill $service 2>/dev/null || true; rm -rf "$work"' EXIT
uptime
"$program" train --adapter cpu --steps 200 --out "$work/run" >/dev/null 2>&1
"$program" enroll "$work/run" "$work/digits.gallery" --adapter cpu --set test --take first 2>/dev/null
"$program" serve "$work/run" --gallery "$work/digits.gallery" --adapter cpu --listen 127.0.0.1:0 2>"$work/words" &
service=$!
until address=$(grep -o 'http://.*' "$work/words"); do sleep 0.1; done

# Bodies: digits as PNG files, and forms of 16 of them.
python3 - "$work" <<'PY'
import lzma, struct, sys, zlib
work = sys.argv[1]
images = lzma.open("data/mnist/t10k-images-idx3-ubyte.xz").read()[16:]
def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
def png(image):
    rows = b"".join(b"\0" + image[28 * row:28 * row + 28] for row in range(28))
    head = struct.pack(">IIBBBBB", 28, 28, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
pictures = [png(images[784 * number:784 * number + 784]) for number in range(256)]
for number, picture in enumerate(pictures):
    open(f"{work}/{number}.png", "wb").write(picture)
for number in range(16):
    parts = [
        b"--line\r\nContent-Disposition: form-data; name=\"picture\"; filename=\"%d.png\"\r\n\r\n%s\r\n" % (place, picture)
        for place, picture in enumerate(pictures[16 * number:16 * number + 16])
    ]
    open(f"{work}/{number}.form", "wb").write(b"".join(parts) + b"--line--\r\n")
PY
cat >"$work/load.lua" <<'LUA'
local work, ending, kind, count = os.getenv("WORK"), os.getenv("ENDING"), os.getenv("KIND"), tonumber(os.getenv("COUNT"))
local bodies, number = {}, 0
for place = 0, count - 1 do
    local file = io.open(work .. "/" .. place .. ending, "rb")
    bodies[place] = file:read("*a")
    file:close()
end
function request()
    number = (number + 1) % count
    return wrk.format("POST", "/v1/recognize", { ["Content-Type"] = kind }, bodies[number])
end
LUA
memory() { awk '/VmRSS/ { print $2 }' /proc/$service/status; }
load() { # name, pictures a request
    wrk -t 1 -c 64 -d "${seconds}s" --latency -s "$work/load.lua" "$address" >"$work/wrk" &
    local client=$! first="" least="" most=""
    sleep $((seconds / 6))
    first=$(memory) least=$first most=$first
    while kill -0 $client 2>/dev/null; do
        now=$(memory)
        [ "$now" -lt "$least" ] && least=$now
        [ "$now" -gt "$most" ] && most=$now
        sleep 1
    done
    wait $client
    awk -v name="$1" -v pictures="$2" -v first="$first" -v least="$least" -v most="$most" '
        /50%/ { p50 = $2 } /99%/ { p99 = $2 } /Requests\/sec/ { rate = $2 } /Non-2xx|Socket errors/ { errors = $0 }
        END {
            printf "%s: %.0f requests/s, %.0f images/s, p50 %s, p99 %s, ", name, rate, rate * pictures, p50, p99
            printf "memory %.1f MB, %+.1f to %+.1f %%, ", first / 1e3, 100 * (least / first - 1), 100 * (most / first - 1)
            print errors == "" ? "no error" : errors
        }' "$work/wrk"
}
forward() { "$program" bench --workload w1-infer --adapter cpu 2>/dev/null; }
forward
WORK=$work ENDING=.png KIND=image/png COUNT=256 load "one picture" 1
WORK=$work ENDING=.form KIND='multipart/form-data; boundary=line' COUNT=16 load "16 pictures" 16
forward
kill -TERM $service && wait $service
! grep panicked "$work/words"
export SIAMESE=$program SERVE_BODIES=${SERVE_BODIES:-100000} SERVE_KILLS=${SERVE_KILLS:-20}
cargo test --quiet --test serve storm -- --nocapture --test-threads 1
