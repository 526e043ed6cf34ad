"""What `relu6` is in PyTorch: written by tests/layers/twins.rs, see there."""

import torch
from torch import nn
from torch.nn import functional as F


class Network0(nn.Module):
    spec = "conv3 relu6 dense5 relu6"
    input = [5, 4, 2]

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(2, 3, 3, 1, 1)
        self.dense1 = nn.Linear(60, 5)

    def forward(self, images):
        x = images
        conv1 = F.relu6(self.conv1(x))
        dense1 = F.relu6(self.dense1(conv1.flatten(1)))
        return dense1


class Network1(nn.Module):
    spec = "conv4 add( conv4 | ) relu6 relu6 dense5 l2"
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
        add1 = F.relu6(conv2 + conv1)
        relu6 = F.relu6(add1)
        dense1 = self.dense1(relu6.flatten(1))
        l2 = F.normalize(dense1)
        return l2


NETWORKS = [Network0, Network1]
