"""Runs exported ONNX models in onnxruntime and compares their embeddings with ours.

    siamese export MODEL --out model.onnx
    siamese embed MODEL --set test --out embeddings.npy
    python scripts/check_onnx.py model.onnx data/mnist/t10k-images-idx3-ubyte.xz embeddings.npy
    python scripts/check_onnx.py --presets target/debug/siamese [NAME …]

The images are an IDX file, plain or packed with xz; row i of the embeddings, float32 [rows, dims], is image i. The
model is first checked by ONNX's own checker. The first 1,000 images are run one at a time, then 64 at a time. With
`--presets` the program makes the models itself: of every preset, or of those named, two steps on images of noise in
small batches. Ends with 1 where a value differs by more than 1e-5. Needs numpy, onnx and onnxruntime (written with 2.4,
1.23 and 1.32).
"""

import argparse
import lzma
import pathlib
import subprocess
import sys
import tempfile

import numpy as np
import onnx
import onnxruntime

IMAGES = 1000
TOLERANCE = 1e-5
# Presets, shape of an image, size of a batch.
PRESETS = {
    "cnn": ((28, 28, 1), "2x3"),
    "notebook": ((28, 28, 1), "3"),
    "best": ((28, 28, 1), "2x3"),
    "pictures": ((64, 64, 3), "2x3"),
    "resnet18": ((64, 64, 3), "2x3"),
    "mobile": ((112, 112, 3), "2x3"),
    "facenet": ((160, 160, 3), "2x3"),
}


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


def write_idx(path, values):
    head = bytes([0, 0, 8, values.ndim]) + np.array(values.shape, ">u4").tobytes()
    path.write_bytes(head + values.astype(np.uint8).tobytes())


def apart(model, images, embeddings):
    """The largest difference between what onnxruntime makes of an IDX file and an array of ours."""
    onnx.checker.check_model(str(model), full_check=True)
    session = onnxruntime.InferenceSession(str(model), providers=["CPUExecutionProvider"])
    pixels = read_idx(images)[:IMAGES].astype(np.float32)
    wanted = np.load(embeddings)[:IMAGES]
    worst = 0.0
    for batch in (1, 64):
        parts = [pixels[start : start + batch] for start in range(0, len(pixels), batch)]
        found = np.concatenate([session.run(["embedding"], {"images": part})[0] for part in parts])
        if found.shape != wanted.shape:
            sys.exit(f"{embeddings}: {wanted.shape}, the model makes {found.shape}")
        difference = float(np.abs(found - wanted).max())
        size = float(np.sqrt((wanted**2).mean()))
        print(f"{len(found)} images, {batch} at a time: largest difference {difference:.2e}, of values of {size:.2e}")
        # A difference that is no number is more than any.
        worst = max(worst, difference if difference == difference else float("inf"))
    return worst


def preset(program, name, folder):
    """The same of a preset after two steps on noise."""
    sides, batch = PRESETS[name]
    random = np.random.default_rng(1)
    data, run = folder / "data", folder / "run"
    data.mkdir()
    shape = sides[:2] if sides[2] == 1 else sides
    for part, count in (("train", 12), ("t10k", 8)):
        write_idx(data / f"{part}-images-idx3-ubyte", random.integers(0, 256, (count, *shape)))
        write_idx(data / f"{part}-labels-idx1-ubyte", np.arange(count) % 2)

    def siamese(*arguments):
        done = subprocess.run([program, *map(str, arguments)], capture_output=True, text=True, check=False)
        if done.returncode != 0:
            sys.exit(f"{name}: siamese {arguments[0]}: {done.stderr}")

    steps = ["--preset", name, "--batch", batch, "--steps", 2]
    siamese("train", "--adapter", "cpu", *steps, "--data", data, "--out", run)
    siamese("export", run, "--out", folder / "model.onnx")
    siamese("embed", run, "--adapter", "cpu", "--data", data, "--set", "test", "--out", folder / "embeddings.npy")
    return apart(folder / "model.onnx", data / "t10k-images-idx3-ubyte", folder / "embeddings.npy")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--presets", metavar="SIAMESE", help="compare presets, made by this program")
    parser.add_argument("files", nargs="*", metavar="MODEL.onnx IMAGES.idx EMBEDDINGS.npy, or presets")
    arguments = parser.parse_args()
    if arguments.presets is None:
        if len(arguments.files) != 3:
            parser.error("three files are needed: MODEL.onnx IMAGES.idx EMBEDDINGS.npy")
        worst = apart(*map(pathlib.Path, arguments.files))
    else:
        names = arguments.files or list(PRESETS)
        if unknown := [name for name in names if name not in PRESETS]:
            parser.error(f"no presets: {' '.join(unknown)}")
        worst = 0.0
        for name in names:
            print(name)
            with tempfile.TemporaryDirectory() as folder:
                worst = max(worst, preset(arguments.presets, name, pathlib.Path(folder)))
    if worst > TOLERANCE:
        sys.exit(f"{worst:.2e} is more than {TOLERANCE:.0e}")


if __name__ == "__main__":
    main()
