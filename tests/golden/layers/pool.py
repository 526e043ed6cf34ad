"""What `pool` is in PyTorch: written by tests/layers/twins.rs, see there."""

import torch
from torch import nn
from torch.nn import functional as F


class Network0(nn.Module):
    spec = "conv4 relu pool conv6k5 relu dense8 relu dense5 l2"
    input = [6, 7, 2]

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(2, 4, 3, 1, 1)
        self.conv2 = nn.Conv2d(4, 6, 5, 1, 2)
        self.dense1 = nn.Linear(54, 8)
        self.dense2 = nn.Linear(8, 5)

    def forward(self, images):
        x = images
        conv1 = F.relu(self.conv1(x))
        pool1 = F.max_pool2d(conv1, 2)
        conv2 = F.relu(self.conv2(pool1))
        dense1 = F.relu(self.dense1(conv2.flatten(1)))
        dense2 = self.dense2(dense1)
        l2 = F.normalize(dense2)
        return l2


class Network1(nn.Module):
    spec = "conv5 pool relu conv6 relu pool3 dense5 l2"
    input = [8, 11, 1]

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 5, 3, 1, 1)
        self.conv2 = nn.Conv2d(5, 6, 3, 1, 1)
        self.dense1 = nn.Linear(6, 5)

    def forward(self, images):
        x = images
        conv1 = F.relu(self.conv1(x))
        pool1 = F.max_pool2d(conv1, 2)
        conv2 = F.relu(self.conv2(pool1))
        pool2 = F.max_pool2d(conv2, 3)
        dense1 = self.dense1(pool2.flatten(1))
        l2 = F.normalize(dense1)
        return l2


class Network2(nn.Module):
    spec = "conv6k1 sigmoid pool3 conv4 relu dense5 l2"
    input = [7, 8, 2]

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(2, 6, 1, 1, 0)
        self.conv2 = nn.Conv2d(6, 4, 3, 1, 1)
        self.dense1 = nn.Linear(16, 5)

    def forward(self, images):
        x = images
        conv1 = torch.sigmoid(self.conv1(x))
        pool1 = F.max_pool2d(conv1, 3)
        conv2 = F.relu(self.conv2(pool1))
        dense1 = self.dense1(conv2.flatten(1))
        l2 = F.normalize(dense1)
        return l2


class Network3(nn.Module):
    spec = "conv4 relu pool pool dense6 sigmoid dense4"
    input = [6, 7, 2]

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(2, 4, 3, 1, 1)
        self.dense1 = nn.Linear(4, 6)
        self.dense2 = nn.Linear(6, 4)

    def forward(self, images):
        x = images
        conv1 = F.relu(self.conv1(x))
        pool1 = F.max_pool2d(conv1, 2)
        pool2 = F.max_pool2d(pool1, 2)
        dense1 = torch.sigmoid(self.dense1(pool2.flatten(1)))
        dense2 = self.dense2(dense1)
        return dense2


class Network4(nn.Module):
    spec = "conv4 pool pool sigmoid dense6 relu dense4 l2"
    input = [7, 9, 2]

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(2, 4, 3, 1, 1)
        self.dense1 = nn.Linear(8, 6)
        self.dense2 = nn.Linear(6, 4)

    def forward(self, images):
        x = images
        conv1 = torch.sigmoid(self.conv1(x))
        pool1 = F.max_pool2d(conv1, 2)
        pool2 = F.max_pool2d(pool1, 2)
        dense1 = F.relu(self.dense1(pool2.flatten(1)))
        dense2 = self.dense2(dense1)
        l2 = F.normalize(dense2)
        return l2


class Network5(nn.Module):
    spec = "pool conv4v relu dense6 relu dense4 l2"
    input = [7, 8, 2]

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(2, 4, 3, 1, 0)
        self.dense1 = nn.Linear(8, 6)
        self.dense2 = nn.Linear(6, 4)

    def forward(self, images):
        x = images
        pool1 = F.max_pool2d(x, 2)
        conv1 = F.relu(self.conv1(pool1))
        dense1 = F.relu(self.dense1(conv1.flatten(1)))
        dense2 = self.dense2(dense1)
        l2 = F.normalize(dense2)
        return l2


class Network6(nn.Module):
    spec = "pool dense7"
    input = [7, 5, 3]

    def __init__(self):
        super().__init__()
        self.dense1 = nn.Linear(18, 7)

    def forward(self, images):
        x = images
        pool1 = F.max_pool2d(x, 2)
        dense1 = self.dense1(pool1.flatten(1))
        return dense1


class Network7(nn.Module):
    spec = "conv4s2 relu pool3s2p1 conv5 relu pool3s1 dense5 l2"
    input = [13, 12, 2]

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(2, 4, 3, 2, 1)
        self.conv2 = nn.Conv2d(4, 5, 3, 1, 1)
        self.dense1 = nn.Linear(10, 5)

    def forward(self, images):
        x = images
        conv1 = F.relu(self.conv1(x))
        pool1 = F.max_pool2d(conv1, 3, 2, 1)
        conv2 = F.relu(self.conv2(pool1))
        pool2 = F.max_pool2d(conv2, 3, 1, 0)
        dense1 = self.dense1(pool2.flatten(1))
        l2 = F.normalize(dense1)
        return l2


class Network8(nn.Module):
    spec = "conv3 pool3s2p1 sigmoid pool2s3p1 dense5 l2"
    input = [9, 12, 2]

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(2, 3, 3, 1, 1)
        self.dense1 = nn.Linear(18, 5)

    def forward(self, images):
        x = images
        conv1 = torch.sigmoid(self.conv1(x))
        pool1 = F.max_pool2d(conv1, 3, 2, 1)
        pool2 = F.max_pool2d(pool1, 2, 3, 1)
        dense1 = self.dense1(pool2.flatten(1))
        l2 = F.normalize(dense1)
        return l2


NETWORKS = [Network0, Network1, Network2, Network3, Network4, Network5, Network6, Network7, Network8]
