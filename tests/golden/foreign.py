"""Writes {foreign,norms}.{onnx,json}: small networks as torch.onnx writes them, and what PyTorch makes of a picture."""

import json
import pathlib

import torch
import torch.nn.functional as F
from torch import nn

HERE = pathlib.Path(__file__).parent


class Block(nn.Module):
    """Two convolutions beside the shortcut, which has one where sizes change."""

    def __init__(self, inputs, outputs, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        changes = stride != 1 or inputs != outputs
        self.short = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs)) if changes else nn.Identity()

    def forward(self, x):
        y = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        return F.relu(y + self.short(x))


class Network(nn.Module):
    """A stem, two blocks, channels side by side, the mean of the image, a head of length 1."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 4, 7, 2, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(3, 2, 1))
        self.blocks = nn.Sequential(Block(4, 4, 1), Block(4, 8, 2))
        self.wide, self.high = nn.Conv2d(8, 3, (1, 7), padding=(0, 3)), nn.Conv2d(8, 2, (7, 1), padding=(3, 0))
        self.head = nn.Linear(5, 6)

    def forward(self, x):
        x = self.blocks(self.stem((x - 127.5) / 128))
        x = torch.cat([F.relu(self.wide(x)), self.high(x)], 1)
        return F.normalize(self.head(torch.flatten(x.mean((2, 3)), 1)))


class Norms(nn.Module):
    """Normalisations of groups and of channels, behind layers with and without a bias, and hard swish both ways."""

    def __init__(self):
        super().__init__()
        self.conv1, self.group1 = nn.Conv2d(3, 6, 3, 1, 1), nn.GroupNorm(2, 6, 1e-3)
        self.conv2, self.layer = nn.Conv2d(6, 4, 3, 2, 1, bias=False), nn.LayerNorm(4)
        self.dense1, self.group2 = nn.Linear(4, 8), nn.GroupNorm(4, 8, affine=False)
        self.dense2, self.row = nn.Linear(8, 5), nn.LayerNorm(5, 0.01)

    def forward(self, x):
        x = F.hardswish(self.group1(self.conv1(x / 255)))
        x = self.layer(self.conv2(x).permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
        x = self.group2(self.dense1((x * F.hardsigmoid(x)).mean((2, 3))))
        return self.row(self.dense2(F.dropout(x, 0.5, self.training)))


def write(name, network, shape):
    """The files of a network with random values, the image of shape [channels, height, width] too."""
    norms = (nn.BatchNorm2d, nn.GroupNorm, nn.LayerNorm)
    for module in network.modules():
        if isinstance(module, norms):
            tensors = dict(module.named_parameters()) | dict(module.named_buffers())
            for values in [tensors[key] for key in ("weight", "running_var") if key in tensors]:
                values.data.uniform_(0.5, 1.5)
            for values in [tensors[key] for key in ("bias", "running_mean") if key in tensors]:
                values.data.normal_(0, 0.3)
    network.eval()
    images = torch.randint(0, 256, (1, *shape)).float()
    with torch.no_grad():
        torch.onnx.export(
            network, images, HERE / f"{name}.onnx", input_names=["x"], dynamic_axes={"x": {0: "rows"}}, dynamo=False
        )
        made = network(images)[0].tolist()
    picture = images[0].permute(1, 2, 0).flatten().int().tolist()
    with open(HERE / f"{name}.json", "w", encoding="utf-8") as file:
        json.dump({"picture": picture, "embedding": made}, file)


torch.manual_seed(3)
write("foreign", Network(), (3, 40, 36))
write("norms", Norms(), (3, 9, 8))
