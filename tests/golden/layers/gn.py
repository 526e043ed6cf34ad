"""What `gn` is in PyTorch: written by tests/layers/twins.rs, see there."""

import torch
from torch import nn
from torch.nn import functional as F


class Network0(nn.Module):
    spec = "conv6 gn2 relu pool conv4s2 gn4e0.01 sigmoid dense6 gn2 relu dense4 l2"
    input = [8, 7, 2]

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(2, 6, 3, 1, 1, bias=False)
        self.gn1 = nn.GroupNorm(2, 6, 0.00001)
        self.conv2 = nn.Conv2d(6, 4, 3, 2, 1, bias=False)
        self.gn2 = nn.GroupNorm(4, 4, 0.01)
        self.dense1 = nn.Linear(16, 6, bias=False)
        self.gn3 = nn.GroupNorm(2, 6, 0.00001)
        self.dense2 = nn.Linear(6, 4)

    def forward(self, images):
        x = images
        conv1 = self.conv1(x)
        gn1 = F.relu(self.gn1(conv1))
        pool1 = F.max_pool2d(gn1, 2)
        conv2 = self.conv2(pool1)
        gn2 = torch.sigmoid(self.gn2(conv2))
        dense1 = self.dense1(gn2.flatten(1))
        gn3 = F.relu(self.gn3(dense1))
        dense2 = self.dense2(gn3)
        l2 = F.normalize(dense2)
        return l2


class Network1(nn.Module):
    spec = "conv8 relu gn1 pool relu dense4"
    input = [5, 6, 1]

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 8, 3, 1, 1)
        self.gn1 = nn.GroupNorm(1, 8, 0.00001)
        self.dense1 = nn.Linear(48, 4)

    def forward(self, images):
        x = images
        conv1 = F.relu(self.conv1(x))
        gn1 = F.relu(self.gn1(conv1))
        pool1 = F.max_pool2d(gn1, 2)
        dense1 = self.dense1(pool1.flatten(1))
        return dense1


NETWORKS = [Network0, Network1]
