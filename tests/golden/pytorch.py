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
    "loss": {"distance": "squared-euclidean", "margin": 0.2},
    "update": {"adam": {"beta1": 0.9, "beta2": 0.999, "epsilon": 1e-8}},
    "learning_rate": 1e-3,
    "initialisation": "by-activation",
    "gain": 1.0,
    "positive": "other",
    "triplets": 4,
    "steps": 10,
    "seed": 0,
    "thresholds": [],
}
metadata = {"siamese": json.dumps({"version": "0.1.0", "config": config, "input": [14, 12, 3], "step": 0})}
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

save_file(out, HERE / "pytorch.safetensors", {"cases": json.dumps(cases), "torch": torch.__version__})
print(f"PyTorch {torch.__version__}: {len(out)} tensors, stats {out['network.stats'].tolist()}")
