"""The workloads of `siamese bench` in PyTorch, eager or compiled: a JSON line with images a second.

    pip install torch numpy
    python benches/peers/pytorch.py --workload w1
    python benches/peers/pytorch.py --workload w1 --device cuda --compile max-autotune [--tf32]
"""

import workloads
from workloads import IN_COLOUR, MARGIN, ROWS

parser = workloads.arguments(__doc__)
parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
parser.add_argument("--compile", choices=["default", "reduce-overhead", "max-autotune"], help="torch.compile's mode")
parser.add_argument("--tf32", action="store_true", help="let CUDA round the factors of products to 10 bits")
parser.add_argument("--channels-last", action="store_true", help="images as [rows, height, width, channels] in memory")
options = parser.parse_args()

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

torch.set_num_threads(options.threads)
torch.manual_seed(0)
torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = options.tf32
workload, rows = options.workload, ROWS[options.workload]


class Normalise(nn.Module):
    def forward(self, x):
        return F.normalize(x, dim=1)


def conv(inputs, outputs, kernel=3, stride=1):
    return [nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False), nn.BatchNorm2d(outputs)]


class Residual(nn.Module):
    def __init__(self, inputs, outputs, stride=1):
        super().__init__()
        self.body = nn.Sequential(*conv(inputs, outputs, 3, stride), nn.ReLU(), *conv(outputs, outputs))
        same = inputs == outputs and stride == 1
        self.skip = nn.Identity() if same else nn.Sequential(*conv(inputs, outputs, 1, stride))

    def forward(self, x):
        return F.relu(self.body(x) + self.skip(x))


if workload in IN_COLOUR:
    data = torch.rand(1024, 3, 64, 64)
else:
    images, labels = workloads.training_set(options.data)
    batches = workloads.Batches(labels)
if workload == "w0":
    data = torch.from_numpy(images / 256.0).float()
    net = nn.Sequential(nn.Linear(784, 64), nn.ReLU(), nn.Linear(64, 64), nn.Sigmoid())
elif workload == "w3":
    net = nn.Sequential(
        *conv(3, 32, 3, 2), nn.ReLU(),
        *conv(32, 64), nn.ReLU(), nn.MaxPool2d(2),
        *conv(64, 128), nn.ReLU(), nn.MaxPool2d(2),
        *conv(128, 128), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(4 * 4 * 128, 128), Normalise(),
    )  # fmt: skip
elif workload == "w4":
    net = nn.Sequential(
        *conv(3, 64, 7, 2), nn.ReLU(), nn.MaxPool2d(3, 2, 1),
        Residual(64, 64), Residual(64, 64),
        Residual(64, 128, 2), Residual(128, 128),
        Residual(128, 256, 2), Residual(256, 256),
        Residual(256, 512, 2), Residual(512, 512),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(512, 128), Normalise(),
    )  # fmt: skip
else:
    data = torch.from_numpy(images / 255.0).float().reshape(-1, 1, 28, 28)
    net = nn.Sequential(
        nn.Conv2d(1, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(32, 64, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(3136, 128), nn.ReLU(), nn.Linear(128, 64), Normalise(),
    )  # fmt: skip
data, net = data.to(options.device), net.to(options.device)
if options.channels_last and workload != "w0":
    data, net = data.to(memory_format=torch.channels_last), net.to(memory_format=torch.channels_last)
count, each = (32, 4) if workload in IN_COLOUR else (10, 32)
labels_of_batch = torch.arange(count).repeat_interleave(each)
same = labels_of_batch[:, None] == labels_of_batch
alike = same & ~torch.eye(count * each, dtype=torch.bool)
anchor, positive = torch.nonzero(alike, as_tuple=True)
different = ~same[anchor]
anchor, positive, different = (x.to(options.device) for x in (anchor, positive, different))
same, alike = same.to(options.device), alike.to(options.device)


def triplet_loss(x):
    a, p, n = net(x).chunk(3)
    reduce = torch.mean if workload == "w0" else torch.sum
    return F.relu(reduce((a - p) ** 2, 1) - reduce((a - n) ** 2, 1) + MARGIN).mean()


def semi_hard_loss(x):
    e = net(x)
    distance = (2 - 2 * e @ e.T).clamp_min(0)
    negative = distance[anchor]
    violation = distance[anchor, positive][:, None] - negative + MARGIN
    counts = different & (violation > 0) & (violation < MARGIN)
    return (violation * counts).sum() / counts.sum().clamp_min(1)


def multi_similarity_loss(x):
    """Wang et al. 2019 with alpha 2, beta 50, base 0.5; pairs count within 0.1 of the hardest of the other kind."""
    e = net(x)
    likeness = e @ e.T
    with torch.no_grad():
        farthest = likeness.masked_fill(~alike, torch.inf).amin(1, keepdim=True)
        nearest = likeness.masked_fill(same, -torch.inf).amax(1, keepdim=True)
        pull, push = alike & (likeness - 0.1 < nearest), ~same & (likeness + 0.1 > farthest)
    positives = (torch.exp(-2 * (likeness - 0.5)) * pull).sum(1)
    negatives = (torch.exp(50 * (likeness - 0.5)) * push).sum(1)
    return (torch.log1p(positives) / 2 + torch.log1p(negatives) / 50).mean()


losses = {"w2": semi_hard_loss, "w3": multi_similarity_loss, "w4": multi_similarity_loss}
loss = losses.get(workload, triplet_loss)
embed = net
if options.compile:
    loss, embed = torch.compile(loss, mode=options.compile), torch.compile(net, mode=options.compile)
optimiser = torch.optim.AdamW(net.parameters(), lr=1e-3, weight_decay=1e-4 * (workload in IN_COLOUR), fused=True)


def numbers():
    if workload in IN_COLOUR:
        return np.random.choice(len(data), rows, replace=False)
    return batches.balanced(32) if workload == "w2" else batches.triplets(rows // 3)


def train():
    optimiser.zero_grad(set_to_none=True)
    loss(data[torch.from_numpy(numbers()).to(options.device)]).backward()
    if workload in IN_COLOUR:
        nn.utils.clip_grad_norm_(net.parameters(), 5.0)
    optimiser.step()


def infer():
    with torch.inference_mode():
        embed(data[:rows])


program = f"PyTorch {torch.__version__}" + (f", {options.compile}" if options.compile else "")
step = infer if workload == "w1-infer" else train
wait = torch.cuda.synchronize if options.device == "cuda" else lambda: None
workloads.measure(program, workload, step, options.seconds, wait)
