"""What `l2` is in PyTorch: written by tests/layers/twins.rs, see there."""

import torch
from torch import nn
from torch.nn import functional as F


class Network0(nn.Module):
    spec = "dense6 l2"
    input = [6, 7, 2]

    def __init__(self):
        super().__init__()
        self.dense1 = nn.Linear(84, 6)

    def forward(self, images):
        x = images
        dense1 = self.dense1(x.flatten(1))
        l2 = F.normalize(dense1)
        return l2


class Network1(nn.Module):
    spec = "conv4s2 relu dense5 l2"
    input = [9, 12, 1]

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 4, 3, 2, 1)
        self.dense1 = nn.Linear(120, 5)

    def forward(self, images):
        x = images
        conv1 = F.relu(self.conv1(x))
        dense1 = self.dense1(conv1.flatten(1))
        l2 = F.normalize(dense1)
        return l2


NETWORKS = [Network0, Network1]
