"""What `cat` is in PyTorch: written by tests/layers/twins.rs, see there."""

import torch
from torch import nn
from torch.nn import functional as F


class Network0(nn.Module):
    spec = "conv4 relu cat( conv3k1 relu | pool1 conv4 ) conv3k1 relu dense5 l2"
    input = [6, 5, 2]

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(2, 4, 3, 1, 1)
        self.conv2 = nn.Conv2d(4, 3, 1, 1, 0)
        self.conv3 = nn.Conv2d(4, 4, 3, 1, 1)
        self.conv4 = nn.Conv2d(7, 3, 1, 1, 0)
        self.dense1 = nn.Linear(90, 5)

    def forward(self, images):
        x = images
        conv1 = F.relu(self.conv1(x))
        conv2 = F.relu(self.conv2(conv1))
        pool1 = F.max_pool2d(conv1, 1)
        conv3 = self.conv3(pool1)
        cat1 = torch.cat([conv2, conv3], 1)
        conv4 = F.relu(self.conv4(cat1))
        dense1 = self.dense1(conv4.flatten(1))
        l2 = F.normalize(dense1)
        return l2


class Network1(nn.Module):
    spec = "cat( | conv2 | conv4k1 | pool1 ) relu add( cat( conv3 | conv6k1 ) | conv9k1 ) relu dense6 l2"
    input = [5, 4, 2]

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(2, 2, 3, 1, 1)
        self.conv2 = nn.Conv2d(2, 4, 1, 1, 0)
        self.conv3 = nn.Conv2d(10, 3, 3, 1, 1)
        self.conv4 = nn.Conv2d(10, 6, 1, 1, 0)
        self.conv5 = nn.Conv2d(10, 9, 1, 1, 0)
        self.dense1 = nn.Linear(180, 6)

    def forward(self, images):
        x = images
        conv1 = self.conv1(x)
        conv2 = self.conv2(x)
        pool1 = F.max_pool2d(x, 1)
        cat1 = torch.cat([x, conv1, conv2, pool1], 1)
        relu1 = F.relu(cat1)
        conv3 = self.conv3(relu1)
        conv4 = self.conv4(relu1)
        cat2 = torch.cat([conv3, conv4], 1)
        conv5 = self.conv5(relu1)
        add1 = F.relu(cat2 + conv5)
        dense1 = self.dense1(add1.flatten(1))
        l2 = F.normalize(dense1)
        return l2


class Network2(nn.Module):
    spec = "conv2 2*{ cat( | conv3 relu ) } dense4 cat( | dense2 relu | dense5 ) sigmoid dense3"
    input = [5, 4, 1]

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 2, 3, 1, 1)
        self.conv2 = nn.Conv2d(2, 3, 3, 1, 1)
        self.conv3 = nn.Conv2d(5, 3, 3, 1, 1)
        self.dense1 = nn.Linear(160, 4)
        self.dense2 = nn.Linear(4, 2)
        self.dense3 = nn.Linear(4, 5)
        self.dense4 = nn.Linear(11, 3)

    def forward(self, images):
        x = images
        conv1 = self.conv1(x)
        conv2 = F.relu(self.conv2(conv1))
        cat1 = torch.cat([conv1, conv2], 1)
        conv3 = F.relu(self.conv3(cat1))
        cat2 = torch.cat([cat1, conv3], 1)
        dense1 = self.dense1(cat2.flatten(1))
        dense2 = F.relu(self.dense2(dense1))
        dense3 = self.dense3(dense1)
        cat3 = torch.cat([dense1, dense2, dense3], 1)
        sigmoid1 = torch.sigmoid(cat3)
        dense4 = self.dense4(sigmoid1)
        return dense4


class Network3(nn.Module):
    spec = "conv8 add( cat( conv4k1 relu | conv4k1 relu conv4 relu ) conv8k1 | ) relu dense5 l2"
    input = [6, 7, 2]

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(2, 8, 3, 1, 1)
        self.conv2 = nn.Conv2d(8, 4, 1, 1, 0)
        self.conv3 = nn.Conv2d(8, 4, 1, 1, 0)
        self.conv4 = nn.Conv2d(4, 4, 3, 1, 1)
        self.conv5 = nn.Conv2d(8, 8, 1, 1, 0)
        self.dense1 = nn.Linear(336, 5)

    def forward(self, images):
        x = images
        conv1 = self.conv1(x)
        conv2 = F.relu(self.conv2(conv1))
        conv3 = F.relu(self.conv3(conv1))
        conv4 = F.relu(self.conv4(conv3))
        cat1 = torch.cat([conv2, conv4], 1)
        conv5 = self.conv5(cat1)
        add1 = F.relu(conv5 + conv1)
        dense1 = self.dense1(add1.flatten(1))
        l2 = F.normalize(dense1)
        return l2


NETWORKS = [Network0, Network1, Network2, Network3]
