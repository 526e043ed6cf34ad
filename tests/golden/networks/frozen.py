"""Networks of which some tensors are frozen: written by tests/layers/twins.rs, see there."""

import torch
from torch import nn
from torch.nn import functional as F


class Network0(nn.Module):
    spec = "conv4 bn relu pool conv5s2 bn dense6 bn relu dense4 l2"
    input = [8, 7, 2]

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(2, 4, 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(4, 0.00001)
        self.conv2 = nn.Conv2d(4, 5, 3, 2, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(5, 0.00001)
        self.dense1 = nn.Linear(20, 6, bias=False)
        self.bn3 = nn.BatchNorm1d(6, 0.00001)
        self.dense2 = nn.Linear(6, 4)

    def forward(self, images):
        x = images
        conv1 = self.conv1(x)
        bn1 = F.relu(self.bn1(conv1))
        pool1 = F.max_pool2d(bn1, 2)
        conv2 = self.conv2(pool1)
        bn2 = self.bn2(conv2)
        dense1 = self.dense1(bn2.flatten(1))
        bn3 = F.relu(self.bn3(dense1))
        dense2 = self.dense2(bn3)
        l2 = F.normalize(dense2)
        return l2


Network0.frozen = ["conv1.weight", "bn1.weight", "bn1.bias"]

class Network1(nn.Module):
    spec = "conv4 bn relu pool conv5s2 bn relu dense6 bn dense4 l2"
    input = [8, 7, 2]

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(2, 4, 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(4, 0.00001)
        self.conv2 = nn.Conv2d(4, 5, 3, 2, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(5, 0.00001)
        self.dense1 = nn.Linear(20, 6, bias=False)
        self.bn3 = nn.BatchNorm1d(6, 0.00001)
        self.dense2 = nn.Linear(6, 4)

    def forward(self, images):
        x = images
        conv1 = self.conv1(x)
        bn1 = F.relu(self.bn1(conv1))
        pool1 = F.max_pool2d(bn1, 2)
        conv2 = self.conv2(pool1)
        bn2 = F.relu(self.bn2(conv2))
        dense1 = self.dense1(bn2.flatten(1))
        bn3 = self.bn3(dense1)
        dense2 = self.dense2(bn3)
        l2 = F.normalize(dense2)
        return l2


Network1.frozen = ["bn2.weight", "bn2.bias", "bn3.weight", "bn3.bias"]

class Network2(nn.Module):
    spec = "conv4 relu bn add( conv4 bn relu | bn ) dense5 l2"
    input = [6, 5, 3]

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 4, 3, 1, 1)
        self.bn1 = nn.BatchNorm2d(4, 0.00001)
        self.conv2 = nn.Conv2d(4, 4, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(4, 0.00001)
        self.bn3 = nn.BatchNorm2d(4, 0.00001)
        self.dense1 = nn.Linear(120, 5)

    def forward(self, images):
        x = images
        conv1 = F.relu(self.conv1(x))
        bn1 = self.bn1(conv1)
        conv2 = self.conv2(bn1)
        bn2 = F.relu(self.bn2(conv2))
        bn3 = self.bn3(bn1)
        add1 = bn2 + bn3
        dense1 = self.dense1(add1.flatten(1))
        l2 = F.normalize(dense1)
        return l2


Network2.frozen = ["bn1.weight", "bn2.weight", "bn2.bias", "bn3.bias"]

NETWORKS = [Network0, Network1, Network2]
