"""Writes dlib.safetensors and dlib.json: a small network with the layers of dlib's face network, its weights converted by
scripts/dlib.py, and what PyTorch makes of a picture with the weights as the package has them, affine layers apart."""

import json
import pathlib
import sys

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.numpy import save_file

HERE = pathlib.Path(__file__).parent
sys.path.insert(0, str(HERE.parent.parent / "scripts"))
from dlib import convert  # noqa: E402

MEAN = [122.782, 117.001, 104.298]
# 45 → 20 → 9 → 4 pixels a side; then 1 by the convolutions and 2 by the means: as in the network itself, a row and a
# column are missing behind a convolution.
SIDE, BLOCKS = 45, [("conv4_1", 4, 4), ("conv8_down", 4, 8), ("conv8_1", 8, 8), ("conv8_down_out", 8, 8)]
SPEC = (
    "conv4k7s2v relu pool3s2 add( conv4 relu conv4 | ) relu add0( conv8s2v relu conv8 | avg ) relu "
    "add( conv8 relu conv8 | ) relu add0( conv8s2v relu conv8 | avg ) relu mean dense6"
)


def weights(random):
    """Random arrays under the package's names, kernels as [height, width, in, out]."""
    found = {}

    def layer(name, size, inputs, outputs):
        normal = lambda *shape: random.standard_normal(shape).astype(np.float32)
        found[f"{name}/conv/filters"] = normal(size, size, inputs, outputs) * np.sqrt(2 / (size * size * inputs))
        found[f"{name}/conv/bias"] = 0.1 * normal(outputs)
        found[f"{name}/scale/weights"] = 1 + 0.3 * normal(outputs)
        found[f"{name}/scale/biases"] = 0.1 * normal(outputs)

    layer("conv32_down", 7, 3, 4)
    for name, inputs, outputs in BLOCKS:
        layer(f"{name}/conv1", 3, inputs, outputs)
        layer(f"{name}/conv2", 3, outputs, outputs)
    found["fc"] = random.standard_normal((8, 6)).astype(np.float32)
    return {name: values.astype(np.float32) for name, values in found.items()}


def descriptor(found, picture):
    """What face-api.js computes."""
    array = lambda name: torch.from_numpy(found[name])

    def conv(x, name, stride, pad, relu):
        x = F.conv2d(x, array(f"{name}/conv/filters").permute(3, 2, 0, 1), array(f"{name}/conv/bias"), stride, pad)
        x = x * array(f"{name}/scale/weights").view(1, -1, 1, 1) + array(f"{name}/scale/biases").view(1, -1, 1, 1)
        return F.relu(x) if relu else x

    def block(x, name):
        down = "down" in name
        y = conv(conv(x, f"{name}/conv1", 2 if down else 1, 0 if down else 1, True), f"{name}/conv2", 1, 1, False)
        if down:
            x = F.avg_pool2d(x, 2, 2)
            if x.shape[2] != y.shape[2]:
                y = F.pad(y, (0, 1, 0, 1))
            if x.shape[1] != y.shape[1]:
                x = torch.cat([x, torch.zeros_like(x)], 1)
        return F.relu(x + y)

    x = (torch.from_numpy(picture).permute(2, 0, 1)[None].float() - torch.tensor(MEAN).view(1, 3, 1, 1)) / 255
    x = F.max_pool2d(conv(x, "conv32_down", 2, 0, True), 3, 2)
    for name, _, _ in BLOCKS:
        x = block(x, name)
        print(name, tuple(x.shape[1:]))
    return (x.mean((2, 3)) @ array("fc"))[0]


random = np.random.default_rng(8)
found = weights(random)
picture = random.integers(0, 256, (SIDE, SIDE, 3), np.uint8)
save_file(convert(found, [name for name, _, _ in BLOCKS]), HERE / "dlib.safetensors")
made = [float(value) for value in descriptor(found, picture)]
with open(HERE / "dlib.json", "w", encoding="utf-8") as file:
    json.dump({"spec": SPEC, "mean": MEAN, "picture": picture.ravel().tolist(), "descriptor": made}, file)
