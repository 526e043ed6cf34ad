"""What `add0` is in PyTorch: written by tests/layers/twins.rs, see there."""

import torch
from torch import nn
from torch.nn import functional as F


class Network0(nn.Module):
    spec = "conv4 add0( conv8s2 relu conv8 | pool ) relu dense5 l2"
    input = [7, 6, 2]

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(2, 4, 3, 1, 1)
        self.conv2 = nn.Conv2d(4, 8, 3, 2, 1)
        self.conv3 = nn.Conv2d(8, 8, 3, 1, 1)
        self.dense1 = nn.Linear(96, 5)

    def forward(self, images):
        x = images
        conv1 = self.conv1(x)
        conv2 = F.relu(self.conv2(conv1))
        conv3 = self.conv3(conv2)
        pool1 = F.max_pool2d(conv1, 2)
        add0 = F.relu(F.pad(conv3, (0, 0, 0, 0, 0, 0)) + F.pad(pool1, (0, 0, 0, 1, 0, 4)))
        dense1 = self.dense1(add0.flatten(1))
        l2 = F.normalize(dense1)
        return l2


class Network1(nn.Module):
    spec = "conv3 add0( conv2s2 | conv6v | pool conv4k1 ) relu dense6 add0( dense4 | ) sigmoid dense3"
    input = [9, 5, 1]

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 3, 3, 1, 1)
        self.conv2 = nn.Conv2d(3, 2, 3, 2, 1)
        self.conv3 = nn.Conv2d(3, 6, 3, 1, 0)
        self.conv4 = nn.Conv2d(3, 4, 1, 1, 0)
        self.dense1 = nn.Linear(126, 6)
        self.dense2 = nn.Linear(6, 4)
        self.dense3 = nn.Linear(6, 3)

    def forward(self, images):
        x = images
        conv1 = self.conv1(x)
        conv2 = self.conv2(conv1)
        conv3 = self.conv3(conv1)
        pool1 = F.max_pool2d(conv1, 2)
        conv4 = self.conv4(pool1)
        add0 = F.relu(F.pad(conv2, (0, 0, 0, 2, 0, 4)) + F.pad(conv3, (0, 0, 0, 0, 0, 0)) + F.pad(conv4, (0, 1, 0, 3, 0, 2)))
        dense1 = self.dense1(add0.flatten(1))
        dense2 = self.dense2(dense1)
        add0_2 = torch.sigmoid(F.pad(dense2, (0, 2)) + F.pad(dense1, (0, 0)))
        dense3 = self.dense3(add0_2)
        return dense3


class Network2(nn.Module):
    spec = "add0( conv2s2 | | pool3 ) conv4 dense5"
    input = [6, 5, 3]

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 2, 3, 2, 1)
        self.conv2 = nn.Conv2d(3, 4, 3, 1, 1)
        self.dense1 = nn.Linear(120, 5)

    def forward(self, images):
        x = images
        conv1 = self.conv1(x)
        pool1 = F.max_pool2d(x, 3)
        add0 = F.pad(conv1, (0, 2, 0, 3, 0, 1)) + F.pad(x, (0, 0, 0, 0, 0, 0)) + F.pad(pool1, (0, 4, 0, 4, 0, 0))
        conv2 = self.conv2(add0)
        dense1 = self.dense1(conv2.flatten(1))
        return dense1


NETWORKS = [Network0, Network1, Network2]
