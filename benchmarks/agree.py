"""What compare.py says of the device's numbers: how many codes and counts differ from the CPU's, and that runs repeat."""

import hashlib
import json

import numpy

REPEATS = 10


def codes(run, name, title, batch):
    """Bits that differ between the CPU and the device, by `onnxprobe compare`: rows of a table."""
    a, rows = run.args, []
    items = max(a.agree // 4, 2) if name.startswith("vit") else a.agree
    sides = [(run.device, ["--device-b", run.device])]
    if name == "resnet18":
        where = f"ort,device={run.device}"
        sides += [(f"{run.device}, float16", ["-b", f"{where},precision=float16"])]
        sides += [(f"{run.device}, TF32", ["-b", f"{where},tf32=on"])] if a.device == "cuda" else []
    for side, flags in sides:
        row = f"{title}: codes on cpu and {side}"
        d = run.json(row, [a.program, "--quiet", "compare", run.model(name), "--random", items, "--batch", batch, "--threads", a.threads,
                           "--device-a", "cpu", *flags, "--json"])
        if d:
            bits, flips = (sum(s[k] for s in d["sites"]) for k in ("bits", "flips"))
            margin = max((s["margin"] / s["scale"] for s in d["sites"] if s["flips"] and s["scale"]), default=0)
            rows.append([title, f"cpu and {side}", f"{d['items']:,}", f"{bits:,}", f"{flips:,}", f"{flips / max(bits, 1):.1e}", f"{d['regions']:,}", f"{margin:.1e}"])
    return rows


def measure(run, row, verb, name, items, batch, device, to, *more):
    """The array that a verb writes for random items."""
    file = to / f"{verb}.npy"
    run.call([run.args.program, "--quiet", verb, run.model(name), "--random", items, "--seed", 7, "--batch", batch, "--threads", run.args.threads,
              "--backend", "ort", "--device", device, *more, "--force", "-o", file], row)
    return file


def counts(run, to, more):
    """Local complexity on the CPU and on the device: a sentence."""
    items, row = run.args.points, "Local complexity: counts on cpu and the device"
    a, b = (numpy.load(measure(run, row, "complexity", "preact_resnet18", items, 320, d, to, *more)).astype(numpy.int64) for d in ("cpu", run.device))
    if a.shape != b.shape or not a.size:
        raise run.NotRun(f"the counts are {a.shape} on cpu and {b.shape} on {run.device}")
    return (f"Local complexity of {items:,} points: {(a != b).sum():,} of {a.size:,} counts differ between cpu and {run.device}, by {abs(a - b).max()} at most; "
            f"in total they are {a.sum():,} and {b.sum():,}.")


def repeats(run, to, verb, name, title, items, batch, *more):
    """Whether so many runs, each a process, write the same bytes: (yes or no, a sentence)."""
    row, seen = f"{title}: {verb}, {REPEATS} times", []
    for _ in range(REPEATS):
        file = measure(run, row, verb, name, items, batch, run.device, to, *more)
        seen.append(hashlib.sha256(file.read_bytes()).hexdigest())
    same = len(set(seen)) == 1
    kinds = "the same bytes" if same else f"{len(set(seen))} different files"
    return same, f"{title}, {verb} of {items} random items on {run.device}, {REPEATS} processes: {kinds} (SHA-256 {seen[0][:16]})."


def machine(run):
    """The machine, in lines: nvidia-smi's GPUs, and the libraries that onnxprobe finds."""
    lines = []
    for command in (["nvidia-smi", "--query-gpu=index,name,driver_version,memory.total,power.limit,clocks.max.sm", "--format=csv,noheader"],
                    [run.args.program, "runtime", "list"]):
        try:
            lines += [" ".join(line.split()) for line in run.call(command, "the machine").splitlines()]
        except run.NotRun as e:
            lines.append(f"{' '.join(str(c) for c in command[:3])}: {e}")
    return lines


def parse(text):
    """The JSON that a process printed, warnings before it left out."""
    return json.loads(text[text.index("{"):])
