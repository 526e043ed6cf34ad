"""The workloads of `siamese bench` in PyTorch, eager or compiled: a JSON line with images a second.

    pip install torch numpy
    python benches/peers/pytorch.py --workload w1
    python benches/peers/pytorch.py --workload w1 --device cuda --compile max-autotune [--tf32]
"""

import workloads
from workloads import MARGIN, ROWS

parser = workloads.arguments(__doc__)
parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
parser.add_argument("--compile", choices=["default", "reduce-overhead", "max-autotune"], help="torch.compile's mode")
parser.add_argument("--tf32", action="store_true", help="let CUDA round the factors of products to 10 bits")
parser.add_argument("--channels-last", action="store_true", help="images as [rows, height, width, channels] in memory")
options = parser.parse_args()

import torch
from torch import nn
from torch.nn import functional as F

torch.set_num_threads(options.threads)
torch.manual_seed(0)
torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = options.tf32
workload, rows = options.workload, ROWS[options.workload]
images, labels = workloads.training_set(options.data)
batches = workloads.Batches(labels)


class Normalise(nn.Module):
    def forward(self, x):
        return F.normalize(x, dim=1)


if workload == "w0":
    data = torch.from_numpy(images / 256.0).float()
    net = nn.Sequential(nn.Linear(784, 64), nn.ReLU(), nn.Linear(64, 64), nn.Sigmoid())
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
labels_of_batch = torch.arange(10).repeat_interleave(32)
same = labels_of_batch[:, None] == labels_of_batch
anchor, positive = torch.nonzero(same & ~torch.eye(320, dtype=torch.bool), as_tuple=True)
different = ~same[anchor]
anchor, positive, different = (x.to(options.device) for x in (anchor, positive, different))


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


loss = semi_hard_loss if workload == "w2" else triplet_loss
embed = net
if options.compile:
    loss, embed = torch.compile(loss, mode=options.compile), torch.compile(net, mode=options.compile)
optimiser = torch.optim.Adam(net.parameters(), lr=1e-3, fused=True)


def train():
    numbers = batches.balanced(32) if workload == "w2" else batches.triplets(rows // 3)
    optimiser.zero_grad(set_to_none=True)
    loss(data[torch.from_numpy(numbers).to(options.device)]).backward()
    optimiser.step()


def infer():
    with torch.inference_mode():
        embed(data[:rows])


program = f"PyTorch {torch.__version__}" + (f", {options.compile}" if options.compile else "")
step = infer if workload == "w1-infer" else train
wait = torch.cuda.synchronize if options.device == "cuda" else lambda: None
workloads.measure(program, workload, step, options.seconds, wait)
