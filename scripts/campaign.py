"""What becomes of a run's files when things go wrong around it: kills at any moment, of one of two ranks too, and at
chosen system calls, full disks, closed pipes and terminals, senseless command lines, hostile files. Names what failed
on stderr, prints a table of figures, and ends with 1 where something failed. scripts/campaign.sh builds the program and
calls it.

    python3 scripts/campaign.py                            # everything, at most twenty minutes
    python3 scripts/campaign.py --share 0.1 kills disk     # a tenth of two parts
    python3 scripts/campaign.py --program target/debug/siamese --seed 7

Needs Linux. Full disks need root, kills at system calls need strace, and ranks mpirun and a program with the feature
`mpi`: without them they are left out, and the table says so.
"""

import argparse
import fcntl
import hashlib
import json
import os
import pathlib
import pty
import random
import re
import select
import shlex
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import termios
import time
import zlib

ROOT = pathlib.Path(__file__).resolve().parents[1]
CPU = "--adapter cpu"
SET = f"{CPU} --data set"
NET = "--spec 'conv8 relu pool dense32 l2'"
CHECKPOINT, PAGE = "checkpoint.safetensors", "report.html"

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("parts", nargs="*", metavar="PART", help="kills, ranks, calls, disk, pipes, words, hostile")
parser.add_argument("--program", type=pathlib.Path, default=ROOT / "target/release/siamese")
parser.add_argument("--share", type=float, default=1.0, help="of the cases")
parser.add_argument("--seed", type=int, default=1)
options = parser.parse_args()
PROGRAM = str(options.program.resolve())
dice = random.Random(options.seed)
os.environ["RUST_BACKTRACE"] = "0"
os.environ.setdefault("XDG_RUNTIME_DIR", tempfile.gettempdir())

table, failures = [], []


def row(part, what, count, note=""):
    table.append((part, what, count, note))


def fail(part, words):
    failures.append(f"{part}: {words}")
    print(f"FAILED {failures[-1]}", file=sys.stderr, flush=True)


def share(count):
    return max(1, round(count * options.share))


# ------------------------------------------------------------------------------------------------- programs and files
# Each part works in a folder of its own, where `set` is a small data set: paths are relative to it.


class Ended:
    """How a run ended: its exit code (negative: the signal), what it printed, its seconds and most memory in bytes."""

    def __init__(self, code, out, err, seconds, memory):
        self.code, self.out, self.err, self.seconds, self.memory = code, out, err, seconds, memory

    def fault(self, codes=(0, 2)):
        """What no run may do, if it did it."""
        if self.code == "hung":
            return f"hung for {self.seconds:.0f} s"
        if "panicked" in self.err:
            return " ".join(self.err[self.err.index("panicked") :].split())[:200]
        return None if self.code in codes else f"exit code {self.code}: {self.error()}"

    def error(self):
        lines = self.err.strip().splitlines() or [""]
        return next((line for line in lines if line.startswith(("error", "memory"))), lines[-1])[:200]


def run(line, limit=120, prefix=()):
    """Runs the program with the arguments of a line, or a list of them, to its end."""
    arguments = shlex.split(line) if isinstance(line, str) else line
    begin = time.monotonic()
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        program = subprocess.Popen([*prefix, PROGRAM, *arguments], stdin=subprocess.DEVNULL, stdout=out, stderr=err)
        code = None
        while code is None:
            pid, status, usage = os.wait4(program.pid, os.WNOHANG)
            if pid:
                code = os.waitstatus_to_exitcode(status)
            elif time.monotonic() - begin > limit:
                program.kill()
                usage = os.wait4(program.pid, 0)[2]
                code = "hung"
            else:
                time.sleep(0.005)
        program.returncode = 0
        texts = []
        for file in (out, err):
            file.seek(0)
            texts.append(file.read().decode(errors="replace"))
    return Ended(code, *texts, time.monotonic() - begin, usage.ru_maxrss << 10)


def must(line):
    done = run(line)
    if done.code != 0:
        sys.exit(f"siamese {line} ends with {done.code}: {done.err}")


def digest(path):
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else None


def head_and_data(path):
    """The two parts of a safetensors file."""
    data = path.read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    return json.loads(data[8 : 8 + length]), data[8 + length :]


def safetensors(head, data):
    text = json.dumps(head).encode()
    return struct.pack("<Q", len(text)) + text + data


def torn(path):
    """Why a file is not whole, if it is there and is not."""
    if not path.exists():
        return None
    try:
        if path.suffix in (".safetensors", ".gallery"):
            head, data = head_and_data(path)
            ends = [tensor["data_offsets"][1] for name, tensor in head.items() if name != "__metadata__"]
            return None if len(data) == max(ends) else f"{len(data)} bytes of {max(ends)}"
        if path.suffix == ".json":
            json.loads(path.read_text())
        if path.suffix == ".html" and not path.read_text().rstrip().endswith("</html>"):
            return "it has no end"
    except (ValueError, KeyError, struct.error) as error:
        return repr(error)
    return None


