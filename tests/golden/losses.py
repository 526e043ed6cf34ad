"""Writes losses.safetensors beside itself: what pytorch-metric-learning makes of embeddings and labels, for
tests/layers/losses.rs.

Needs PyTorch and pytorch-metric-learning (written with 2.15 and 2.9.0); `python tests/golden/losses.py`. In float64:
of each batch the embeddings before they are given length 1, `x`, and their labels; of each loss and batch the loss and
its gradient by `x`. The metadata names the cases, each by its loss as `--loss` has it.
"""

import json
import pathlib

import numpy as np
import torch
from pytorch_metric_learning import losses, miners
from safetensors.torch import save_file
from torch.nn import functional as F

torch.manual_seed(9)
torch.set_default_dtype(torch.float64)


def f32(value):
    """The value that a setting has in Rust, where settings are f32."""
    return float(np.float32(value))


def single(x):
    """The values that a runner in f32 has of these."""
    return x.float().double()


def batch(labels, dims, spread):
    """Rows of each label around a direction of its own: far apart for a small `spread`, in disorder for a large one."""
    labels = torch.tensor(labels)
    centres = F.normalize(torch.randn(int(labels.max()) + 1, dims))
    return single(centres[labels] + spread * torch.randn(len(labels), dims)), labels


balanced = [label for label in range(5) for _ in range(4)]
unequal = [0, 3, 1, 0, 0, 2, 1, 3, 0, 4, 0, 5, 3, 1, 1, 0]  # 2, 4 and 5 have one image each
batches = {
    "disorder": batch(balanced, 6, 1.0),
    "half sorted": batch(balanced, 8, 0.35),
    "sorted": batch(balanced, 8, 0.05),
    "unequal": batch(unequal, 5, 0.5),
    "two labels": batch([0, 0, 0, 1, 1, 1], 3, 0.4),
}
# All rows nearly at one point.
x, labels = batch(balanced, 6, 0.5)
batches["almost one point"] = (single(torch.ones(6) + 0.02 * x), labels)
# Some rows twice.
x, labels = batch([0, 0, 0, 0, 1, 1, 1, 1], 4, 0.5)
x[1], x[6] = x[0], x[5]
batches["copies"] = (x, labels)


def multi_similarity(alpha, beta, base, epsilon):
    miner = miners.MultiSimilarityMiner(epsilon=f32(epsilon))
    loss = losses.MultiSimilarityLoss(alpha=f32(alpha), beta=f32(beta), base=f32(base))
    return lambda x, labels: loss(x, labels, miner(x, labels))


def text(name, **settings):
    return " ".join([name, *(f"{key}={value}" for key, value in settings.items())])


cases = {}
for settings in [
    {"alpha": 2, "beta": 50, "base": 0.5, "epsilon": 0.1},
    {"alpha": 5, "beta": 10, "base": 0.8, "epsilon": 0},
    {"alpha": 2, "beta": 50, "base": 0.5, "epsilon": 2},
]:
    cases[text("multi-similarity", **settings)] = multi_similarity(**settings)
for temperature in [0.1, 0.5]:
    cases[text("supcon", temperature=temperature)] = losses.SupConLoss(temperature=f32(temperature))
for temperature in [0.07, 1]:
    cases[text("nt-xent", temperature=temperature)] = losses.NTXentLoss(temperature=f32(temperature))
for positive, negative in [(0, 1), (0.3, 1.4)]:
    cases[text("contrastive", positive=positive, negative=negative)] = losses.ContrastiveLoss(
        pos_margin=f32(positive), neg_margin=f32(negative)
    )
for margin, scale in [(0.4, 80), (0.25, 256), (0.25, 16)]:
    cases[text("circle", margin=margin, scale=scale)] = losses.CircleLoss(m=f32(margin), gamma=f32(scale))

out = {}
for name, (x, labels) in batches.items():
    out[f"{name}.x"] = x
    out[f"{name}.labels"] = labels
    for loss, function in cases.items():
        raw = x.clone().requires_grad_()
        value = function(raw, labels)
        value.backward()
        out[f"{loss}.{name}.loss"] = value.detach()
        out[f"{loss}.{name}.dx"] = raw.grad

metadata = {"losses": json.dumps(list(cases)), "batches": json.dumps(list(batches)), "torch": torch.__version__}
save_file(out, pathlib.Path(__file__).parent / "losses.safetensors", metadata)
for loss in cases:
    print(loss, *(f"{float(out[f'{loss}.{name}.loss']):.4f}" for name in batches))
