"""Trains and judges one network in four series, as tables 4 to 6 of FaceNet have them: the length of embeddings, the
quality of test pictures (JPEG), their size, and the number of identities to train on. Prints a table of each in
Markdown and draws docs/sweep.svg; scripts/sweep.sh makes an environment for it and calls it.

Runs, and the test pictures that were made worse, are kept in runs/sweep/, and what is there is not made again. The
program is target/release/siamese, or $SIAMESE.
"""

import argparse
import io
import json
import os
import pathlib
import random
import statistics
import subprocess
import sys

import matplotlib

matplotlib.use("svg")
import matplotlib.pyplot as plt
from PIL import Image

ROOT = pathlib.Path(__file__).parents[1]
SIAMESE = os.environ.get("SIAMESE", ROOT / "target/release/siamese")
PLOT = ROOT / "docs/sweep.svg"
SERIES = ["dims", "jpeg", "pixels", "identities"]
# The network of the preset `pictures`, with another last layer.
SPEC = "conv32 bn relu conv64 bn relu pool conv128 bn relu pool conv128 bn relu pool dense{} l2"
FIGURES = {
    "recall at 1": "recall_at_1",
    "MAP@R": "map_at_r",
    "EER": "eer",
    "TAR at FAR 1e-3": "tar_far_1e3",
}

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--set", type=pathlib.Path, default=ROOT / "target/sets/emoji", help="train/ and test/, disjoint")
parser.add_argument("--out", type=pathlib.Path, default=ROOT / "runs/sweep")
parser.add_argument("--only", choices=SERIES, nargs="+", default=SERIES, help="of the four")
parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2], help="a table has the means")
parser.add_argument("--images", type=int, default=100_000, help="that a training takes")
parser.add_argument("--input", default="64x64x3")
parser.add_argument("--adapter", default="auto")
parser.add_argument("--dims", type=int, nargs="+", default=[16, 32, 64, 128, 256, 512])
parser.add_argument("--jpeg", type=int, nargs="+", default=[10, 20, 30, 50, 70, 90], help="qualities")
parser.add_argument("--pixels", type=int, nargs="+", default=[8, 12, 16, 24, 32, 48, 64], help="of a side")
parser.add_argument("--shares", type=float, nargs="+", default=[1 / 16, 1 / 8, 1 / 4, 1 / 2, 1],
                    help="of the identities")  # fmt: skip
options = parser.parse_args()


def last_line(folder, *arguments):
    """The evaluation that a command prints as the last line of JSON, kept in `folder`."""
    kept = folder / "sweep.json"
    if not kept.exists():
        folder.mkdir(parents=True, exist_ok=True)
        command = [SIAMESE, *arguments, "--adapter", options.adapter, "--json"]
        done = subprocess.run([str(word) for word in command], stdout=subprocess.PIPE, text=True, check=True)
        new = kept.with_suffix(".new")
        new.write_text(done.stdout.strip().splitlines()[-1])
        new.rename(kept)
    return json.loads(kept.read_text())


def trained(seed, dims=128, share=1.0):
    """The folder of a run, and its evaluation."""
    data, name = options.set, f"dims{dims}-share{share:g}-images{options.images}-input{options.input}-seed{seed}"
    if share < 1:
        data = options.out / f"share{share:g}"
        classes = sorted(os.listdir(options.set / "train"))
        random.Random(0).shuffle(classes)
        linked(data / "test", [options.set / "test"])
        linked(data / "train", [options.set / "train" / name for name in classes[: round(share * len(classes))]])
    folder = options.out / name
    arguments = ["--data", data, "--input", options.input, "--preset", "pictures", "--spec", SPEC.format(dims)]
    return folder, last_line(folder, "train", *arguments, "--images", options.images, "--seed", seed, "--out", folder)


def linked(place, targets):
    """Links to one folder, or a folder of links to several."""
    if place.exists():
        return
    if len(targets) == 1:
        place.parent.mkdir(parents=True, exist_ok=True)
        place.symlink_to(targets[0].resolve(), target_is_directory=True)
        return
    place.mkdir(parents=True)
    for target in targets:
        (place / target.name).symlink_to(target.resolve(), target_is_directory=True)


