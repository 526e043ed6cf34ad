#!/usr/bin/env python3
"""Writes lfw.json beside itself: embeddings, a list of pairs, and the figures of LFW's protocol over ten folds, for
tests/unit/lfw.rs. Needs NumPy and SciPy; the file says which versions wrote it. `python lfw.py` rewrites the same file.

The definitions are those of davidsandberg/facenet (src/lfw.py, src/facenet.py, src/validate_on_lfw.py), written anew:
thresholds 0, 0.01, ... below 4 for accuracy and ROC, 0, 0.001, ... for VAL; a pair is accepted below the threshold;
folds of consecutive pairs; VAL's threshold by a spline of first order on the FAR of the other folds; the ROC is the
mean of those of the folds; the EER is found by Brent's method on its linear interpolation.
"""

import json
import pathlib

import numpy as np
import scipy
from scipy import interpolate, optimize

DIMS = 8
PEOPLE = 40
PICTURES = 6
FOLDS = 10


def embeddings(rng, spread):
    centres = rng.normal(size=(PEOPLE, DIMS))
    values = np.repeat(centres, PICTURES, 0) + spread * rng.normal(size=(PEOPLE * PICTURES, DIMS))
    values /= np.linalg.norm(values, axis=1, keepdims=True)
    return np.round(values, 4).astype(np.float32)


def pairs(rng, same_a_fold, different_a_fold, left_out):
    """As LFW lists them: of each fold first the pairs of one person, then those of two; some pictures are missing."""
    found = []
    for _ in range(FOLDS):
        for _ in range(same_a_fold):
            person = rng.integers(PEOPLE)
            a, b = rng.choice(PICTURES, 2, replace=False)
            found.append((int(person * PICTURES + a), int(person * PICTURES + b), True))
        for _ in range(different_a_fold):
            p, q = rng.choice(PEOPLE, 2, replace=False)
            a, b = rng.integers(PICTURES, size=2)
            found.append((int(p * PICTURES + a), int(q * PICTURES + b), False))
    return [pair for at, pair in enumerate(found) if at not in left_out]


def folds(count):
    sizes = np.full(FOLDS, count // FOLDS)
    sizes[: count % FOLDS] += 1
    ends = np.cumsum(sizes)
    for start, end in zip(ends - sizes, ends):
        test = np.arange(start, end)
        yield np.setdiff1d(np.arange(count), test), test


def rates(threshold, distances, same):
    accepted = distances < threshold
    tpr = np.sum(accepted & same) / np.sum(same)
    fpr = np.sum(accepted & ~same) / np.sum(~same)
    return tpr, fpr, np.mean(accepted == same)


def slinear(x, y, at):
    """`interp1d(x, y, kind="slinear")(at)` as SciPy had it in facenet's time: a B-spline whose knots are x. Later ones
    refuse equal knots, of which a FAR by threshold is full."""
    return float(interpolate.BSpline(np.r_[x[0], x, x[-1]], y, 1)(at))


def protocol(values, listed):
    first, second, same = (np.array(column) for column in zip(*listed))
    values = values.astype(np.float64)
    distances = np.sum((values[first] - values[second]) ** 2, 1)
    coarse, fine = np.arange(0, 4, 0.01), np.arange(0, 4, 0.001)
    accuracies, tprs, fprs, vals, fars = [], [], [], [], []
    for others, own in folds(len(same)):
        best = np.argmax([rates(t, distances[others], same[others])[2] for t in coarse])
        of_fold = [rates(t, distances[own], same[own]) for t in coarse]
        tprs.append([rate[0] for rate in of_fold])
        fprs.append([rate[1] for rate in of_fold])
        accuracies.append(of_fold[best][2])
        far = np.array([rates(t, distances[others], same[others])[1] for t in fine])
        threshold = slinear(far, fine, 1e-3) if far.max() >= 1e-3 else 0.0
        val, far, _ = rates(threshold, distances[own], same[own])
        vals.append(val)
        fars.append(far)
    tpr, fpr = np.mean(tprs, 0), np.mean(fprs, 0)
    eer = None
    if np.isclose(fpr[-1], 1.0, rtol=0, atol=1e-12):
        fpr[-1] = 1.0
        eer = optimize.brentq(lambda x: 1.0 - x - interpolate.interp1d(fpr, tpr)(x), 0.0, 1.0)
    return dict(
        accuracy=np.mean(accuracies),
        accuracy_error=np.std(accuracies, ddof=1) / np.sqrt(FOLDS),
        accuracy_deviation=np.std(accuracies),
        val=np.mean(vals),
        val_deviation=np.std(vals),
        far=np.mean(fars),
        auc=np.trapezoid(tpr, fpr),
        eer=eer,
        same=int(np.sum(same)),
        different=int(np.sum(~same)),
        folds=FOLDS,
    )


def main():
    rng = np.random.default_rng(5)
    cases = []
    # Well apart, overlapping, and with pairs left out so that folds are no longer those of the list, of one
    # person fewer.
    for spread, same, different, left_out in [
        (0.35, 30, 30, ()),
        (0.9, 30, 30, ()),
        (0.7, 25, 40, (0, 3, 17, 230, 231, 232, 611)),
        (0.6, 12, 130, ()),
    ]:
        values = embeddings(rng, spread)
        listed = pairs(rng, same, different, left_out)
        cases.append(
            dict(
                dims=DIMS,
                values=[round(float(value), 4) for value in values.ravel()],
                pairs=[[a, b] for a, b, _ in listed],
                same=[int(kind) for _, _, kind in listed],
                found=protocol(values, listed),
            )
        )
    document = dict(numpy=np.__version__, scipy=scipy.__version__, cases=cases)
    path = pathlib.Path(__file__).with_suffix(".json")
    path.write_text(json.dumps(document, separators=(",", ":")) + "\n")
    for case in cases:
        print(case["found"])


main()
