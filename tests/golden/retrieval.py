"""Writes retrieval.json beside itself: a small embedding set and what pytorch-metric-learning says of it.

Needs PyTorch and pytorch-metric-learning (written with 2.15 and 2.9.0). Deterministic: `python retrieval.py` rewrites
the same file. The library's numbers are for the set within itself, each embedding against all others.

The other figures are computed here by their definition, a second time, independently of src/eval:
- recall: whether one of the k nearest has the label.
- verification: ten folds of the pairs in order, the threshold that is best on nine judges the tenth.
"""

import json
import pathlib

import numpy as np
import pytorch_metric_learning
import torch
from pytorch_metric_learning.distances import LpDistance
from pytorch_metric_learning.utils.accuracy_calculator import AccuracyCalculator
from pytorch_metric_learning.utils.inference import CustomKNN

LABELS, DIMS, ROWS, PAIRS = 5, 9, 150, 400
rng = np.random.default_rng(2)
centres = rng.normal(size=(LABELS, DIMS))
# The last label has one row: nothing of it can be found.
labels = np.append(rng.integers(0, LABELS, ROWS - 1) ** 2, 99)
values = centres[np.sqrt(labels).astype(int) % LABELS] + 1.1 * rng.normal(size=(ROWS, DIMS))
values = np.round(values, 4).astype(np.float32)

e, y = torch.from_numpy(values), torch.from_numpy(labels)
metrics = ("precision_at_1", "r_precision", "mean_average_precision_at_r")
knn = CustomKNN(LpDistance(normalize_embeddings=False))
calculator = AccuracyCalculator(include=metrics, k="max_bin_count", knn_func=knn, device=torch.device("cpu"))
found = calculator.get_accuracy(e, y)

d = ((values[:, None].astype(np.float64) - values[None]) ** 2).sum(2)
np.fill_diagonal(d, np.inf)
nearest = labels[d.argsort(1, kind="stable")]
queries = np.flatnonzero((labels[:, None] == labels[None]).sum(1) > 1)
recall = [float((nearest[queries, :k] == labels[queries, None]).any(1).mean()) for k in (1, 2, 4, 8)]
assert abs(recall[0] - found["precision_at_1"]) < 1e-12

positive, negative = rng.uniform(0, 3, PAIRS), rng.uniform(1, 4, PAIRS)
positive, negative = positive.astype(np.float32), negative.astype(np.float32)
accuracy = []
for fold in np.array_split(np.arange(PAIRS), 10):
    rest = np.setdiff1d(np.arange(PAIRS), fold)
    thresholds = np.unique(positive[rest])
    right = [(positive[rest] <= t).sum() + (negative[rest] > t).sum() for t in thresholds]
    t = thresholds[np.argmax(right)]
    accuracy.append(((positive[fold] <= t).sum() + (negative[fold] > t).sum()) / (2 * len(fold)))

shortest = lambda array: [float(str(v)) for v in array.ravel()]
golden = dict(
    pytorch_metric_learning=pytorch_metric_learning.__version__,
    dims=DIMS,
    values=shortest(values),
    labels=labels.tolist(),
    recall=recall,
    r_precision=float(found["r_precision"]),
    map_at_r=float(found["mean_average_precision_at_r"]),
    positive=shortest(positive),
    negative=shortest(negative),
    accuracy=float(np.mean(accuracy)),
    accuracy_error=float(np.std(accuracy, ddof=1) / np.sqrt(10)),
)
path = pathlib.Path(__file__).with_suffix(".json")
path.write_text("{\n" + ",\n".join(f"{json.dumps(k)}: {json.dumps(v)}" for k, v in golden.items()) + "\n}\n")
