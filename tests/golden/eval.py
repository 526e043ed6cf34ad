"""Writes eval.json beside itself: a small embedding set and its figures, for tests/unit/eval.rs.

Needs NumPy only. Deterministic: `python eval.py` rewrites the same file.

The definitions, each written here a second time, independently of src/eval:
- knn5: the label with most votes among the 5 nearest references; on a tie the smallest sum of ranks, then the smallest
  label.
- centroid: the nearest plain mean of a label's references.
- one_shot: the first query of each label is its gallery image; the others go to the nearest one. A threshold on the
  mean squared difference refuses those that are not strictly below it.
- one_shot_galleries: one_shot over galleries of one random query a label, drawn from default_rng(seed) gallery by
  gallery, labels ascending: the mean, and the 2.5 and 97.5 percentiles.
- pairs: positive anchors, positive partners, negative anchors, negative partners, in this order from default_rng(seed);
  then the negative partners of the anchor's own label anew until none is left.
- auc: P(positive pair nearer) + P(equally near) / 2.
- eer: where the line between two points of the ROC crosses FAR = FRR.
- tar_far_1e3: the share of positive pairs no farther than the farthest negative pair up to which no more than 0.001 of
  the negative pairs lie; where the nearest tie and are more, the share of positive pairs nearer than those; none with
  fewer than 1000 negative pairs. tar_far_1e2 and tar_far_1e4 likewise.
- intervals: the 2.5 and 97.5 percentiles of these rates over replicas; replica i draws as many positive and then as
  many negative pairs, with replacement, from default_rng(seed << 32 | i) with seed 0, out of the pairs in ascending
  order of distance.
- accuracy: as in LFW, the mean accuracy of each of ten folds at the threshold that is best on the other nine, halfway
  between two distances of those, and the standard error of that mean.
- judged: the far and tar of the second half of the pairs at the threshold of tar_far_1e2 of the first half.
"""

import json
import pathlib

import numpy as np

