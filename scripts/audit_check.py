"""Plants wrong labels among the training pictures of a set of scripts/sets.sh, trains a network on them, and measures
how many of them stand how far ahead in the list of `siamese audit`:

    audit_check.py target/sets/glyphs runs/audit
    audit_check.py target/sets/glyphs runs/audit --share 0.01 --seed 1 --images 30000 --adapter cpu

The set with its wrong labels and the run are kept in the folder, and not made again. The program is
target/release/siamese, or $SIAMESE.
"""

import argparse
import json
import os
import pathlib
import random
import shutil
import subprocess

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("set", type=pathlib.Path, help="with train/ and test/")
parser.add_argument("out", type=pathlib.Path)
parser.add_argument("--share", type=float, default=0.01, help="of the pictures that are planted")
parser.add_argument("--seed", type=int, default=1)
parser.add_argument("--images", default="30000", help="that the training takes")
parser.add_argument("--adapter", default="auto")
options = parser.parse_args()
SIAMESE = os.environ.get("SIAMESE", pathlib.Path(__file__).parents[1] / "target/release/siamese")


def plant(source, target):
    """Copies classes of pictures; a share of the pictures goes to another class each. A wrong one's name begins so."""
    chance = random.Random(options.seed)
    files = sorted(source.glob("*/*.png"))
    classes = sorted({file.parent.name for file in files})
    wrong = set(chance.sample(files, round(options.share * len(files))))
    for file in files:
        own = file.parent.name
        place = target / own / file.name
        if file in wrong:
            other = chance.choice([name for name in classes if name != own])
            place = target / other / f"wrong-{own}-{file.name}"
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, place)


planted, run = options.out / "planted", options.out / "run"
if not planted.exists():
    part = options.out / "part"
    shutil.rmtree(part, ignore_errors=True)
    plant(options.set / "train", part / "train")
    (part / "test").symlink_to((options.set / "test").resolve(), target_is_directory=True)
    part.rename(planted)
adapter = ["--adapter", options.adapter]
if not run.exists():
    train = ["train", "--data", planted, "--images", options.images, "--seed", str(options.seed), "--out", run]
    subprocess.run([SIAMESE, *train, *adapter], check=True)
audit = [SIAMESE, "audit", run, planted / "train", "--json", "--out", options.out / "audit.html", *adapter]
lines = subprocess.run(audit, check=True, stdout=subprocess.PIPE, text=True).stdout.splitlines()
wrong = [pathlib.Path(json.loads(line)["name"]).name.startswith("wrong-") for line in lines]
print(f"{sum(wrong)} wrong labels among {len(wrong)} pictures; found")
for percent in [1, 2, 3, 5]:
    first = wrong[: len(wrong) * percent // 100]
    print(f"  in the first {percent} % of the list {100 * sum(first) / sum(wrong):5.1f} %")
