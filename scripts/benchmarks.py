"""Runs siamese and other programs side by side on the same workloads, and writes what it finds into docs/benchmarks.md
and docs/benchmarks.svg. scripts/benchmarks.sh makes an environment for it and calls it.

Everything is run in turns, several rounds; what counts is the median. Nothing else should run meanwhile. PyTorch is run
on its GPU where it has one, with TF32 off and on, eager and compiled.

    python scripts/benchmarks.py --also "burn 0.22.1, wgpu=burn_peer --backend wgpu --workload {workload}"
"""

import argparse
import json
import os
import pathlib
import platform
import shlex
import statistics
import subprocess
import sys
import tempfile

import matplotlib

matplotlib.use("svg")
import matplotlib.pyplot as plt

ROOT = pathlib.Path(__file__).parents[1]
SIAMESE = ROOT / "target/release/siamese"
PEERS = ROOT / "benches/peers"
PAGE, PLOT = ROOT / "docs/benchmarks.md", ROOT / "docs/benchmarks.svg"
BEGIN, END = "<!-- written by scripts/benchmarks.py -->", "<!-- end of what scripts/benchmarks.py wrote -->"
WORKLOADS = ["w0", "w1", "w1-infer", "w2", "w3", "w4"]
# Those that TensorFlow's program has.
GREY = WORKLOADS[:4]
# What PyTorch needs on processors to keep its memory instead of asking the system for it in every step.
KEEP_MEMORY = {
    "MALLOC_MMAP_MAX_": "0",
    "MALLOC_TRIM_THRESHOLD_": "16000000000",
    "MALLOC_TOP_PAD_": "256000000",
}
TRIPLETS = [8, 16, 32, 64, 128, 256, 512]
IMAGES = [1, 4, 16, 64, 250, 1000]

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--adapters", nargs="+", default=["cpu", "vulkan"], help="what siamese runs on")
parser.add_argument("--rounds", type=int, default=3)
parser.add_argument("--seconds", type=float, default=5.0, help="of a program in a round")
parser.add_argument("--also", action="append", default=[], metavar="NAME=COMMAND",
                    help="one more program, which prints a JSON line with images_per_s; {workload} is filled in")  # fmt: skip
options = parser.parse_args()


def lines(command, **environment):
    """The JSON lines that a program prints, up to where it fails."""
    done = subprocess.run(command, env=os.environ | environment, capture_output=True, text=True)
    if done.returncode != 0:
        print(f"{shlex.join(map(str, command))} ends with {done.returncode}:\n{done.stderr[-2000:]}", file=sys.stderr)
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]


def siamese(adapter, *arguments, **environment):
    command = [SIAMESE, "bench", "--adapter", adapter, "--json", "--seconds", str(options.seconds / 5), *arguments]
    return [line for line in lines(command, **environment) if line["event"] == "throughput"]


def peer(program, *arguments, **environment):
    def run(workload):
        seconds = ["--seconds", str(options.seconds)]
        return lines([sys.executable, PEERS / program, "--workload", workload, *seconds, *arguments], **environment)

    return run


def has(module):
    return subprocess.run([sys.executable, "-c", f"import {module}"], capture_output=True).returncode == 0


def programs():
    """Every program by name: a function from a workload to its JSON lines."""
    found = {}
    for adapter in options.adapters:
        found[f"siamese, {adapter}"] = lambda workload, adapter=adapter: siamese(adapter, "--workload", workload)
    if has("torch"):
        import torch

        if torch.cuda.is_available():
            for tf32 in [[], ["--tf32"]]:
                name = "PyTorch, TF32" if tf32 else "PyTorch"
                found[name] = peer("pytorch.py", "--device", "cuda", *tf32)
                found[f"{name}, compiled"] = peer("pytorch.py", "--device", "cuda", "--compile", "default", *tf32)
                graphs = ["--compile", "max-autotune"]
                found[f"{name}, compiled, CUDA graphs"] = peer("pytorch.py", "--device", "cuda", *graphs, *tf32)
        else:
            found["PyTorch"] = peer("pytorch.py")
            found["PyTorch, memory kept"] = peer("pytorch.py", **KEEP_MEMORY)
            found["PyTorch, memory kept, channels last"] = peer("pytorch.py", "--channels-last", **KEEP_MEMORY)
            found["PyTorch, compiled, memory kept"] = peer("pytorch.py", "--compile", "default", **KEEP_MEMORY)
    if has("tensorflow"):
        keras = peer("tensorflow_keras.py")
        found["TensorFlow and Keras"] = lambda workload: keras(workload) if workload in GREY else []
    for also in options.also:
        name, command = also.split("=", 1)
        found[name] = lambda workload, command=command: lines(shlex.split(command.format(workload=workload)))
    return found


def medians(programs):
    """Images a second, workload by workload, program by program."""
    speeds, versions = {}, set()
    for workload in WORKLOADS:
        samples = {}
        for _ in range(options.rounds):
            for name, run in programs.items():
                for line in run(workload)[-1:]:
                    samples.setdefault(name, []).append(line["images_per_s"])
                    versions.add(line.get("program", "").split(",")[0])
        speeds[workload] = {name: statistics.median(values) for name, values in samples.items()}
        print(workload, {name: round(speed) for name, speed in speeds[workload].items()}, file=sys.stderr)
    return speeds, sorted(versions - {""})


