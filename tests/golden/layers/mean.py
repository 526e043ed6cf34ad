"""What `mean` is in PyTorch: written by tests/layers/twins.rs, see there."""

import torch
from torch import nn
from torch.nn import functional as F


class Network0(nn.Module):
    spec = "conv5 relu mean dense4 l2"
    input = [6, 5, 2]

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(2, 5, 3, 1, 1)
        self.dense1 = nn.Linear(5, 4)

    def forward(self, images):
        x = images
        conv1 = F.relu(self.conv1(x))
        mean1 = conv1.mean((2, 3))
        dense1 = self.dense1(mean1)
        l2 = F.normalize(dense1)
        return l2


class Network1(nn.Module):
    spec = "conv4s2 mean sigmoid dense5 l2"
    input = [7, 8, 1]

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 4, 3, 2, 1)
        self.dense1 = nn.Linear(4, 5)

    def forward(self, images):
        x = images
        conv1 = self.conv1(x)
        mean1 = conv1.mean((2, 3))
        sigmoid1 = torch.sigmoid(mean1)
        dense1 = self.dense1(sigmoid1)
        l2 = F.normalize(dense1)
        return l2


NETWORKS = [Network0, Network1]
