"""Writes pytorch.safetensors and checkpoint.safetensors beside itself: what PyTorch computes, for tests/golden.rs.

Needs PyTorch (written with 2.15), NumPy and safetensors; runs on the CPU: `python tests/golden/pytorch.py`. The same
versions write the same values. Another version may round otherwise; the test's tolerances leave room for that.

pytorch.safetensors    in float64, in PyTorch's layouts: single operations with their gradients by autograd, and of the
                       network below its embeddings, loss, gradients and what ten steps of Adam make of it
checkpoint.safetensors in float32: the same network in the file format of src/checkpoint.rs, as an export (no moments)

`Network` and the four lines after it are all that it takes to compute our embeddings in PyTorch.
"""

import json
import pathlib

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import nn
from torch.nn import functional as F

HERE = pathlib.Path(__file__).parent
torch.manual_seed(4)
torch.set_default_dtype(torch.float64)
torch.use_deterministic_algorithms(True)

out = {}
cases = {}


def f32(value):
    """The value that a setting has in Rust, where settings are f32."""
    return float(np.float32(value))


def put(name, tensors):
    out.update({f"{name}.{key}": tensor.detach().contiguous() for key, tensor in tensors.items()})


def leaf(*shape):
    return torch.randn(*shape, requires_grad=True)


ACTIVATIONS = {"none": lambda z: z, "relu": torch.relu, "sigmoid": torch.sigmoid}

# ---- single operations: y is the output, d… the gradients for a random gradient dy of the output --------------------

