"""Writes retrieval.json beside itself: a small embedding set and its retrieval figures, for tests/eval.rs.

Needs NumPy, PyTorch and pytorch-metric-learning; the file says which versions wrote it. Deterministic:
`python retrieval.py` rewrites the same file.

recall_at_1, r_precision and map_at_r are what AccuracyCalculator calls precision_at_1, r_precision and
mean_average_precision_at_r, for a set that is its own reference. recall_at_2, _4 and _8, which it lacks, are computed
with NumPy: the share of rows that have a row of their label among the K nearest others, over the rows whose label has
another row.
"""

import json
import pathlib

import numpy as np
import pytorch_metric_learning
import torch
from pytorch_metric_learning.distances import LpDistance
from pytorch_metric_learning.utils.accuracy_calculator import AccuracyCalculator
from pytorch_metric_learning.utils.inference import CustomKNN

DIMS = 6
# Rows of each label: more and fewer than the eight neighbours of the deepest recall, and two labels of a single row.
SIZES = [40, 25, 12, 5, 2, 1, 1]
METRICS = dict(recall_at_1="precision_at_1", r_precision="r_precision", map_at_r="mean_average_precision_at_r")


def embeddings():
    """Overlapping clusters, so that no figure is 0 or 1. Four decimals keep the file short."""
    rng = np.random.default_rng(3)
    labels = rng.permutation(np.repeat(np.arange(len(SIZES)), SIZES))
    centres = rng.normal(size=(len(SIZES), DIMS))
    values = np.round(centres[labels] + 1.2 * rng.normal(size=(len(labels), DIMS)), 4).astype(np.float32)
    return values, labels


def squared(values):
    values = values.astype(np.float64)
    return ((values[:, None] - values[None]) ** 2).sum(2)


def recalls(distances, labels):
    others = distances.copy()
    np.fill_diagonal(others, np.inf)
    hits = labels[others.argsort(1)[:, :-1]] == labels[:, None]
    hits = hits[hits.any(1)]
    return {f"recall_at_{k}": float(hits[:, :k].any(1).mean()) for k in (1, 2, 4, 8)}


def main():
    values, labels = embeddings()
    distances = squared(values)
    ordered = np.sort(distances, 1)[:, 1:]
    assert (np.diff(ordered) / ordered[:, 1:]).min() > 1e-6, "float32 must not order distances otherwise"

    calculator = AccuracyCalculator(
        include=tuple(METRICS.values()),
        device=torch.device("cpu"),
        knn_func=CustomKNN(LpDistance(normalize_embeddings=False)),
    )
    found = calculator.get_accuracy(torch.tensor(values, dtype=torch.float64), torch.tensor(labels))
    figures = {name: found[metric] for name, metric in METRICS.items()}
    own = recalls(distances, labels)
    assert abs(own.pop("recall_at_1") - figures["recall_at_1"]) < 1e-12
    golden = dict(
        numpy=np.__version__,
        torch=torch.__version__,
        pytorch_metric_learning=pytorch_metric_learning.__version__,
        dims=DIMS,
        # str() of a float32 is its shortest decimal, which reads back as the same float32.
        values=[float(str(v)) for v in values.ravel()],
        labels=labels.tolist(),
        **figures,
        **own,
    )
    path = pathlib.Path(__file__).with_suffix(".json")
    path.write_text("{\n" + ",\n".join(f"{json.dumps(k)}: {json.dumps(v)}" for k, v in golden.items()) + "\n}\n")


if __name__ == "__main__":
    main()
