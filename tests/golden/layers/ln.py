"""What `ln` is in PyTorch: written by tests/layers/twins.rs, see there."""

import torch
from torch import nn
from torch.nn import functional as F


class Network0(nn.Module):
    spec = "conv5 ln relu pool conv4s2 lne0.01 sigmoid dense6 ln relu dense4 l2"
    input = [8, 7, 2]

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(2, 5, 3, 1, 1, bias=False)
        self.ln1 = nn.LayerNorm(5, 0.00001)
        self.conv2 = nn.Conv2d(5, 4, 3, 2, 1, bias=False)
        self.ln2 = nn.LayerNorm(4, 0.01)
        self.dense1 = nn.Linear(16, 6, bias=False)
        self.ln3 = nn.LayerNorm(6, 0.00001)
        self.dense2 = nn.Linear(6, 4)

    def forward(self, images):
        x = images
        conv1 = self.conv1(x)
        ln1 = F.relu(self.ln1(conv1.permute(0, 2, 3, 1)).permute(0, 3, 1, 2))
        pool1 = F.max_pool2d(ln1, 2)
        conv2 = self.conv2(pool1)
        ln2 = torch.sigmoid(self.ln2(conv2.permute(0, 2, 3, 1)).permute(0, 3, 1, 2))
        dense1 = self.dense1(ln2.flatten(1))
        ln3 = F.relu(self.ln3(dense1))
        dense2 = self.dense2(ln3)
        l2 = F.normalize(dense2)
        return l2


NETWORKS = [Network0]
