"""What `avg` is in PyTorch: written by tests/layers/twins.rs, see there."""

import torch
from torch import nn
from torch.nn import functional as F


class Network0(nn.Module):
    spec = "conv4 relu avg conv5 relu dense5 l2"
    input = [7, 8, 2]

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(2, 4, 3, 1, 1)
        self.conv2 = nn.Conv2d(4, 5, 3, 1, 1)
        self.dense1 = nn.Linear(60, 5)

    def forward(self, images):
        x = images
        conv1 = F.relu(self.conv1(x))
        avg1 = F.avg_pool2d(conv1, 2)
        conv2 = F.relu(self.conv2(avg1))
        dense1 = self.dense1(conv2.flatten(1))
        l2 = F.normalize(dense1)
        return l2


class Network1(nn.Module):
    spec = "conv3 avg3s2p1 relu avg3s1 dense5 l2"
    input = [9, 12, 2]

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(2, 3, 3, 1, 1)
        self.dense1 = nn.Linear(36, 5)

    def forward(self, images):
        x = images
        conv1 = self.conv1(x)
        avg1 = F.avg_pool2d(conv1, 3, 2, 1)
        relu1 = F.relu(avg1)
        avg2 = F.avg_pool2d(relu1, 3, 1, 0)
        dense1 = self.dense1(avg2.flatten(1))
        l2 = F.normalize(dense1)
        return l2


class Network2(nn.Module):
    spec = "avg3s2 conv4v sigmoid dense5 l2"
    input = [9, 10, 3]

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 4, 3, 1, 0)
        self.dense1 = nn.Linear(16, 5)

    def forward(self, images):
        x = images
        avg1 = F.avg_pool2d(x, 3, 2, 0)
        conv1 = torch.sigmoid(self.conv1(avg1))
        dense1 = self.dense1(conv1.flatten(1))
        l2 = F.normalize(dense1)
        return l2


NETWORKS = [Network0, Network1, Network2]