def left_over(folder):
    """Temporary files of the program."""
    return [path.name for path in folder.rglob(".tmp*")]


def make_set(name, classes=4, train=300, test=120, side=8):
    """IDX files: a pattern for each class, on noise."""
    folder = pathlib.Path(name)
    folder.mkdir()
    chance = random.Random(0)
    patterns = [bytes(chance.randrange(200) for _ in range(side * side)) for _ in range(classes)]
    for part, count in (("train", train), ("t10k", test)):
        labels = bytes(number % classes for number in range(count))
        images = b"".join(bytes(pixel + chance.randrange(56) for pixel in patterns[label]) for label in labels)
        (folder / f"{part}-images-idx3-ubyte").write_bytes(struct.pack(">IIII", 0x803, count, side, side) + images)
        (folder / f"{part}-labels-idx1-ubyte").write_bytes(struct.pack(">II", 0x801, count) + labels)


def png(width, height, channels=1, pixel=0):
    """A PNG of one colour."""
    packer, line = zlib.compressobj(9), b"\0" + bytes([pixel]) * (width * channels)
    body = b"".join(packer.compress(line) for _ in range(height)) + packer.flush()
    head = struct.pack(">IIBBBBB", width, height, 8, {1: 0, 3: 2}[channels], 0, 0, 0)
    chunks = [(b"IHDR", head), (b"IDAT", body), (b"IEND", b"")]
    pack = struct.Struct(">I").pack
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        pack(len(data)) + kind + data + pack(zlib.crc32(kind + data)) for kind, data in chunks
    )


def make_model():
    must(f"train {SET} {NET} --batch 4x8 --steps 40 --out model")
    must(f"enroll model a.gallery {SET} --set train --take first --per-class 2")


# --------------------------------------------------------------------------------------------------------------- kills

CONFIGURATIONS = {
    "plain": "--batch 4x8 --steps 3000",
    "everything": "--batch 4x8 --steps 1500 --ema 0.999 --augment elastic --schedule step --warmup 50 --clip 1",
    "validation": "--batch 4x8 --steps 2000 --validation 60 --validate-every 100",
    "patience": "--batch 4x8 --steps 4000 --validation 60 --validate-every 100 --patience 8",
    "unseen labels": "--batch 2x8 --steps 2000 --train-classes 0-1 --weight-decay 0.01",
    "random triplets": "--batch 12 --steps 2000 --mining random --margin 0.5",
    "short": "--batch 4x8 --steps 40",
}