def table(head, rows):
    cells = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(row) + " |" for row in cells) + "\n"


def number(value):
    return "" if value is None else f"{value:,.0f}"


def speeds_table(speeds, names):
    rows = [[name, *(number(speeds[workload].get(name)) for workload in WORKLOADS)] for name in names]
    return table(["images/s", *WORKLOADS], rows)


def starts_table():
    """First steps, with a shader cache that has everything and with none, and what the host does in a step."""
    rows = []
    for adapter in options.adapters:
        warm = {workload: siamese(adapter, "--workload", workload)[-1] for workload in ["w1", "w1-infer"]}
        with tempfile.TemporaryDirectory() as empty:
            cold = siamese(adapter, "--workload", "w1", "--tune", "off", MESA_SHADER_CACHE_DIR=empty)[-1]
        host = "is the device" if adapter == "cpu" else f"{warm['w1']['host_ms']:.3f} ms"
        first = [f"{line['first_step_s']:.2f} s" for line in [warm["w1"], cold, warm["w1-infer"]]]
        memory = [f"{warm[workload]['bytes'] / 1e6:.0f} MB" for workload in ["w1", "w1-infer"]]
        rows.append([f"siamese, {adapter}", *first, host, *memory])
    head = ["", "w1, first step", "w1, without a shader cache", "w1-infer, first batch", "w1, host a step",
            "w1, memory", "w1-infer, memory"]  # fmt: skip
    return table(head, rows)


def by_batch():
    """Images a second against the rows of a batch: training, embedding."""
    curves = []
    for sizes, arguments in [(TRIPLETS, ["--workload", "w1"]), (IMAGES, ["--workload", "w1-infer"])]:
        batch = ["--batch", ",".join(map(str, sizes))]
        found = {adapter: siamese(adapter, *arguments, *batch) for adapter in options.adapters}
        curves.append({name: [(line["rows"], line["images_per_s"]) for line in own] for name, own in found.items()})
    return curves


def curves_table(curves):
    rows = sorted({rows for curve in curves.values() for rows, _ in curve})
    body = [[f"siamese, {name}", *(number(dict(curve).get(size)) for size in rows)] for name, curve in curves.items()]
    return table(["images in a batch", *map(str, rows)], body)


def plot(speeds, names, curves):
    figure, (bars, by_size) = plt.subplots(1, 2, figsize=(11, 4.2), width_ratios=[3, 2], layout="constrained")
    width = 0.8 / len(names)
    for place, name in enumerate(names):
        at = [x + (place - (len(names) - 1) / 2) * width for x in range(len(WORKLOADS))]
        bars.bar(at, [speeds[workload].get(name, float("nan")) for workload in WORKLOADS], width, label=name)
    bars.set(yscale="log", ylabel="images/s", title="The workloads")
    bars.set_xticks(range(len(WORKLOADS)), WORKLOADS)
    bars.legend(fontsize=7)
    for what, curve in zip(["training w1", "embedding"], curves):
        for name, points in curve.items():
            by_size.plot(*zip(*points), marker="o", label=f"{what}, {name}")
    by_size.set(xscale="log", yscale="log", xlabel="images in a batch", title="siamese, by size of the batch")
    by_size.legend(fontsize=7)
    figure.savefig(PLOT, metadata={"Date": None})


def machine():
    """The processor and the adapters."""
    try:
        names = [line for line in open("/proc/cpuinfo") if line.startswith("model name")]
        processor = names[0].split(":")[1].strip()
    except (OSError, IndexError):
        processor = platform.processor() or platform.machine()
    adapters = subprocess.run([SIAMESE, "adapters", "--json"], capture_output=True, text=True).stdout
    found = [json.loads(line) for line in adapters.splitlines()]
    drivers = "; ".join(f"{adapter['name']} ({adapter['driver']})" for adapter in found if adapter["backend"] != "gl")
    return f"{os.cpu_count()} threads of {processor}; {drivers}"


def main():
    found = programs()
    speeds, versions = medians(found)
    names = [name for name in found if any(name in own for own in speeds.values())]
    curves = by_batch()
    plot(speeds, names, curves)
    text = f"""{BEGIN}

{machine()}. {", ".join(versions)}. Medians of {options.rounds} rounds in turns.

{speeds_table(speeds, names)}
The first training step and the first embedded batch after the start, with the driver's shader cache warm and without it,
what the host spends on a step, and the memory of the plan:

{starts_table()}
Training w1 and embedding by the size of the batch, images/s:

{curves_table(curves[0])}
{curves_table(curves[1])}
![Images a second of the workloads, and by the size of the batch](benchmarks.svg)

{END}"""
    page = PAGE.read_text()
    before, rest = page.split(BEGIN, 1)
    new = PAGE.with_suffix(".new")
    new.write_text(before + text + rest.split(END, 1)[1])
    new.rename(PAGE)


main()
