"""What `prelu` is in PyTorch: written by tests/layers/twins.rs, see there."""

import torch
from torch import nn
from torch.nn import functional as F


class Network0(nn.Module):
    spec = "conv3 prelu dense5 prelu dense4 l2"
    input = [5, 4, 2]

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(2, 3, 3, 1, 1)
        self.prelu1 = nn.PReLU(3)
        self.dense1 = nn.Linear(60, 5)
        self.prelu2 = nn.PReLU(5)
        self.dense2 = nn.Linear(5, 4)

    def forward(self, images):
        x = images
        conv1 = self.conv1(x)
        prelu1 = self.prelu1(conv1)
        dense1 = self.dense1(prelu1.flatten(1))
        prelu2 = self.prelu2(dense1)
        dense2 = self.dense2(prelu2)
        l2 = F.normalize(dense2)
        return l2


class Network1(nn.Module):
    spec = "conv4 prelu conv8s2 prelu dense5"
    input = [5, 6, 1]

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 4, 3, 1, 1)
        self.prelu1 = nn.PReLU(4)
        self.conv2 = nn.Conv2d(4, 8, 3, 2, 1)
        self.prelu2 = nn.PReLU(8)
        self.dense1 = nn.Linear(72, 5)

    def forward(self, images):
        x = images
        conv1 = self.conv1(x)
        prelu1 = self.prelu1(conv1)
        conv2 = self.conv2(prelu1)
        prelu2 = self.prelu2(conv2)
        dense1 = self.dense1(prelu2.flatten(1))
        return dense1


NETWORKS = [Network0, Network1]
