"""What `scale` is in PyTorch: written by tests/layers/twins.rs, see there."""

import torch
from torch import nn
from torch.nn import functional as F


class Network0(nn.Module):
    spec = "conv4 add( conv4 scale0.17 | ) relu dense5 scale3 l2"
    input = [5, 4, 2]

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(2, 4, 3, 1, 1)
        self.conv2 = nn.Conv2d(4, 4, 3, 1, 1)
        self.dense1 = nn.Linear(80, 5)

    def forward(self, images):
        x = images
        conv1 = self.conv1(x)
        conv2 = self.conv2(conv1)
        scale1 = 0.17 * conv2
        add1 = F.relu(scale1 + conv1)
        dense1 = self.dense1(add1.flatten(1))
        scale2 = 3 * dense1
        l2 = F.normalize(scale2)
        return l2


class Network1(nn.Module):
    spec = "scale0.5 conv3 scale2 dense5"
    input = [3, 5, 1]

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 3, 3, 1, 1)
        self.dense1 = nn.Linear(45, 5)

    def forward(self, images):
        x = images
        scale1 = 0.5 * x
        conv1 = self.conv1(scale1)
        scale2 = 2 * conv1
        dense1 = self.dense1(scale2.flatten(1))
        return dense1


NETWORKS = [Network0, Network1]
