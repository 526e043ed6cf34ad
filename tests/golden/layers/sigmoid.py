"""What `sigmoid` is in PyTorch: written by tests/layers/twins.rs, see there."""

import torch
from torch import nn
from torch.nn import functional as F


class Network0(nn.Module):
    spec = "conv4k5s3 sigmoid pool3 dense8 relu dense3 sigmoid"
    input = [13, 11, 3]

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 4, 5, 3, 2)
        self.dense1 = nn.Linear(4, 8)
        self.dense2 = nn.Linear(8, 3)

    def forward(self, images):
        x = images
        conv1 = torch.sigmoid(self.conv1(x))
        pool1 = F.max_pool2d(conv1, 3)
        dense1 = F.relu(self.dense1(pool1.flatten(1)))
        dense2 = torch.sigmoid(self.dense2(dense1))
        return dense2


NETWORKS = [Network0]
