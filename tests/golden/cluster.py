#!/usr/bin/env python3
"""Makes cluster.json: agreement and clusters as scikit-learn finds them, which tests/cluster.rs compares ours with.

    pip install numpy scikit-learn && python3 cluster.py
"""

import json
from pathlib import Path

import numpy as np
from sklearn.cluster import DBSCAN, AgglomerativeClustering
from sklearn.metrics import adjusted_mutual_info_score, normalized_mutual_info_score

rng = np.random.default_rng(0)


def agreement(labels, clusters):
    labels, clusters = [int(x) for x in labels], [int(x) for x in clusters]
    return {
        "labels": labels,
        "clusters": clusters,
        "nmi": normalized_mutual_info_score(labels, clusters),
        "ami": adjusted_mutual_info_score(labels, clusters),
    }


same = rng.integers(0, 4, 60)
noisy = np.where(rng.random(60) < 0.2, rng.integers(0, 4, 60), same)
agreements = [
    agreement(same, same),
    agreement(same, 3 - same),
    agreement(same, noisy),
    agreement(same, rng.integers(0, 4, 60)),
    agreement(same, rng.integers(0, 17, 60)),
    agreement(same, np.zeros(60)),
    agreement(same, np.arange(60)),
    agreement(np.zeros(5), np.zeros(5)),
    agreement(np.arange(5), np.arange(5)),
    agreement(np.zeros(5), np.arange(5)),
]

centres = rng.normal(size=(4, 3)) * 3
points = np.concatenate([centres[i] + 0.4 * rng.normal(size=(20, 3)) for i in range(4)] + [rng.normal(size=(8, 3)) * 6])
points = points.astype(np.float32)[rng.permutation(len(points))]
squared = ((points[:, None].astype(np.float64) - points[None]) ** 2).sum(-1)


def average(**cut):
    return AgglomerativeClustering(metric="precomputed", linkage="average", **cut).fit_predict(squared).tolist()


document = {
    "agreements": agreements,
    "points": points.ravel().tolist(),
    "dims": 3,
    "dbscan": [
        {"distance": eps**2, "min_rows": least, "clusters": DBSCAN(eps=eps, min_samples=least).fit_predict(points).tolist()}
        for eps, least in [(0.5, 4), (0.8, 5), (1.5, 3)]
    ],
    "by_distance": [{"distance": d, "clusters": average(n_clusters=None, distance_threshold=d)} for d in [1.0, 4.0, 30.0]],
    "by_count": [{"count": n, "clusters": average(n_clusters=n)} for n in [1, 4, 9]],
}
Path(__file__).with_suffix(".json").write_text(json.dumps(document) + "\n")
