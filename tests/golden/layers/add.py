"""What `add` is in PyTorch: written by tests/layers/twins.rs, see there."""

import torch
from torch import nn
from torch.nn import functional as F


class Network0(nn.Module):
    spec = "conv4 relu add( conv4 relu conv4 | ) relu dense5 l2"
    input = [6, 5, 2]

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(2, 4, 3, 1, 1)
        self.conv2 = nn.Conv2d(4, 4, 3, 1, 1)
        self.conv3 = nn.Conv2d(4, 4, 3, 1, 1)
        self.dense1 = nn.Linear(120, 5)

    def forward(self, images):
        x = images
        conv1 = F.relu(self.conv1(x))
        conv2 = F.relu(self.conv2(conv1))
        conv3 = self.conv3(conv2)
        add1 = F.relu(conv3 + conv1)
        dense1 = self.dense1(add1.flatten(1))
        l2 = F.normalize(dense1)
        return l2


class Network1(nn.Module):
    spec = "add( conv2 | ) add( conv2 | add( | conv2k1 relu ) | ) sigmoid dense6 relu add( dense6 | ) dense4"
    input = [5, 4, 2]

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(2, 2, 3, 1, 1)
        self.conv2 = nn.Conv2d(2, 2, 3, 1, 1)
        self.conv3 = nn.Conv2d(2, 2, 1, 1, 0)
        self.dense1 = nn.Linear(40, 6)
        self.dense2 = nn.Linear(6, 6)
        self.dense3 = nn.Linear(6, 4)

    def forward(self, images):
        x = images
        conv1 = self.conv1(x)
        add1 = conv1 + x
        conv2 = self.conv2(add1)
        conv3 = F.relu(self.conv3(add1))
        add2 = add1 + conv3
        add3 = torch.sigmoid(conv2 + add2 + add1)
        dense1 = F.relu(self.dense1(add3.flatten(1)))
        dense2 = self.dense2(dense1)
        add4 = dense2 + dense1
        dense3 = self.dense3(add4)
        return dense3


class Network2(nn.Module):
    spec = "conv3 add( | ) add( | | ) relu pool add( pool1 relu | conv3 ) dense4 l2"
    input = [7, 6, 1]

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 3, 3, 1, 1)
        self.conv2 = nn.Conv2d(3, 3, 3, 1, 1)
        self.dense1 = nn.Linear(27, 4)

    def forward(self, images):
        x = images
        conv1 = self.conv1(x)
        add1 = conv1 + conv1
        add2 = F.relu(add1 + add1 + add1)
        pool1 = F.max_pool2d(add2, 2)
        pool2 = F.max_pool2d(pool1, 1)
        relu1 = F.relu(pool2)
        conv2 = self.conv2(pool1)
        add3 = relu1 + conv2
        dense1 = self.dense1(add3.flatten(1))
        l2 = F.normalize(dense1)
        return l2


class Network3(nn.Module):
    spec = "conv4 add( conv6s2 relu conv6 | conv6k1s2 ) relu 2*{ add( conv6 relu conv6 | ) relu } dense5 l2"
    input = [7, 8, 2]

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(2, 4, 3, 1, 1)
        self.conv2 = nn.Conv2d(4, 6, 3, 2, 1)
        self.conv3 = nn.Conv2d(6, 6, 3, 1, 1)
        self.conv4 = nn.Conv2d(4, 6, 1, 2, 0)
        self.conv5 = nn.Conv2d(6, 6, 3, 1, 1)
        self.conv6 = nn.Conv2d(6, 6, 3, 1, 1)
        self.conv7 = nn.Conv2d(6, 6, 3, 1, 1)
        self.conv8 = nn.Conv2d(6, 6, 3, 1, 1)
        self.dense1 = nn.Linear(96, 5)

    def forward(self, images):
        x = images
        conv1 = self.conv1(x)
        conv2 = F.relu(self.conv2(conv1))
        conv3 = self.conv3(conv2)
        conv4 = self.conv4(conv1)
        add1 = F.relu(conv3 + conv4)
        conv5 = F.relu(self.conv5(add1))
        conv6 = self.conv6(conv5)
        add2 = F.relu(conv6 + add1)
        conv7 = F.relu(self.conv7(add2))
        conv8 = self.conv8(conv7)
        add3 = F.relu(conv8 + add2)
        dense1 = self.dense1(add3.flatten(1))
        l2 = F.normalize(dense1)
        return l2


class Network4(nn.Module):
    spec = "dense6 add( | relu dense6 ) sigmoid add( dense6 | dense6 sigmoid ) l2"
    input = [3, 4, 2]

    def __init__(self):
        super().__init__()
        self.dense1 = nn.Linear(24, 6)
        self.dense2 = nn.Linear(6, 6)
        self.dense3 = nn.Linear(6, 6)
        self.dense4 = nn.Linear(6, 6)

    def forward(self, images):
        x = images
        dense1 = self.dense1(x.flatten(1))
        relu1 = F.relu(dense1)
        dense2 = self.dense2(relu1)
        add1 = torch.sigmoid(dense1 + dense2)
        dense3 = self.dense3(add1)
        dense4 = torch.sigmoid(self.dense4(add1))
        add2 = dense3 + dense4
        l2 = F.normalize(add2)
        return l2


NETWORKS = [Network0, Network1, Network2, Network3, Network4]
