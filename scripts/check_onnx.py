"""Runs an exported ONNX model in onnxruntime and compares its embeddings with ours.

    siamese export MODEL --out model.onnx
    siamese embed MODEL --set test --out embeddings.npy
    python scripts/check_onnx.py model.onnx data/mnist/t10k-images-idx3-ubyte.xz embeddings.npy

The images are an IDX file, plain or packed with xz; row i of the embeddings, float32 [rows, dims], is image i. The
model is first checked by ONNX's own checker. The first 1,000 images are run one at a time, then 64 at a time. Ends with
1 where a value differs by more than 1e-5. Needs numpy, onnx and onnxruntime (written with 2.4, 1.23 and 1.32).
"""

import argparse
import lzma
import pathlib
import sys

import numpy as np
import onnx
import onnxruntime

IMAGES = 1000
TOLERANCE = 1e-5


def read_idx(path):
    """The images of an IDX file of bytes, as [rows, channels, height, width]."""
    content = path.read_bytes()
    if path.suffix == ".xz":
        content = lzma.decompress(content)
    if content[:3] != b"\0\0\x08" or content[3] not in (3, 4):
        sys.exit(f"{path}: not an IDX file of images")
    shape = np.frombuffer(content, ">u4", content[3], 4)
    images = np.frombuffer(content, np.uint8, offset=4 + 4 * len(shape)).reshape(shape)
    return images[:, None] if images.ndim == 3 else images.transpose(0, 3, 1, 2)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", type=pathlib.Path, metavar="MODEL.onnx")
    parser.add_argument("images", type=pathlib.Path, metavar="IMAGES.idx")
    parser.add_argument("embeddings", type=pathlib.Path, metavar="EMBEDDINGS.npy")
    arguments = parser.parse_args()

    onnx.checker.check_model(str(arguments.model), full_check=True)
    session = onnxruntime.InferenceSession(str(arguments.model), providers=["CPUExecutionProvider"])
    images = read_idx(arguments.images)[:IMAGES].astype(np.float32)
    wanted = np.load(arguments.embeddings)[:IMAGES]
    worst = 0.0
    for batch in (1, 64):
        parts = [images[start : start + batch] for start in range(0, len(images), batch)]
        found = np.concatenate([session.run(["embedding"], {"images": part})[0] for part in parts])
        if found.shape != wanted.shape:
            sys.exit(f"{arguments.embeddings}: {wanted.shape}, the model makes {found.shape}")
        difference = float(np.abs(found - wanted).max())
        print(f"{len(found)} images, {batch} at a time: largest difference {difference:.2e}")
        worst = max(worst, difference)
    # Written so that a difference that is no number fails too.
    if not worst <= TOLERANCE:
        sys.exit(f"{worst:.2e} is more than {TOLERANCE:.0e}")


if __name__ == "__main__":
    main()
