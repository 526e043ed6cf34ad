"""What the PyTorch and TensorFlow programs beside this file share: MNIST, batches, timing, the answer."""

import argparse
import json
import lzma
import pathlib
import time

import numpy as np

ROWS = {"w0": 3 * 2048, "w1": 3 * 128, "w1-infer": 1000, "w2": 10 * 32, "w3": 32 * 4, "w4": 32 * 4}
IN_COLOUR = ["w3", "w4"]
MARGIN = 0.2


def arguments(about, choices=ROWS):
    parser = argparse.ArgumentParser(description=about)
    parser.add_argument("--workload", choices=choices, required=True)
    parser.add_argument("--seconds", type=float, default=8.0)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--data", type=pathlib.Path, default=pathlib.Path(__file__).parents[2] / "data" / "mnist")
    return parser


def training_set(folder):
    """Images `[60000, 784]` of bytes and their labels."""

    def idx(name):
        return np.frombuffer(lzma.decompress((folder / f"{name}.xz").read_bytes()), np.uint8)

    return idx("train-images-idx3-ubyte")[16:].reshape(-1, 784), idx("train-labels-idx1-ubyte")[8:]


class Batches:
    """Row numbers of random batches."""

    def __init__(self, labels):
        self.random = np.random.default_rng(0)
        self.labels = labels
        self.by_label = np.argsort(labels, kind="stable")
        self.count = np.bincount(labels)
        self.start = np.cumsum(self.count) - self.count

    def triplets(self, count):
        """Anchors, then positives, then negatives."""
        anchors = self.random.integers(0, len(self.labels), count)
        label = self.labels[anchors]
        positives = self.start[label] + self.random.integers(0, self.count[label])
        # Counted past the anchor's label.
        negatives = self.random.integers(0, len(self.labels) - self.count[label])
        negatives += np.where(negatives < self.start[label], 0, self.count[label])
        return np.concatenate([anchors, self.by_label[positives], self.by_label[negatives]])

    def balanced(self, images):
        """`images` images of every label, label by label."""
        rows = np.split(self.by_label, self.start[1:])
        return np.concatenate([self.random.choice(own, images, replace=False) for own in rows])


def measure(program, workload, step, seconds, wait=lambda: None):
    """Runs `step` for some seconds after a warm-up, and prints the median speed as a JSON line."""
    begin = time.perf_counter()
    step()
    wait()
    first = time.perf_counter() - begin
    for _ in range(9):
        step()
    wait()
    times, end = [], time.perf_counter() + seconds
    while time.perf_counter() < end or len(times) < 5:
        start = time.perf_counter()
        step()
        wait()
        times.append(time.perf_counter() - start)
    speed = ROWS[workload] / float(np.median(times))
    print(json.dumps({"event": "throughput", "program": program, "workload": workload, "images_per_s": speed,
                      "first_step_s": first}))
