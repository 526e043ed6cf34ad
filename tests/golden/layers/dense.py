"""What `dense` is in PyTorch: written by tests/layers/twins.rs, see there."""

import torch
from torch import nn
from torch.nn import functional as F


class Network0(nn.Module):
    spec = "dense8 relu dense6 sigmoid"
    input = [6, 7, 2]

    def __init__(self):
        super().__init__()
        self.dense1 = nn.Linear(84, 8)
        self.dense2 = nn.Linear(8, 6)

    def forward(self, images):
        x = images
        dense1 = F.relu(self.dense1(x.flatten(1)))
        dense2 = torch.sigmoid(self.dense2(dense1))
        return dense2


class Network1(nn.Module):
    spec = "dense3 l2"
    input = [2, 3, 3]

    def __init__(self):
        super().__init__()
        self.dense1 = nn.Linear(18, 3)

    def forward(self, images):
        x = images
        dense1 = self.dense1(x.flatten(1))
        l2 = F.normalize(dense1)
        return l2


NETWORKS = [Network0, Network1]