cases["conv2d"] = []
for number, (batch, channels, height, width, filters, kernel, stride, same, activation) in enumerate([
    (2, 3, 5, 7, 5, 3, 1, True, "relu"),
    (2, 2, 9, 6, 4, 5, 2, True, "sigmoid"),
    (2, 1, 8, 11, 6, 3, 3, False, "none"),
    (1, 5, 7, 9, 3, 7, 1, False, "relu"),
    (3, 4, 6, 5, 3, 1, 1, True, "none"),
    (2, 3, 7, 8, 4, 3, 2, True, "relu"),
    (1, 2, 3, 4, 3, 5, 1, True, "sigmoid"),
]):
    x, w, b = leaf(batch, channels, height, width), leaf(filters, channels, kernel, kernel), leaf(filters)
    y = ACTIVATIONS[activation](F.conv2d(x, w, b, stride=stride, padding=(kernel - 1) // 2 if same else 0))
    dy = torch.randn_like(y)
    y.backward(dy)
    put(f"conv2d.{number}", {"x": x, "w": w, "b": b, "y": y, "dy": dy, "dx": x.grad, "dw": w.grad, "db": b.grad})
    cases["conv2d"].append({"stride": stride, "same": same, "activation": activation})

cases["max_pool2d"] = []
for number, (batch, channels, height, width, size) in enumerate([(2, 3, 6, 8, 2), (2, 3, 5, 7, 2), (1, 2, 8, 10, 3)]):
    # Rectified, so that windows of zeros test which of equals is taken.
    x = torch.randn(batch, channels, height, width).relu().requires_grad_()
    y, indices = F.max_pool2d(x, size, return_indices=True)
    dy = torch.randn_like(y)
    y.backward(dy)
    put(f"max_pool2d.{number}", {"x": x, "y": y, "indices": indices, "dy": dy, "dx": x.grad})
    cases["max_pool2d"].append({"size": size})

cases["linear"] = []
for number, (rows, inputs, outputs, activation) in enumerate([(3, 5, 7, "relu"), (9, 20, 4, "sigmoid"), (2, 3, 1, "none")]):
    x, w, b = leaf(rows, inputs), leaf(outputs, inputs), leaf(outputs)
    y = ACTIVATIONS[activation](F.linear(x, w, b))
    dy = torch.randn_like(y)
    y.backward(dy)
    put(f"linear.{number}", {"x": x, "w": w, "b": b, "y": y, "dy": dy, "dx": x.grad, "dw": w.grad, "db": b.grad})
    cases["linear"].append({"activation": activation})

x = torch.randn(6, 9)
x[4] = 0  # a row without direction
x.requires_grad_()
y = F.normalize(x, dim=1)
dy = torch.randn_like(y)
y.backward(dy)
put("normalize", {"x": x, "y": y, "dy": dy, "dx": x.grad})


def triplet_loss(embeddings, margin, distance):
    a, p, n = embeddings.chunk(3)
    reduce = torch.sum if distance == "squared-euclidean" else torch.mean
    ap, an = reduce((a - p) ** 2, 1), reduce((a - n) ** 2, 1)
    return torch.relu(ap - an + margin).mean(), ap, an


cases["triplet"] = []
for number, (margin, distance) in enumerate([(1.5, "squared-euclidean"), (0.25, "mean-square")]):
    e = leaf(3 * 8, 5)
    loss, ap, an = triplet_loss(e, margin, distance)
    loss.backward()
    put(f"triplet.{number}", {"e": e, "loss": loss, "ap": ap, "an": an, "de": e.grad})
    cases["triplet"].append({"margin": margin, "distance": distance})

ADAM = {"lr": f32(1e-3), "betas": (f32(0.9), f32(0.999)), "eps": f32(1e-8)}
p = leaf(50)
optimiser = torch.optim.Adam([p], **ADAM)
start, gradients, steps = p.detach().clone(), torch.randn(10, 50), []
gradients[:, 7] = 0  # a parameter that never gets a gradient
for gradient in gradients:
    p.grad = gradient.clone()
    optimiser.step()
    steps.append(p.detach().clone())
state = optimiser.state[p]
put("adam", {"p": start, "g": gradients, "steps": torch.stack(steps), "m": state["exp_avg"], "v": state["exp_avg_sq"]})

query, reference = torch.randn(6, 7), torch.randn(40, 7)
distance = ((query[:, None] - reference[None]) ** 2).sum(2)
put("nearest", {"query": query, "reference": reference, "distance": distance})
put("nearest", {"indices": distance.topk(5, largest=False).indices})

# ---- a whole network -------------------------------------------------------------------------------------------------


class Network(nn.Module):
    """conv4 relu pool conv8k5v relu dense16 relu dense6 l2, on images 14 × 12 × 3."""

    def __init__(self):
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(3, 4, 3, padding=1), nn.Conv2d(4, 8, 5)
        self.dense1, self.dense2 = nn.Linear(8 * 3 * 2, 16), nn.Linear(16, 6)

    def forward(self, x):
        x = F.max_pool2d(self.conv1(x).relu(), 2)
        x = self.conv2(x).relu().flatten(1)
        return F.normalize(self.dense2(self.dense1(x).relu()))


def embeddings_of(checkpoint, images):
    """The embeddings of `images`, bytes [rows, height, width, channels], by the network in the file `checkpoint`."""
    network = Network().double()
    network.load_state_dict(load_file(checkpoint))
    return network, network(torch.from_numpy(images).permute(0, 3, 1, 2) / 255)


network = Network()
with torch.no_grad():  # PyTorch's own start makes embeddings that hardly differ
    for parameter in network.parameters():
        parameter.normal_(0, 0.1 if parameter.dim() == 1 else (2 / parameter[0].numel()) ** 0.5)
config = {
    "spec": "conv4 relu pool conv8k5v relu dense16 relu dense6 l2",
    "divisor": 255.0,
    "loss": {"distance": "squared-euclidean", "margin": {"hinge": 0.2}},
    "batch": {"random": {"triplets": 4, "positive": "other"}},
    "augment": {"shift": 0, "rotate": 0, "scale": 0, "shear": 0, "elastic": 0},
    "update": {"adam": {"beta1": 0.9, "beta2": 0.999, "epsilon": 1e-8, "weight_decay": 0}},
    "learning_rate": 1e-3,
    "warmup": 0,
    "schedule": "constant",
    "clip": None,
    "average": None,
    "initialisation": "by-activation",
    "gain": 1.0,
    "steps": 10,
    "seed": 0,
    "thresholds": [],
    "validation": None,
    "train_classes": None,
}
header = {"version": "0.1.0", "config": config, "input": [14, 12, 3], "step": 0, "validation": None}
metadata = {"siamese": json.dumps(header)}
weights = {name: value.float() for name, value in network.state_dict().items()}
save_file(weights, HERE / "checkpoint.safetensors", metadata)

rng = np.random.default_rng(1)  # images: waves of random direction, one a channel, under noise
wave = rng.uniform(-0.6, 0.6, (12, 2, 1, 1, 3)), rng.uniform(0, 6.3, (12, 1, 1, 3))
y, x = np.arange(14).reshape(1, 14, 1, 1), np.arange(12).reshape(1, 1, 12, 1)
images = 128 + 100 * np.sin(wave[0][:, 0] * y + wave[0][:, 1] * x + wave[1]) + rng.normal(0, 15, (12, 14, 12, 3))
images = images.clip(0, 255).astype(np.uint8)
rows = torch.tensor([3, 0, 7, 10, 1, 11, 4, 8, 9, 2, 6, 5])  # four anchors, their positives, their negatives
network, embeddings = embeddings_of(HERE / "checkpoint.safetensors", images)
out["network.images"] = torch.from_numpy(images)
out["network.rows"] = rows
out["network.embeddings"] = embeddings.detach()

optimiser = torch.optim.Adam(network.parameters(), **ADAM)
batch = (torch.from_numpy(images).permute(0, 3, 1, 2) / 255)[rows]
losses = []
for step in range(10):
    optimiser.zero_grad()
    loss, ap, an = triplet_loss(network(batch), f32(0.2), "squared-euclidean")
    loss.backward()
    losses.append(loss.detach())
    if step == 0:
        put("network.gradient", {name: parameter.grad.clone() for name, parameter in network.named_parameters()})
        norm = torch.sqrt(sum((parameter.grad**2).sum() for parameter in network.parameters()))
        out["network.stats"] = torch.stack([loss, (ap - an + f32(0.2) > 0).double().mean(), ap.mean(), an.mean(), norm])
        out["network.stats"] = out["network.stats"].detach()
    optimiser.step()
out["network.losses"] = torch.stack(losses)
put("network.after", dict(network.named_parameters()))
for kind in ("exp_avg", "exp_avg_sq"):
    put(f"network.{kind}", {name: optimiser.state[parameter][kind] for name, parameter in network.named_parameters()})

# ---- online mining on labels x images embeddings: every triplet apart, chosen by masks --------------------------------


def penalty(x, margin, sharpness):
    return F.softplus(sharpness * x) / sharpness if sharpness else torch.relu(x + margin)


def mined_loss(e, labels, images, mining, margin, sharpness):
    d = ((e[:, None] - e[None]) ** 2).sum(2)
    label = torch.arange(labels).repeat_interleave(images)
    same = label[:, None] == label[None]
    positive = same & ~torch.eye(len(e), dtype=torch.bool)
    if mining == "batch-hard":
        far = d.masked_fill(~positive, -torch.inf).max(1).values
        near = d.masked_fill(same, torch.inf).min(1).values
        return penalty(far - near, margin, sharpness).mean()
    x = d[:, :, None] - d[:, None, :]  # [anchor, positive, negative]
    counts = positive[:, :, None] & ~same[:, None, :]
    if mining == "semi-hard":
        counts = counts & (x < 0)
    cost = penalty(x, margin, sharpness)
    counts = counts & (cost > 0)
    return cost[counts].sum() / counts.sum().clamp_min(1)


cases["mined"] = []
for number, (labels, images, mining, margin, sharpness) in enumerate([
    (3, 5, "semi-hard", 0.75, 0),
    (4, 4, "batch-hard", 0.75, 0),
    (2, 7, "batch-all", 0.75, 0),
    (3, 4, "semi-hard", 0, 3),
    (5, 3, "batch-hard", 0, 3),
    (3, 4, "batch-all", 0, 3),
]):
    raw = leaf(labels * images, 6)
    e = F.normalize(raw)
    e.retain_grad()
    loss = mined_loss(e, labels, images, mining, margin, sharpness)
    loss.backward()
    put(f"mined.{number}", {"e": e, "loss": loss, "de": e.grad})
    cases["mined"].append(
        {"labels": labels, "images": images, "mining": mining, "margin": margin, "sharpness": sharpness}
    )

# ---- AdamW with clipped gradients ------------------------------------------------------------------------------------

p = leaf(40)
optimiser = torch.optim.AdamW([p], **ADAM, weight_decay=f32(0.1))
put("adamw", {"p": p.clone()})
gradients, steps = torch.randn(3, 40), []
for gradient in gradients:
    p.grad = gradient.clone()
    torch.nn.utils.clip_grad_norm_([p], 2.0)
    optimiser.step()
    steps.append(p.detach().clone())
put("adamw", {"g": gradients, "steps": torch.stack(steps)})

# ---- images moved and bent: bilinear samples by grid_sample, displacements by the B-spline's textbook form ------------


def displacements(key, height, width, amount):
    def point(x, y):
        h = (key ^ ((y << 16 | x) * 0x9E3779B9)) & 0xFFFFFFFF
        h = ((h ^ h >> 16) * 0x7FEB352D) & 0xFFFFFFFF
        h = ((h ^ h >> 15) * 0x846CA68B) & 0xFFFFFFFF
        h ^= h >> 16
        return np.array([h & 0xFFFF, h >> 16]) / 32768 - 1

    def basis(t):
        t = abs(t)
        return 2 / 3 - t**2 + t**3 / 2 if t < 1 else max(2 - t, 0) ** 3 / 6

    spacing = min(height, width) / 4
    field = np.zeros((height, width, 2))
    for row in range(height):
        for column in range(width):
            # Point 1 of each direction lies at the image's edge.
            for y in range(height // 2 + 8):
                for x in range(width // 2 + 8):
                    weight = basis(column / spacing + 1 - x) * basis(row / spacing + 1 - y)
                    if weight:
                        field[row, column] += weight * point(x, y)
    return torch.from_numpy(amount * field)


cases["warp"] = []
for number, (height, width, channels, elastic) in enumerate([(9, 7, 2, 0), (8, 11, 1, 2.5)]):
    images = torch.randint(0, 256, (3, height, width, channels))
    maps = torch.tensor([1, 0, 0, 0, 1, 0.0]) + torch.randn(4, 6) * torch.tensor([0.3, 0.3, 2, 0.3, 0.3, 2])
    maps, rows, keys = maps.float().double(), torch.tensor([2, 0, 1, 1]), torch.tensor([1, 0x89ABCDEF, 77, 0xFFFFFFFF])
    y, x = torch.meshgrid(torch.arange(height) - (height - 1) / 2, torch.arange(width) - (width - 1) / 2, indexing="ij")
    at = torch.stack([x, y, torch.ones_like(x)], 2)
    places = torch.einsum("hwk,nck->nhwc", at, maps.view(4, 2, 3))
    places += torch.stack([displacements(int(key), height, width, elastic) for key in keys])
    grid = 2 * places / torch.tensor([width - 1, height - 1])  # -1 and 1 are the centres of the outermost pixels
    source = images[rows].permute(0, 3, 1, 2).double() / 255
    warped = F.grid_sample(source, grid, mode="bilinear", padding_mode="zeros", align_corners=True)
    put(f"warp.{number}", {"images": images.to(torch.uint8), "rows": rows, "maps": maps, "keys": keys})
    put(f"warp.{number}", {"y": warped.permute(0, 2, 3, 1)})
    cases["warp"].append({"elastic": elastic})

save_file(out, HERE / "pytorch.safetensors", {"cases": json.dumps(cases), "torch": torch.__version__})
print(f"PyTorch {torch.__version__}: {len(out)} tensors, stats {out['network.stats'].tolist()}")