def judged(name, change):
    """The evaluations of the network of each seed on test pictures that `change` has made others of: bytes of a file,
    and its ending."""
    data = options.out / name
    # A set needs a training side; one class of it is enough to judge by.
    first = min(os.listdir(options.set / "train"))
    linked(data / "train" / first, [options.set / "train" / first])
    if not (data / "test").exists():
        part = data / "part"
        for file in sorted((options.set / "test").glob("*/*.png")):
            content, ending = change(Image.open(file))
            place = (part / file.relative_to(options.set / "test")).with_suffix(ending)
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(content)
        part.rename(data / "test")
    for seed in options.seeds:
        run, _ = trained(seed)
        yield last_line(data / f"{run.name}", "eval", run, "--data", data, "--other-data")


def as_jpeg(quality):
    def change(picture):
        ground = Image.new("RGBA", picture.size, "black")
        file = io.BytesIO()
        Image.alpha_composite(ground, picture.convert("RGBA")).convert("RGB").save(file, "JPEG", quality=quality)
        return file.getvalue(), ".jpg"

    return change


def as_small(side):
    def change(picture):
        file = io.BytesIO()
        picture.thumbnail((side, side), Image.Resampling.BILINEAR)
        picture.save(file, "PNG")
        return file.getvalue(), ".png"

    return change


def series():
    """Of each series its title, the name of its variable, and its points: a number, a label, evaluations."""
    plain = lambda **change: [trained(seed, **change)[1] for seed in options.seeds]
    if "dims" in options.only:
        points = [(dims, str(dims), plain(dims=dims)) for dims in options.dims]
        yield "Length of the embedding", "values", points
    if "jpeg" in options.only:
        points = [(quality, str(quality), list(judged(f"jpeg{quality}", as_jpeg(quality)))) for quality in options.jpeg]
        yield "Test pictures as JPEG", "quality", [*points, (100, "as they are", plain())]
    if "pixels" in options.only:
        points = [(side, f"{side}×{side}", list(judged(f"pixels{side}", as_small(side)))) for side in options.pixels]
        yield "Test pictures made small", "pixels of a side", points
    if "identities" in options.only:
        count = len(os.listdir(options.set / "train"))
        points = [(round(share * count), f"{share * count:,.0f}", plain(share=share)) for share in options.shares]
        yield "Identities to train on", "identities", points


def figure(evaluations, key):
    """The mean over the seeds, in percent, and how far they lie apart."""
    values = [100 * found[key] for found in evaluations if found.get(key) is not None]
    if not values:
        return None, ""
    spread = f" ± {statistics.stdev(values):.2f}" if len(values) > 1 else ""
    return statistics.mean(values), f"{statistics.mean(values):.2f} %{spread}"


def main():
    found = list(series())
    figures, places = plt.subplots(1, len(found), figsize=(3.6 * len(found), 3.4), layout="constrained", squeeze=False)
    for place, (title, variable, points) in zip(places[0], found):
        rows = [[variable, *FIGURES], ["---"] * (1 + len(FIGURES))]
        rows += [[label, *(figure(own, key)[1] for key in FIGURES.values())] for _, label, own in points]
        print(f"{title}:\n\n" + "\n".join("| " + " | ".join(row) + " |" for row in rows) + "\n")
        for name, key in FIGURES.items():
            line = [(at, figure(own, key)[0]) for at, _, own in points if figure(own, key)[0] is not None]
            if line:
                place.plot(*zip(*line), marker="o", label=name)
        place.set(title=title, xlabel=variable, ylabel="%", ylim=(0, 100))
        if variable in ("values", "identities"):
            place.set_xscale("log", base=2)
            place.set_xticks([at for at, _, _ in points], [label for _, label, _ in points])
        place.legend(fontsize=7)
    figures.savefig(PLOT, metadata={"Date": None})
    print(f"drawn: {PLOT.relative_to(ROOT)}", file=sys.stderr)


main()