LABELS, DIMS, REFERENCES, QUERIES = 4, 20, 200, 160
COUNT = 2000
GALLERIES = REPLICAS = 1000
FOLDS = 10
HALVES = slice(COUNT // 2), slice(COUNT // 2, COUNT)
FARS = dict(tar_far_1e2=1e-2, tar_far_1e3=1e-3, tar_far_1e4=1e-4)


def embeddings():
    """Overlapping clusters, so that no figure is 0 or 1. Four decimals keep the file short."""
    rng = np.random.default_rng(1)
    centres = rng.normal(size=(LABELS, DIMS))
    labels = rng.integers(0, LABELS, REFERENCES + QUERIES)
    values = np.round(centres[labels] + 1.4 * rng.normal(size=(len(labels), DIMS)), 4).astype(np.float32)
    return (values[:REFERENCES], labels[:REFERENCES]), (values[REFERENCES:], labels[REFERENCES:])


def squared(a, b):
    a, b = a.astype(np.float64), b.astype(np.float64)
    return ((a[:, None] - b[None]) ** 2).sum(2)


def knn5(neighbours, reference_labels, query_labels):
    right = 0
    for row, label in zip(reference_labels[neighbours], query_labels):
        key = {c: (-np.sum(row == c), np.flatnonzero(row == c).sum(), c) for c in row}
        right += min(key, key=key.get) == label
    return right / len(query_labels)


def pairs(labels, seed):
    rng = np.random.default_rng(seed)
    rows = len(labels)
    anchors = rng.integers(0, rows, COUNT)
    sizes = np.bincount(labels)
    partners = np.empty(COUNT, np.int64)
    for i, pick in enumerate(rng.integers(0, sizes[labels[anchors]] - 1)):
        others = np.flatnonzero(labels == labels[anchors[i]])
        partners[i] = others[others != anchors[i]][pick]
    positive = np.stack([anchors, partners], 1)

    negative = np.stack([rng.integers(0, rows, COUNT), rng.integers(0, rows, COUNT)], 1)
    while (same := labels[negative[:, 0]] == labels[negative[:, 1]]).any():
        negative[same, 1] = rng.integers(0, rows, same.sum())
    return positive, negative


def distances(values, pairs):
    return ((values[pairs[:, 0]] - values[pairs[:, 1]]) ** 2).sum(1)


def below(distances, thresholds, side="right"):
    return np.searchsorted(distances, thresholds, side)


def tar_at_far(dp, dn, far):
    """The rate and its threshold, or None twice."""
    admitted = int(far * len(dn) + 1e-9)
    if admitted == 0:
        return None, None
    found, counts = np.unique(dn, return_counts=True)
    inside = found[np.cumsum(counts) <= admitted]
    limit = inside[-1] if len(inside) else np.nextafter(dn[0], np.float32(-np.inf))
    return float(below(dp, limit) / len(dp)), float(limit)


def rates(dp, dn):
    """The rates of sorted distances, and the threshold of the equal error rate."""
    auc = 1 - (below(dn, dp, "left") + below(dn, dp)).sum() / (2 * len(dp) * len(dn))
    t = np.union1d(dp, dn)
    far, frr = below(dn, t) / len(dn), 1 - below(dp, t) / len(dp)
    i = np.flatnonzero(far >= frr)[0]
    assert i > 0, "the crossing lies between two points"
    w = (frr[i - 1] - far[i - 1]) / (frr[i - 1] - far[i - 1] + far[i] - frr[i])
    t = t.astype(np.float64)
    eer, threshold = ((1 - w) * x[i - 1] + w * x[i] for x in (far, t))
    found = dict(auc=float(auc), eer=float(eer))
    found.update({name: tar_at_far(dp, dn, far)[0] for name, far in FARS.items()})
    return found, float(threshold)


def replica(dp, dn, seed):
    rng = np.random.default_rng(seed)
    draw = lambda d: np.sort(d[rng.integers(0, len(d), len(d))])
    dp = draw(dp)
    return rates(dp, draw(dn))[0]


def middle(figures):
    low, high = np.percentile(figures, [2.5, 97.5])
    return dict(low=float(low), high=float(high))


def verification(values, positive, negative):
    dp, dn = (np.sort(distances(values, p)) for p in (positive, negative))
    found, eer_threshold = rates(dp, dn)
    replicas = [replica(dp, dn, seed) for seed in range(REPLICAS)]
    return dict(
        found,
        eer_threshold=eer_threshold,
        tar_far_1e3_threshold=tar_at_far(dp, dn, 1e-3)[1],
        intervals={
            name: None if rate is None else middle([drawn[name] for drawn in replicas]) for name, rate in found.items()
        },
        accuracy=accuracy(distances(values, positive), distances(values, negative)),
    )


def accuracy(dp, dn):
    d = np.concatenate([dp, dn]).astype(np.float64)
    same = np.arange(len(d)) < len(dp)
    fold = np.concatenate([np.arange(len(x)) * FOLDS // len(x) for x in (dp, dn)])
    found = []
    for own in range(FOLDS):
        others = fold != own
        t = np.unique(d[others])
        t = np.concatenate([[-np.inf], (t[:-1] + t[1:]) / 2, [np.inf]])
        right = [((d[others] <= x) == same[others]).sum() for x in t]
        # argmax answers the first of several best.
        found.append((((d <= t[np.argmax(right)]) == same)[~others]).mean())
    return dict(mean=float(np.mean(found)), error=float(np.std(found, ddof=1) / np.sqrt(FOLDS)))


def judged(values, positive, negative):
    (dp, dn), (tp, tn) = ([np.sort(distances(values, p[half])) for p in (positive, negative)] for half in HALVES)
    limit = tar_at_far(dp, dn, 1e-2)[1]
    return dict(threshold=limit, far=float((tn <= limit).mean()), tar=float((tp <= limit).mean()))


def galleries(query, labels, seed):
    rng = np.random.default_rng(seed)
    d = squared(query, query)
    rows = [np.flatnonzero(labels == c) for c in range(LABELS)]
    found = []
    for _ in range(GALLERIES):
        gallery = [own[rng.integers(0, len(own))] for own in rows]
        probes = np.setdiff1d(np.arange(len(labels)), gallery)
        found.append((d[np.ix_(probes, gallery)].argmin(1) == labels[probes]).mean())
    return dict(mean=float(np.mean(found)), **middle(found), galleries=GALLERIES)


def fnv1a(positive, negative):
    """64-bit FNV-1a over the pairs as little-endian u32, positive ones first."""
    hashed = 0xCBF29CE484222325
    for byte in np.concatenate([positive, negative]).astype("<u4").tobytes():
        hashed = (hashed ^ byte) * 0x100000001B3 % 2**64
    return f"{hashed:016x}"


def main():
    (reference, reference_labels), (query, query_labels) = embeddings()
    neighbours = squared(query, reference).argsort(1, kind="stable")[:, :5]
    means = np.stack([reference[reference_labels == c].astype(np.float64).mean(0) for c in range(LABELS)])

    gallery = [int(np.flatnonzero(query_labels == c)[0]) for c in range(LABELS)]
    probes = np.setdiff1d(np.arange(QUERIES), gallery)
    mean_squared = squared(query[probes], query[gallery]) / DIMS
    right, nearest = mean_squared.argmin(1) == query_labels[probes], mean_squared.min(1)
    thresholds = [
        dict(threshold=t, accepted=float((nearest < t).mean()), right=float((right & (nearest < t)).mean()))
        for t in (2.5, 3.5)
    ]

    lists = {seed: pairs(query_labels, seed) for seed in (0, 7)}
    golden = dict(
        numpy=np.__version__,
        dims=DIMS,
        # str() of a float32 is its shortest decimal, which reads back as the same float32.
        reference=[float(str(v)) for v in reference.ravel()],
        reference_labels=reference_labels.tolist(),
        query=[float(str(v)) for v in query.ravel()],
        query_labels=query_labels.tolist(),
        neighbours=neighbours.ravel().tolist(),
        knn5=knn5(neighbours, reference_labels, query_labels),
        centroid=float((squared(query, means).argmin(1) == query_labels).mean()),
        one_shot=float(right.mean()),
        one_shot_galleries=galleries(query, query_labels, 0),
        gallery=gallery,
        thresholds=thresholds,
        verification=verification(query, *lists[0]),
        # Rounded down to whole numbers, distances tie often, also between positive and negative pairs.
        verification_of_floor=verification(np.floor(query), *lists[0]),
        judged=judged(query, *lists[0]),
        pair_count=COUNT,
        pairs=[
            dict(seed=seed, positive=p[:20].tolist(), negative=n[:20].tolist(), fnv1a=fnv1a(p, n))
            for seed, (p, n) in lists.items()
        ],
    )
    path = pathlib.Path(__file__).with_suffix(".json")
    path.write_text("{\n" + ",\n".join(f"{json.dumps(k)}: {json.dumps(v)}" for k, v in golden.items()) + "\n}\n")


if __name__ == "__main__":
    main()
