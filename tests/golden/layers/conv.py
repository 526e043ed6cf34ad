"""What `conv` is in PyTorch: written by tests/layers/twins.rs, see there."""

import torch
from torch import nn
from torch.nn import functional as F


class Network0(nn.Module):
    spec = "conv4k5s2 relu conv6v sigmoid dense5"
    input = [9, 10, 2]

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(2, 4, 5, 2, 2)
        self.conv2 = nn.Conv2d(4, 6, 3, 1, 0)
        self.dense1 = nn.Linear(54, 5)

    def forward(self, images):
        x = images
        conv1 = F.relu(self.conv1(x))
        conv2 = torch.sigmoid(self.conv2(conv1))
        dense1 = self.dense1(conv2.flatten(1))
        return dense1


class Network1(nn.Module):
    spec = "conv5s2v relu conv4s3 dense6 l2"
    input = [8, 11, 3]

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 5, 3, 2, 0)
        self.conv2 = nn.Conv2d(5, 4, 3, 3, 1)
        self.dense1 = nn.Linear(8, 6)

    def forward(self, images):
        x = images
        conv1 = F.relu(self.conv1(x))
        conv2 = self.conv2(conv1)
        dense1 = self.dense1(conv2.flatten(1))
        l2 = F.normalize(dense1)
        return l2


class Network2(nn.Module):
    spec = "conv2k3s3v sigmoid dense9 l2"
    input = [11, 8, 3]

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 2, 3, 3, 0)
        self.dense1 = nn.Linear(12, 9)

    def forward(self, images):
        x = images
        conv1 = torch.sigmoid(self.conv1(x))
        dense1 = self.dense1(conv1.flatten(1))
        l2 = F.normalize(dense1)
        return l2


class Network3(nn.Module):
    spec = "conv3 conv4k5 dense5 dense4 l2"
    input = [3, 4, 2]

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(2, 3, 3, 1, 1)
        self.conv2 = nn.Conv2d(3, 4, 5, 1, 2)
        self.dense1 = nn.Linear(48, 5)
        self.dense2 = nn.Linear(5, 4)

    def forward(self, images):
        x = images
        conv1 = self.conv1(x)
        conv2 = self.conv2(conv1)
        dense1 = self.dense1(conv2.flatten(1))
        dense2 = self.dense2(dense1)
        l2 = F.normalize(dense2)
        return l2


class Network4(nn.Module):
    spec = "conv5k5v relu dense4 sigmoid dense2 l2"
    input = [5, 5, 1]

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 5, 5, 1, 0)
        self.dense1 = nn.Linear(5, 4)
        self.dense2 = nn.Linear(4, 2)

    def forward(self, images):
        x = images
        conv1 = F.relu(self.conv1(x))
        dense1 = torch.sigmoid(self.dense1(conv1.flatten(1)))
        dense2 = self.dense2(dense1)
        l2 = F.normalize(dense2)
        return l2


class Network5(nn.Module):
    spec = "conv6k1 relu pool conv2k7 relu dense4 l2"
    input = [7, 5, 1]

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 6, 1, 1, 0)
        self.conv2 = nn.Conv2d(6, 2, 7, 1, 3)
        self.dense1 = nn.Linear(12, 4)

    def forward(self, images):
        x = images
        conv1 = F.relu(self.conv1(x))
        pool1 = F.max_pool2d(conv1, 2)
        conv2 = F.relu(self.conv2(pool1))
        dense1 = self.dense1(conv2.flatten(1))
        l2 = F.normalize(dense1)
        return l2


class Network6(nn.Module):
    spec = "conv4k1x5 relu conv6k3x1s2 dense5"
    input = [7, 9, 3]

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 4, (1, 5), 1, (0, 2))
        self.conv2 = nn.Conv2d(4, 6, (3, 1), 2, (1, 0))
        self.dense1 = nn.Linear(120, 5)

    def forward(self, images):
        x = images
        conv1 = F.relu(self.conv1(x))
        conv2 = self.conv2(conv1)
        dense1 = self.dense1(conv2.flatten(1))
        return dense1


class Network7(nn.Module):
    spec = "conv4k2s2p0 relu conv3k4x3p2 dense5 l2"
    input = [8, 6, 2]

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(2, 4, 2, 2, 0)
        self.conv2 = nn.Conv2d(4, 3, (4, 3), 1, 2)
        self.dense1 = nn.Linear(75, 5)

    def forward(self, images):
        x = images
        conv1 = F.relu(self.conv1(x))
        conv2 = self.conv2(conv1)
        dense1 = self.dense1(conv2.flatten(1))
        l2 = F.normalize(dense1)
        return l2


class Network8(nn.Module):
    spec = "conv4g2 relu conv6k3x2s2p1g2 sigmoid dense5"
    input = [6, 7, 4]

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(4, 4, 3, 1, 1, groups=2)
        self.conv2 = nn.Conv2d(4, 6, (3, 2), 2, 1, groups=2)
        self.dense1 = nn.Linear(72, 5)

    def forward(self, images):
        x = images
        conv1 = F.relu(self.conv1(x))
        conv2 = torch.sigmoid(self.conv2(conv1))
        dense1 = self.dense1(conv2.flatten(1))
        return dense1


NETWORKS = [Network0, Network1, Network2, Network3, Network4, Network5, Network6, Network7, Network8]
