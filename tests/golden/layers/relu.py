"""What `relu` is in PyTorch: written by tests/layers/twins.rs, see there."""

import torch
from torch import nn
from torch.nn import functional as F


class Network0(nn.Module):
    spec = "conv3 relu dense5 relu"
    input = [5, 4, 2]

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(2, 3, 3, 1, 1)
        self.dense1 = nn.Linear(60, 5)

    def forward(self, images):
        x = images
        conv1 = F.relu(self.conv1(x))
        dense1 = F.relu(self.dense1(conv1.flatten(1)))
        return dense1


class Network1(nn.Module):
    spec = "conv3 add( relu conv3 | ) relu relu dense5"
    input = [5, 4, 2]

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(2, 3, 3, 1, 1)
        self.conv2 = nn.Conv2d(3, 3, 3, 1, 1)
        self.dense1 = nn.Linear(60, 5)

    def forward(self, images):
        x = images
        conv1 = self.conv1(x)
        relu1 = F.relu(conv1)
        conv2 = self.conv2(relu1)
        add1 = F.relu(conv2 + conv1)
        relu2 = F.relu(add1)
        dense1 = self.dense1(relu2.flatten(1))
        return dense1


class Network2(nn.Module):
    spec = "relu conv4 add( relu pool1 relu | pool1 ) dense5 sigmoid relu"
    input = [5, 4, 2]

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(2, 4, 3, 1, 1)
        self.dense1 = nn.Linear(80, 5)

    def forward(self, images):
        x = images
        relu1 = F.relu(x)
        conv1 = self.conv1(relu1)
        relu2 = F.relu(conv1)
        pool1 = F.max_pool2d(relu2, 1)
        relu3 = F.relu(pool1)
        pool2 = F.max_pool2d(conv1, 1)
        add1 = relu3 + pool2
        dense1 = torch.sigmoid(self.dense1(add1.flatten(1)))
        relu4 = F.relu(dense1)
        return relu4


NETWORKS = [Network0, Network1, Network2]
