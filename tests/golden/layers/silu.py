"""What `silu` is in PyTorch: written by tests/layers/twins.rs, see there."""

import torch
from torch import nn
from torch.nn import functional as F


class Network0(nn.Module):
    spec = "conv3 silu dense5 silu dense4 l2"
    input = [5, 4, 2]

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(2, 3, 3, 1, 1)
        self.dense1 = nn.Linear(60, 5)
        self.dense2 = nn.Linear(5, 4)

    def forward(self, images):
        x = images
        conv1 = self.conv1(x)
        silu1 = F.silu(conv1)
        dense1 = self.dense1(silu1.flatten(1))
        silu2 = F.silu(dense1)
        dense2 = self.dense2(silu2)
        l2 = F.normalize(dense2)
        return l2


class Network1(nn.Module):
    spec = "conv4 silu dense5"
    input = [3, 4, 1]

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 4, 3, 1, 1)
        self.dense1 = nn.Linear(48, 5)

    def forward(self, images):
        x = images
        conv1 = self.conv1(x)
        silu1 = F.silu(conv1)
        dense1 = self.dense1(silu1.flatten(1))
        return dense1


NETWORKS = [Network0, Network1]
