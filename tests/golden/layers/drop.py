"""What `drop` is in PyTorch: written by tests/layers/twins.rs, see there."""

import torch
from torch import nn
from torch.nn import functional as F


class Network0(nn.Module):
    spec = "conv3 relu drop0.3 dense6 drop0.5 sigmoid dense4 l2"
    input = [5, 4, 2]

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(2, 3, 3, 1, 1)
        self.drop1 = nn.Dropout(0.3)
        self.dense1 = nn.Linear(60, 6)
        self.drop2 = nn.Dropout(0.5)
        self.dense2 = nn.Linear(6, 4)

    def forward(self, images):
        x = images
        conv1 = F.relu(self.conv1(x))
        drop1 = self.drop1(conv1)
        dense1 = self.dense1(drop1.flatten(1))
        drop2 = self.drop2(dense1)
        sigmoid1 = torch.sigmoid(drop2)
        dense2 = self.dense2(sigmoid1)
        l2 = F.normalize(dense2)
        return l2


class Network1(nn.Module):
    spec = "drop0.2 conv8 bn drop0.1 relu mean dense5 drop0.25"
    input = [5, 6, 3]

    def __init__(self):
        super().__init__()
        self.drop1 = nn.Dropout(0.2)
        self.conv1 = nn.Conv2d(3, 8, 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(8, 0.00001)
        self.drop2 = nn.Dropout(0.1)
        self.dense1 = nn.Linear(8, 5)
        self.drop3 = nn.Dropout(0.25)

    def forward(self, images):
        x = images
        drop1 = self.drop1(x)
        conv1 = self.conv1(drop1)
        bn1 = self.bn1(conv1)
        drop2 = self.drop2(bn1)
        relu1 = F.relu(drop2)
        mean1 = relu1.mean((2, 3))
        dense1 = self.dense1(mean1)
        drop3 = self.drop3(dense1)
        return drop3


NETWORKS = [Network0, Network1]
