"""What `depth` is in PyTorch: written by tests/layers/twins.rs, see there."""

import torch
from torch import nn
from torch.nn import functional as F


class Network0(nn.Module):
    spec = "conv5 depth relu dense4 l2"
    input = [6, 5, 2]

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(2, 5, 3, 1, 1)
        self.depth1 = nn.Conv2d(5, 5, 3, 1, 1, groups=5)
        self.dense1 = nn.Linear(150, 4)

    def forward(self, images):
        x = images
        conv1 = self.conv1(x)
        depth1 = F.relu(self.depth1(conv1))
        dense1 = self.dense1(depth1.flatten(1))
        l2 = F.normalize(dense1)
        return l2


class Network1(nn.Module):
    spec = "depth5s2 sigmoid conv8k1 relu depth3s2v dense5"
    input = [13, 11, 3]

    def __init__(self):
        super().__init__()
        self.depth1 = nn.Conv2d(3, 3, 5, 2, 2, groups=3)
        self.conv1 = nn.Conv2d(3, 8, 1, 1, 0)
        self.depth2 = nn.Conv2d(8, 8, 3, 2, 0, groups=8)
        self.dense1 = nn.Linear(48, 5)

    def forward(self, images):
        x = images
        depth1 = torch.sigmoid(self.depth1(x))
        conv1 = F.relu(self.conv1(depth1))
        depth2 = self.depth2(conv1)
        dense1 = self.dense1(depth2.flatten(1))
        return dense1


class Network2(nn.Module):
    spec = "conv4k1 depth2s2p1 relu depth4v dense5"
    input = [7, 6, 1]

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 4, 1, 1, 0)
        self.depth1 = nn.Conv2d(4, 4, 2, 2, 1, groups=4)
        self.depth2 = nn.Conv2d(4, 4, 4, 1, 0, groups=4)
        self.dense1 = nn.Linear(4, 5)

    def forward(self, images):
        x = images
        conv1 = self.conv1(x)
        depth1 = F.relu(self.depth1(conv1))
        depth2 = self.depth2(depth1)
        dense1 = self.dense1(depth2.flatten(1))
        return dense1


NETWORKS = [Network0, Network1, Network2]