def kills():
    """Trainings killed at any moment and resumed: the same bytes as uninterrupted ones, and a page."""
    base, out, total, runs = pathlib.Path("base"), pathlib.Path("out"), 0, 0
    each = -(-share(120) // (len(CONFIGURATIONS) + 2))
    kinds = [(name, "KILL") for name in CONFIGURATIONS] + [("validation", "INT"), ("plain", "TERM")]
    for name, kind in kinds:
        train = f"train {SET} {NET} {CONFIGURATIONS[name]} --seed {dice.randrange(100)} --save-every 20 --out "
        shutil.rmtree(base, ignore_errors=True)
        begin = time.monotonic()
        must(train + "base")
        length, done = time.monotonic() - begin, 0
        while done < each:
            killed = killed_run(train + "out", out, kind, length)
            done, runs, case = done + killed, runs + 1, f"{name} after {killed} x {kind}"
            for file in (CHECKPOINT, "best.safetensors", "figures.json"):
                if digest(base / file) != digest(out / file):
                    fail("kills", f"{case}: {file} is not that of the uninterrupted run")
            if not (out / PAGE).exists() or torn(out / PAGE):
                fail("kills", f"{case}: there is no whole page")
            if fault := run("report out").fault(codes=(0,)):
                fail("kills", f"{case}: report: {fault}")
            if left_over(out):
                fail("kills", f"{case}: {left_over(out)} are left")
            shutil.rmtree(out)
        total += done
    row("kills", f"kills of trainings, {len(kinds)} configurations", total, f"{runs} runs ended with bytes and page")


def killed_run(train, out, kind, length):
    """Starts and resumes a training until it ends by itself; answers how often it was killed."""
    count, faults = 0, 0
    while faults < 3:
        resume = f"train {CPU} --out out --resume --save-every 20"
        command = shlex.split(resume if (out / CHECKPOINT).exists() else train)
        program = subprocess.Popen([PROGRAM, *command], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        # Now and then in its first moments; after many kills no more, so that it comes to an end.
        wait = dice.uniform(0.005, 0.05) if dice.random() < 0.2 else dice.uniform(0.02, 0.9) * length
        try:
            words = program.communicate(timeout=wait if count < 30 else 300)[1]
            codes = (0,)
        except subprocess.TimeoutExpired:
            program.send_signal(getattr(signal, f"SIG{kind}"))
            words = program.communicate()[1]
            # By default a signal ends a program that has not yet said what it wants to do about it.
            codes, count = (0, 130, -getattr(signal, f"SIG{kind}")), count + 1
        for file in out.glob("*.safetensors"):
            if torn(file):
                fail("kills", f"{file.name} is torn after {count} x {kind}: {torn(file)}")
        if program.returncode not in codes or "panicked" in words:
            fail("kills", f"after {count} x {kind} it ends with {program.returncode}: {words.strip()[-300:]}")
            faults += 1
        elif program.returncode == 0:
            break
    return count


# --------------------------------------------------------------------------------------------------------------- ranks

MPIRUN = ("mpirun", "-n", "2")
# Open MPI starts nothing as root and no more ranks than cores unless it is told to.
os.environ |= {"OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"}
os.environ |= {"OMPI_MCA_rmaps_base_oversubscribe": "1"}


def ranks():
    """One of two ranks killed at any moment: a soon end with a code, a whole checkpoint, the same bytes after all."""
    train = f"train --crew mpi {SET} {NET} --batch 4x8 --steps 200 --save-every 10 --out "
    if not shutil.which("mpirun"):
        return row("ranks", "no mpirun here", 0)
    begin = time.monotonic()
    done = run(train + "base", prefix=MPIRUN)
    if "without MPI" in done.err:
        return row("ranks", "the program is built without MPI", 0)
    if fault := done.fault(codes=(0,)):
        return fail("ranks", fault)
    base, out, length, ends = pathlib.Path("base"), pathlib.Path("out"), time.monotonic() - begin, []
    while len(ends) < share(20):
        rank, wait = dice.randrange(2), dice.uniform(0.02, 0.98) * length
        command = [*MPIRUN, PROGRAM, *shlex.split(train + "out")]
        job = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        time.sleep(wait)
        while job.poll() is None and rank not in (there := processes_of_ranks()):
            time.sleep(0.01)
        case = f"rank {rank} killed after {wait:.2f} s"
        if job.poll() is None:
            os.kill(there[rank], signal.SIGKILL)
            killed = time.monotonic()
            try:
                words = job.communicate(timeout=15)[1]
                ends.append(time.monotonic() - killed)
            except subprocess.TimeoutExpired:
                job.kill()
                words = job.communicate()[1]
                ends.append(15)
                fail("ranks", f"{case}: the job has not ended after 15 s")
            # Open MPI names the rank, MPICH its process.
            if job.returncode == 0 or (f"rank {rank}" not in words and str(there[rank]) not in words):
                fail("ranks", f"{case}: code {job.returncode}: {words.strip()[-300:]}")
            if torn(out / CHECKPOINT):
                fail("ranks", f"{case}: the checkpoint is torn: {torn(out / CHECKPOINT)}")
            resume = f"train --crew mpi {CPU} --out out --resume --save-every 20"
            done = run(resume if (out / CHECKPOINT).exists() else train + "out", prefix=MPIRUN)
            if fault := done.fault(codes=(0,)):
                fail("ranks", f"{case}: gone on with: {fault}")
            if digest(base / CHECKPOINT) != digest(out / CHECKPOINT):
                fail("ranks", f"{case}: the checkpoint is not that of the uninterrupted run")
        else:
            job.communicate()
        shutil.rmtree(out, ignore_errors=True)
    row("ranks", "kills of one of two ranks", len(ends), f"ended within {max(ends):.1f} s")


def processes_of_ranks():
    """Process of each rank of the job that works in this folder."""
    found = {}
    for process in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            if os.readlink(process / "exe") != PROGRAM or os.readlink(process / "cwd") != os.getcwd():
                continue
            known = dict(entry.partition("=")[::2] for entry in (process / "environ").read_text().split("\0"))
            found[int(known.get("OMPI_COMM_WORLD_RANK", known.get("PMI_RANK")))] = int(process.name)
        except (OSError, TypeError):
            continue
    return found


# ------------------------------------------------------------------------------------------------------ calls and disk

RUN_FILES = f"out/run/{CHECKPOINT} out/run/run.json out/run/figures.json out/run/{PAGE}"
SHARD = "out/shards/shard-1-of-2"
# Commands that write, what they write, and what lies there before.
WRITERS = [
    (f"train {SET} {NET} --batch 4x8 --steps 30 --out out/run", RUN_FILES, None),
    (f"train {CPU} --out out/run --resume --steps 60", RUN_FILES, ("model", "run")),
    ("report out/run", f"out/run/{PAGE}", ("model", "run")),
    (f"enroll model out/a.gallery {SET} --set test", "out/a.gallery", ("a.gallery", "a.gallery")),
    (f"embed model {SET} --set train --out out/e.npy", "out/e.npy out/e.npy.json", None),
    (f"embed model {SET} --set train --out out/e.csv", "out/e.csv", None),
    (f"embed model {SET} --set train --out out/e.parquet", "out/e.parquet", None),
    (f"embed model {SET} --set train --out out/shards --shard 1/2", f"{SHARD}.parquet {SHARD}.json", None),
    (f"embed model {SET} --set test --out out/projector", "out/projector/vectors.tsv out/projector/sprite.png", None),
    ("export model --out out/x.onnx", "out/x.onnx", None),
    (f"eval model {SET} --roc out/roc.csv", "out/roc.csv", None),
]  # fmt: skip


def prepare(before):
    if before:
        source, name = before
        (shutil.copytree if os.path.isdir(source) else shutil.copy)(source, f"out/{name}")


def written(part, case, files, old):
    """Complains of files that are lost or torn."""
    for file in map(pathlib.Path, files.split()):
        if old[str(file)] and not file.exists():
            fail(part, f"{case}: {file} is lost")
        elif torn(file):
            fail(part, f"{case}: {file} is torn: {torn(file)}")


def calls():
    """Kills at a system call, and system calls that fail."""
    if not shutil.which("strace"):
        return row("calls", "left out: there is no strace", 0)
    make_model()
    out, killed, failed, wanted = pathlib.Path("out"), 0, 0, share(150)
    names = ["fsync", "rename,renameat,renameat2", "openat", "write", "fchmod", "mkdir", "flock"]
    # Libraries and devices are opened first, and files are written in many parts.
    spans = {"openat": (15, 60), "write": (1, 60)}
    for _ in range(5 * wanted):
        if killed + failed == wanted:
            break
        (command, files, before), name = dice.choice(WRITERS), dice.choice(names)
        kind, when = dice.choice(["signal=KILL", "error=EIO", "error=ENOSPC"]), dice.randrange(*spans.get(name, (1, 6)))
        shutil.rmtree(out, ignore_errors=True)
        out.mkdir()
        prepare(before)
        old = {file: digest(pathlib.Path(file)) for file in files.split()}
        strace = f"strace -f -qq -o /dev/null -e trace={name} -e inject={name}:{kind}:when={when}"
        done = run(command, prefix=strace.split())
        # It came to fewer such calls, or did without.
        if done.code == 0:
            continue
        case, kill = f"{command}, {kind} at {name} {when}", kind == "signal=KILL"
        killed, failed = killed + kill, failed + (not kill)
        # 127: the program could not even be loaded.
        if fault := done.fault((-9, 137) if kill else (2, 127)):
            fail("calls", f"{case}: {fault}")
        written("calls", case, files, old)
        again = f"train {CPU} --out out/run --resume" if (out / "run" / CHECKPOINT).exists() else command
        if fault := run(command if "report" in command else again).fault(codes=(0,)):
            fail("calls", f"{case}: the same again: {fault}")
        if left_over(out):
            fail("calls", f"{case}: {left_over(out)} are left after the next run")
    row("calls", "kills at a system call", killed)
    row("calls", "system calls that failed", failed)


def disk():
    """Commands on a disk that is full, or nearly."""
    if os.geteuid() != 0:
        return row("disk", "left out: mounting needs root", 0)
    make_model()
    out, runs, refused = pathlib.Path("out"), 0, 0
    out.mkdir()
    for command, files, before in WRITERS:
        for free in dice.sample([*range(0, 120, 3), *range(120, 600, 40)], min(share(30), 52)):
            subprocess.run(["mount", "-t", "tmpfs", "-o", "size=6m", "none", out], check=True)
            try:
                prepare(before)
                old = {file: digest(pathlib.Path(file)) for file in files.split()}
                space = os.statvfs(out)
                (out / "fill").write_bytes(bytes(max(0, space.f_bavail * space.f_frsize - free * 1024)))
                done, case = run(command), f"{command} with {free} KiB free"
                runs, refused = runs + 1, refused + (done.code != 0)
                if fault := done.fault():
                    fail("disk", f"{case}: {fault}")
                written("disk", case, files, old)
                if done.code == 0 and not all(os.path.exists(file) for file in files.split()):
                    fail("disk", f"{case}: code 0 without all of {files}")
                if done.code == 2 and "error" not in done.err:
                    fail("disk", f"{case}: code 2 without a word")
                if left_over(out):
                    fail("disk", f"{case}: {left_over(out)} are left")
            finally:
                subprocess.run(["umount", out], check=True)
    row("disk", "commands on full disks", runs, f"{refused} refused")


# --------------------------------------------------------------------------------------------------------------- pipes

GONE = ["{} --json | head -n 1", "{} --json | true", "{} | true", "{} 2>&1 | head -n 2", "{} --json >/dev/full",
        "{} 2>/dev/full", "{} --json >&-", "{} 2>&-", "{} <&- >&- 2>&-"]  # fmt: skip
# What these are for may be cut short without a word; a full device may not.
PRINTERS = [f"recognize model a.gallery {SET} --set test", f"cluster model {SET} --set test --json",
            f"eval model {SET} --json", "plan --data set", "adapters", "completions bash"]  # fmt: skip


def shell(line, command):
    """The exit code of the program in a line of the shell, and its words."""
    line = f"{line.format(f'{shlex.quote(PROGRAM)} {command}')}; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", line], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    return done.returncode, done.stderr


def pipes():
    """Readers that go away, terminals that close, keys."""
    make_model()
    out, runs = pathlib.Path("out"), 0
    train = f"train {SET} {NET} --batch 4x8 --save-every 100 --out out"
    for line in GONE:
        shutil.rmtree(out, ignore_errors=True)
        runs += 1
        code, _ = shell(line, f"{train} --steps 400")
        if code != 0 or not (out / PAGE).exists():
            fail("pipes", f"train, {line}: exit code {code}, {sorted(path.name for path in out.glob('*'))}")
    for command in PRINTERS:
        for line, wanted in (("{} | true", 0), ("{} 2>&1 | true", 0), ("{} >/dev/full", 2)):
            runs += 1
            code, words = shell(line, command)
            if code != wanted or "panicked" in words:
                fail("pipes", f"{command}, {line}: exit code {code}: {words[-200:]}")
    row("pipes", "readers that went away", runs)
    keys = ["close", "ctrl-c", "ctrl-c twice", "stop", "resize"]
    cases = [(how, "") for how in keys] + [(how, "--tui") for how in [*keys, "q"]]
    for how, page in cases:
        shutil.rmtree(out, ignore_errors=True)
        code, case = in_terminal(f"{train} --steps 20000 {page}", how), f"{how} {page}".strip()
        if code != 130:
            fail("pipes", f"{case}: exit code {code}")
        if not (out / CHECKPOINT).exists():
            fail("pipes", f"{case}: nothing is saved")
            continue
        step = json.loads(head_and_data(out / CHECKPOINT)[0]["__metadata__"]["siamese"])["step"]
        if fault := run(f"train {CPU} --out out --resume --steps {step + 50}").fault(codes=(0,)):
            fail("pipes", f"{case}: it cannot be resumed: {fault}")
    row("pipes", "terminals closed, keys pressed", len(cases))


def in_terminal(line, how):
    """Runs the program in a terminal of its own, does something to it after a while, and answers the exit code."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.execv(PROGRAM, ["siamese", *shlex.split(line)])
    begin, acted, is_open = time.monotonic(), False, True
    while time.monotonic() - begin < 60:
        if not is_open:
            time.sleep(0.02)
        elif select.select([terminal], [], [], 0.02)[0]:
            try:
                os.read(terminal, 1 << 16)
            except OSError:
                is_open = False
        if time.monotonic() - begin > 1 and not acted:
            acted = True
            if how == "close":
                os.close(terminal)
                is_open = False
                continue
            if how == "stop":
                os.kill(pid, signal.SIGSTOP)
                time.sleep(0.3)
                os.kill(pid, signal.SIGCONT)
            if how == "resize":
                fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 2, 3, 0, 0))
                time.sleep(0.3)
            os.write(terminal, {"q": b"q", "ctrl-c twice": b"\x03\x03"}.get(how, b"\x03"))
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            break
    else:
        os.kill(pid, signal.SIGKILL)
        status = os.waitpid(pid, 0)[1]
    if how != "close":
        os.close(terminal)
    return os.waitstatus_to_exitcode(status)


# --------------------------------------------------------------------------------------------------------------- words

# What stands for a word in capitals.
WORDS = {
    "NUMBER": "0 1 2 3 7 1000 4294967296 18446744073709551615 -1 nan inf 1e-30 1e30 0.5 x".split() + [""],
    "LENGTH": "0 1 50 x 18446744073709551615".split(),
    "SIZE": "2x2 4x8 2x3 1x1 0x0 4 10x400 4294967296x4294967296 x 1048576".split(),
    "SPEC": ["conv2 relu pool dense4 l2", "dense4", "dense1 l2", "dense3 sigmoid", "conv1k1s8v dense2 l2", "pool8",
             "conv4s3 pool dense5", "conv65536k255 dense65536 l2", "conv1 conv1k1 dense2 relu l2",
             "l2", ""],
    "INPUT": "8x8x1 8x8x3 1x1x1 0x1x1 65536x65536x3 4294967296x4294967296x1".split(),
    "CLASSES": ["0-1", "0,2", "1", "0-300", "0-4294967295", "3-1", "a", "a,b", ""],
    "HOW": ["none", "affine", "elastic", "shift=1000", "rotate=180 scale=0.9", "elastic=1000", ""],
    "MINING": "random semi-hard batch-hard batch-all".split(),
    "SCHEDULE": "constant cosine step".split(),
    "TAKE": "first random all".split(),
    "PRECISION": "f32 f16 i8 f8".split(),
    "SHARD": "1/1 1/2 3/4 1/1000 18446744073709551615/18446744073709551615 0/0".split(),
    "DATA": "set set one-label one-each four pictures".split(),
    "IMAGES": ["--set train", "--set test", "--set validation", "pictures", "pictures/a/0.png", ".", "set"],
    "PAIR": ["pictures/a/0.png pictures/b/0.png", "pictures", "set"],
    "GALLERY": "0.gallery 1.gallery".split(),
    "PATH": "w.npy w.csv w.parquet w w.x w.onnx w.safetensors w.html".split(),
}  # fmt: skip
CHOICE = "[--take TAKE --per-class NUMBER] [--classes CLASSES] [--seed NUMBER]"
# Options in brackets may be left out.
COMMANDS = [
    "train --data DATA --spec SPEC --batch SIZE --steps LENGTH [--mining MINING] [--margin NUMBER] [--augment HOW]",
    "train --data DATA --spec SPEC --batch 2x4 --epochs LENGTH [--soft-margin NUMBER] [--learning-rate NUMBER]",
    "train --data DATA --spec SPEC --batch 2x4 --images LENGTH [--schedule SCHEDULE] [--warmup NUMBER] [--clip NUMBER]",
    "train --data DATA --spec dense4 --batch 2x4 --steps 9 [--weight-decay NUMBER] [--ema NUMBER] [--threshold NUMBER]",
    "train --data DATA --spec dense4 --batch 2x4 --steps 12 [--validation NUMBER] [--validate-every NUMBER]"
    " [--patience NUMBER] [--train-classes CLASSES] [--save-every NUMBER]",
    "train --data DATA --spec dense4 --batch 2x4 --steps 3 [--input INPUT] [--seed NUMBER] [--invert] [--json]",
    "eval MODEL [--threshold NUMBER] [--raw] [--json]",
    f"enroll MODEL GALLERY IMAGES {CHOICE} [--threshold NUMBER] [--centroid]",
    f"enroll MODEL GALLERY IMAGES {CHOICE} [--far NUMBER] [--calibrate train] [--identity NUMBER] [--remove NUMBER]",
    f"recognize MODEL GALLERY IMAGES {CHOICE} [--nearest NUMBER] [--threshold NUMBER] [--json]",
    f"embed MODEL IMAGES {CHOICE} --out PATH [--precision PRECISION] [--shard SHARD]",
    f"cluster MODEL IMAGES {CHOICE} [--clusters NUMBER] [--distance NUMBER] [--json]",
    f"cluster MODEL IMAGES {CHOICE} --method dbscan [--distance NUMBER] [--min-images NUMBER]",
    "compare MODEL PAIR",
    "export MODEL --out PATH [--precision f16] [--raw]",
    "report MODEL [--text] [--out PATH]",
    "plan --data set --batch SIZE --spec SPEC [--mining MINING]",
]
WITHOUT_ADAPTER = ("export", "report", "plan")


def words():
    """Command lines put together at random."""
    make_model()
    make_set("one-label", classes=1, train=20, test=10)
    make_set("one-each", classes=20, train=20, test=20)
    make_set("four", classes=2, train=4, test=2)
    for number, name in enumerate("abc"):
        os.makedirs(f"pictures/{name}")
        for picture in range(6):
            pathlib.Path(f"pictures/{name}/{picture}.png").write_bytes(png(8, 8, pixel=60 * number + picture))
    models, codes = ["model"], {}
    for case in range(share(1000)):
        line = re.sub(
            r" \[([^]]*)\]", lambda option: f" {option[1]}" if dice.random() < 0.35 else "", dice.choice(COMMANDS)
        )
        arguments = []
        for word in line.split():
            chosen = dice.choice(models) if word == "MODEL" else dice.choice(WORDS.get(word, [word]))
            arguments += chosen.split() if word in ("IMAGES", "PAIR") else [chosen]
        name, out = arguments[0], f"words{case}"
        arguments += [] if name in WITHOUT_ADAPTER else ["--adapter", "cpu"]
        arguments += ["--out", out] if name == "train" else []
        done, text = run(arguments, limit=20), shlex.join(arguments)
        codes[done.code] = codes.get(done.code, 0) + 1
        # A training may be long.
        if done.code == "hung" and name == "train":
            continue
        if fault := done.fault((0, 1, 2)):
            fail("words", f"{text}: {fault}")
        elif name == "train" and done.code == 0:
            models.append(out)
            if re.search(r"\b(NaN|inf)\b", done.out):
                fail("words", f"{text}: a figure is no number")
            if fault := run(["report", out, "--text"]).fault(codes=(0,)):
                fail("words", f"{text}: report: {fault}")
    note = ", ".join(f"{count} x code {code}" for code, count in sorted(codes.items(), key=str))
    row("words", "random command lines", sum(codes.values()), note)


# ------------------------------------------------------------------------------------------------------------- hostile

EVIL = "</script><script>document.title=1</script><img src=x onerror=document.title=1>"
DEEP = "[" * 1_000_000 + "]" * 1_000_000


def mined(labels, images):
    return {"mined": {"labels": labels, "images": images, "mining": "semi-hard"}}


# What a checkpoint and its configuration say of themselves.
CHECKPOINTS = [
    {"input": [2**32, 2**32, 1]}, {"input": [0, 8, 1]}, {"input": [65536, 65536, 1]}, {"input": [8, 8, 3]},
    {"step": 2**64 - 1}, {"step": -1}, {"origin": {"path": "/dev", "name": EVIL, "train": 2**63, "test": 0}},
]  # fmt: skip
CONFIGS = [
    {"batch": mined(2**32, 2**32)}, {"batch": mined(2, 2**63 + 2)}, {"batch": mined(4, 0)},
    {"batch": {"random": {"triplets": 2**20, "positive": "any"}}},
    {"validation": {"images": 2**64 - 1, "every": 1, "patience": 2**64 - 1}},
    {"validation": {"images": 60, "every": 0, "patience": 0}},
    {"train_classes": ["0", "0", "x"]}, {"train_classes": []}, {"warmup": 2**64 - 1},
    {"update": {"adam": {"beta1": 5.0, "beta2": -3.0, "epsilon": -1.0, "weight_decay": 0.0}}},
    {"spec": "conv65536k255 dense65536 l2"}, {"spec": "conv1 " * 20_000 + "dense2 l2"}, {"spec": EVIL},
    {"thresholds": [1e-30] * 100}, {"gain": "x"}, {"pixels": 0}, {"pixels": {"mean": [1], "deviation": [0]}},
]  # fmt: skip
GALLERIES = [
    {"dims": 3}, {"dims": 0}, {"identities": []}, {"identities": ["a", "a", "b", "c"]}, {"model": "0" * 16},
    {"identities": ["a\tb\n\x1b[31mred", "b", "c", "d"]}, {"identities": ["a", "b", "c", "d", "e"]},
    {"threshold": {"distance": -1.0, "far": 7.0}}, {"sources": {"a": 2**32 - 1}}, {"distance": "x"},
]  # fmt: skip


def hostile():
    """Files that mean harm: models, galleries, pictures, data sets, run folders, settings."""
    make_model()
    model, runs = pathlib.Path("model"), []
    head, data = head_and_data(model / CHECKPOINT)
    gallery_head, gallery_data = head_and_data(pathlib.Path("a.gallery"))
    pathlib.Path("a.png").write_bytes(png(8, 8))

    def check(case, line, codes=(0, 2), limit=20, memory=2 << 30):
        done = run(line, limit=limit)
        runs.append(done)
        if fault := done.fault(codes):
            fail("hostile", f"{case}: {line.split()[0]}: {fault}")
        if done.memory > memory:
            fail("hostile", f"{case}: {line.split()[0]}: {done.memory >> 20} MiB")
        return done

    def lie(head, entry, fields, inside=None):
        """The head of a file with fields changed of what the program says there, or of one of its parts."""
        own = json.loads(head["__metadata__"][entry])
        (own[inside] if inside else own).update(fields)
        return head | {"__metadata__": {entry: json.dumps(own)}}

    folder = pathlib.Path("lies")
    folder.mkdir()
    for fields, inside in [(fields, None) for fields in CHECKPOINTS] + [(fields, "config") for fields in CONFIGS]:
        case = f"checkpoint of {str(fields)[:60]}"
        (folder / CHECKPOINT).write_bytes(safetensors(lie(head, "siamese", fields, inside), data))
        check(case, f"embed lies a.png {CPU} --out h.npy")
        check(case, "export lies --out h.onnx")
        check(case, f"train --out lies --resume {SET} --other-data", limit=60)
    for value in (float("nan"), float("inf"), 3e38, -0.0):
        numbers = struct.pack("<f", value) * (len(data) // 4)
        (folder / CHECKPOINT).write_bytes(safetensors(head, numbers))
        for line in (f"compare lies a.png a.png {CPU}", f"cluster lies {SET} --set test", f"eval lies {SET}"):
            done = check(f"weights of {value}", line)
            if done.code == 0 and re.search(r"\b(NaN|inf)\b", done.out):
                fail("hostile", f"weights of {value}: {line}: a figure is no number")
    shapes = {"a": {"dtype": "F32", "shape": [2**62, 8], "data_offsets": [0, 2**40]}}
    for case, content in {
        "deep head": struct.pack("<Q", len(DEEP) + 6) + b'{"a":' + DEEP.encode() + b"}",
        "deep settings": safetensors({"__metadata__": {"siamese": DEEP, "siamese-gallery": DEEP}}, b""),
        "head of 2^63 bytes": struct.pack("<Q", 2**63) + b"{}",
        "100 MB of spaces": struct.pack("<Q", 99_999_990) + b" " * 99_999_990,
        "tensor of 2^65 values": safetensors(shapes, b""),
        "nothing": b"",
    }.items():
        pathlib.Path("h.safetensors").write_bytes(content)
        check(case, f"eval h.safetensors {CPU}", codes=(2,))
        check(case, f"recognize model h.safetensors a.png {CPU}", codes=(2,))
        check(case, "import h.safetensors --spec 'dense2 l2' --input 8x8x1 --out i.safetensors", codes=(2,))
    files = [(fields, safetensors(lie(gallery_head, "siamese-gallery", fields), gallery_data)) for fields in GALLERIES]
    bad = struct.pack("<f", float("nan")) + gallery_data[4:]
    for fields, content in [*files, ("not a number", safetensors(gallery_head, bad))]:
        pathlib.Path("h.gallery").write_bytes(content)
        for line in ("", "--nearest 3"):
            done = check(f"gallery of {fields}", f"recognize model h.gallery a.png {CPU} {line}")
            if "\x1b" in done.out or any(line.count("\t") != 3 for line in done.out.splitlines()):
                fail("hostile", f"gallery of {fields}: {done.out!r}")
        check(f"gallery of {fields}", f"enroll model h.gallery a.png --identity q {CPU}")
    # What unpacks to much more than it is.
    for size in ((30_000, 30_000), (32_768, 16_384), (16_000, 16_000, 3), (32_768, 1, 3), (1, 32_768), (40_000, 2)):
        pathlib.Path("h.png").write_bytes(png(*size))
        check(f"picture of {size}", f"embed model h.png {CPU} --out h.npy")
    shutil.copytree("set", "bomb")
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    labels = packer.compress(struct.pack(">II", 0x801, 10**9))
    labels += b"".join(packer.compress(bytes(10**7)) for _ in range(100)) + packer.flush()
    pathlib.Path("bomb/train-labels-idx1-ubyte").write_bytes(labels)
    check("labels of 1 GB", f"train {CPU} --data bomb --out h", codes=(2,))
    # Whatever a run folder says, its page holds it as data.
    tags = (model / PAGE).read_text().count("<")
    for name in ("run.json", "metrics.jsonl", "figures.json"):
        text = (model / name).read_text()
        for case, content in {
            "deep": f'{{"a":{DEEP}}}\n',
            "empty": "",
            "evil": re.sub(r'(?<=:)"[^"]*"|(?<=:)\d+', json.dumps(EVIL), text),
            "other types": re.sub(r"(?<=:)\d+", lambda _: dice.choice(["null", "[]", "1e999", '"x"', "-1"]), text),
        }.items():
            shutil.rmtree("run", ignore_errors=True)
            shutil.copytree(model, "run")
            os.remove(f"run/{PAGE}")
            pathlib.Path("run", name).write_text(content)
            check(f"{name}, {case}", "report run --text")
            check(f"{name}, {case}", "report run")
            page = pathlib.Path("run", PAGE)
            if page.exists() and page.read_text().count("<") != tags:
                fail("hostile", f"{name}, {case}: the page has other tags")
    for case, content in {
        "deep": f"preset = {DEEP}",
        "dotted": "a" + ".a" * 1_000_000 + " = 1",
        "tables": "x = " + "{x=" * 500_000,
        "many": "\n".join(f"k{number} = 1" for number in range(300_000)),
    }.items():
        pathlib.Path("h.toml").write_text(content)
        check(f"settings, {case}", f"train --config h.toml {SET} --out h", codes=(2,))
    most = [f"{max(done.memory for done in runs) >> 20} MiB", f"{max(done.seconds for done in runs):.1f} s"]
    row("hostile", "hostile files", len(runs), f"at most {' and '.join(most)}")


# ---------------------------------------------------------------------------------------------------------------- main

PARTS = {part.__name__: part for part in (kills, ranks, calls, disk, pipes, words, hostile)}


def main():
    if unknown := set(options.parts) - set(PARTS):
        parser.error(f"{', '.join(unknown)}: no such part")
    for name in options.parts or PARTS:
        begin, before = time.monotonic(), len(failures)
        with tempfile.TemporaryDirectory(prefix="campaign-") as folder:
            os.chdir(folder)
            make_set("set")
            PARTS[name]()
            os.chdir(ROOT)
        row(name, "failures", len(failures) - before, f"{time.monotonic() - begin:.0f} s")
    print(f"| part    | {'what':<40} | count | {'':<44} |\n|---------|-{'-' * 40}-|------:|-{'-' * 44}-|")
    for part, what, count, note in table:
        print(f"| {part:<7} | {what:<40} | {count:>5} | {note:<44} |")
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()
