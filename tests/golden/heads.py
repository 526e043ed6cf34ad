"""Writes heads.safetensors beside itself: what pytorch-metric-learning computes, for tests/plan/heads.rs.

Needs PyTorch (written with 2.15), pytorch-metric-learning (2.9) and safetensors: `python tests/golden/heads.py`.

For each case, in float64: raw embeddings `e` (losses on cosines normalise them), the `labels` of its rows, the vectors
`w` of the classes, `[classes, dims]`, the loss, and its gradients `de` and `dw`. Softmax with smoothed labels is
PyTorch's; the centre loss is written out from its paper, since the package has none. For losses on pairs instead of
vectors a `memory` of further embeddings with their `memory_labels`.
"""

import json
import math
import pathlib

import torch
from pytorch_metric_learning import losses, miners
from safetensors.torch import save_file
from torch.nn import functional as F

torch.manual_seed(7)
torch.set_default_dtype(torch.float64)

CLASSES, LABELS, IMAGES, DIMS = 5, 3, 4, 6
LABEL = torch.tensor([4, 0, 2]).repeat_interleave(IMAGES)

out, cases = {}, []


def put(text, e, w, loss, **more):
    loss.backward()
    tensors = {"e": e, "w": w, "labels": LABEL, "loss": loss, "de": e.grad, "dw": w.grad} | more
    out.update({f"{len(cases)}.{key}": tensor.detach().contiguous().clone() for key, tensor in tensors.items()})
    cases.append({"loss": text, "classes": CLASSES, "labels": LABELS, "images": IMAGES})


def inputs():
    e, w = torch.randn(LABELS * IMAGES, DIMS), torch.randn(CLASSES, DIMS)
    e[1] = -w[4] + 0.1 * e[1]  # almost opposite to its own class: past the angle where the cosine would rise again
    return e.requires_grad_(), w.requires_grad_()


def packaged(text, make, transposed):
    e, w = inputs()
    loss = make()
    own = torch.nn.Parameter(w.detach().t().clone() if transposed else w.detach().clone())
    setattr(loss, "W" if transposed else "proxies", own)
    value = loss(e, LABEL)
    put(text, e, w, value + 0 * w.sum())
    out[f"{len(cases) - 1}.dw"] = (own.grad.t() if transposed else own.grad).contiguous().clone()


packaged("cosface margin=0.375 scale=16", lambda: losses.CosFaceLoss(CLASSES, DIMS, margin=0.375, scale=16), True)
packaged("cosface margin=0 scale=20", lambda: losses.NormalizedSoftmaxLoss(CLASSES, DIMS, temperature=0.05), True)
packaged(
    "arcface margin=0.5 scale=16", lambda: losses.ArcFaceLoss(CLASSES, DIMS, margin=math.degrees(0.5), scale=16), True
)
packaged("proxy-anchor alpha=32 margin=0.125", lambda: losses.ProxyAnchorLoss(CLASSES, DIMS, 0.125, 32), False)

e, w = inputs()
put("softmax scale=1 smoothing=0.125", e, w, F.cross_entropy(e @ w.t(), LABEL, label_smoothing=0.125))

e, w = inputs()
centres = torch.randn(CLASSES, DIMS)
distance = ((e - centres[LABEL]) ** 2).sum(1)
loss = F.cross_entropy(2 * e @ w.t(), LABEL) + 0.25 / 2 * distance.mean()
after = centres.clone()
for y in range(CLASSES):
    own = e.detach()[LABEL == y]
    after[y] -= 0.5 * (centres[y] - own).sum(0) / (1 + len(own))
put("centre weight=0.25 follow=0.5 scale=2", e, w, loss, centres=centres, after=after)

# Pairs with embeddings of batches before, which stay as they are: the loss of the batch, and that of rows x memory.


def remembered(text, loss, miner=None):
    raw = torch.randn(LABELS * IMAGES, DIMS, requires_grad=True)
    memory, labels = F.normalize(torch.randn(14, DIMS)), torch.randint(0, CLASSES, (14,))
    e = F.normalize(raw)
    among, further = (), ()
    if miner:
        among, further = (miner(e, LABEL),), (miner(e, LABEL, memory, labels),)
    value = loss(e, LABEL, *among) + loss(e, LABEL, *further, ref_emb=memory, ref_labels=labels)
    value.backward()
    tensors = {"e": raw, "labels": LABEL, "loss": value, "de": raw.grad, "memory": memory, "memory_labels": labels}
    out.update({f"{len(cases)}.{key}": tensor.detach().contiguous().clone() for key, tensor in tensors.items()})
    cases.append({"loss": text, "classes": CLASSES, "labels": LABELS, "images": IMAGES})


remembered("supcon temperature=0.5", losses.SupConLoss(temperature=0.5))
remembered("nt-xent temperature=0.5", losses.NTXentLoss(temperature=0.5))
remembered("contrastive positive=0 negative=1", losses.ContrastiveLoss(pos_margin=0, neg_margin=1))
remembered(
    "multi-similarity alpha=2 beta=50 base=0.5 epsilon=0.25",
    losses.MultiSimilarityLoss(alpha=2, beta=50, base=0.5),
    miners.MultiSimilarityMiner(epsilon=0.25),
)

save_file(out, pathlib.Path(__file__).parent / "heads.safetensors", {"cases": json.dumps(cases)})
print(f"{len(cases)} cases: {[round(float(out[f'{number}.loss']), 6) for number in range(len(cases))]}")
