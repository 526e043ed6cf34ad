#!/usr/bin/env bash
# Trains one recipe with several seeds and prints a table of the evaluations and their mean, the rows of
# docs/quality.md:
#
#   scripts/quality.sh "0 1 2" --mining random --batch 128
#
# Runs are kept in runs/quality/, and one that is there already is not trained again.
set -euo pipefail
cd "$(dirname "$0")/.."
[ $# -ge 1 ] || { sed -n '2,7s/^# \{0,1\}//p' "$0" >&2; exit 2; }
seeds=$1
shift
cargo build --release --quiet
name=$(printf '%s-' default "$@" | tr -c 'a-z0-9.\n-' '_')

figures=(knn5 centroid one_shot map_at_r auc eer tar_far_1e3)
row() { # the figures of a line of JSON, in the order of the table
    for figure in "${figures[@]}"; do
        grep -o "\"$figure\":[0-9.e-]*" <<<"$1" | cut -d: -f2
    done | paste -sd' '
}
for seed in $seeds; do
    folder="runs/quality/$name$seed"
    if [ ! -e "$folder/evaluation.json" ]; then
        rm -rf "$folder"
        mkdir -p "$folder"
        target/release/siamese train "$@" --seed "$seed" --out "$folder" --json | tail -n 1 >"$folder/new.json"
        mv "$folder/new.json" "$folder/evaluation.json"
    fi
    echo "$seed $(row "$(cat "$folder/evaluation.json")")"
done | awk '
    BEGIN { print "| seed | 5-NN | centroid | one-shot | MAP@R | AUC | EER | TAR at FAR 1e-3 |"
            print "| --- | --- | --- | --- | --- | --- | --- | --- |" }
    function show(label, a) {
        printf "| %s | %.2f | %.2f | %.2f | %.2f | %.5f | %.2f | %.2f |\n", label,
            100 * a[2], 100 * a[3], 100 * a[4], 100 * a[5], a[6], 100 * a[7], 100 * a[8]
        fflush()
    }
    { for (i = 2; i <= NF; i++) { a[i] = $i; sum[i] += $i } show($1, a) }
    END { for (i = 2; i <= NF; i++) a[i] = sum[i] / NR; show("mean", a) }'
