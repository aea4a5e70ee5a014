"""onnxprobe on a device beside its CPU and beside its peers, in one command; prints a Markdown report.

    python compare.py --device cuda --authors grok-adversarial --out results/2026-01-31-compare-h100.md
    python compare.py --quick --out results/2026-01-31-compare-cpu.md

In this order, so that what matters most is there when time runs out:

 1. ResNet-50: bits that differ from the CPU's codes (`onnxprobe compare`), then images a second plain and with all codes
    (`onnxprobe bench`) and by PyTorch eager with forward hooks that pack on the same device (hooks.py), at their best batches;
 2. local complexity by onnxprobe and by its authors' code (authors.py), with the two's counts compared, and the CPU's;
 3. ten runs, which must write the same bytes;
 4. memory over a long run;
 5. ResNet-18 and ViT-B/16 as ResNet-50;
 6. plain inference by ONNX Runtime from Python and by PyTorch eager.

Every row is a process of its own, and the rows take turns. Float32 with TF32 off everywhere. Whatever does not run is listed
with the reason and keeps nothing else from running; --out is written anew after every part. --authors is a clone of
https://github.com/AhmedImtiazPrio/grok-adversarial; nothing of it is copied.

Needs a Python with testdata/export/requirements.txt, and for the row of ONNX Runtime from Python onnxruntime
(onnxruntime-gpu on a GPU); and onnxprobe, built (make build) and with its runtime (onnxprobe runtime install [--cuda]).
Networks that --exports lacks are exported first.
"""

import argparse
import pathlib
import subprocess
import sys
import tempfile
import time

import numpy

import agree
import table

HERE = pathlib.Path(__file__).resolve().parent
NETWORKS = {"resnet50": "ResNet-50", "resnet18": "ResNet-18", "vit_b_16": "ViT-B/16"}
VERTICES, RADIUS = 40, 0.005
AROUND = ["--directions", VERTICES // 2, "--radius", RADIUS]
AUTHORS = "https://github.com/AhmedImtiazPrio/grok-adversarial"
HOOKS = "PyTorch eager, hooks and packing"
OTHERS = {"ONNX Runtime from Python, plain": "onnxruntime", "PyTorch eager, plain": "plain"}


class NotRun(Exception):
    """Why a row has no figure."""


class Runner:
    """Runs the rows' processes while there is time."""

    NotRun = NotRun

    def __init__(self, args):
        self.args, self.missing, self.on_cpu = args, {}, set()
        self.device = "cuda:0" if args.device == "cuda" else args.device
        self.start = time.monotonic()
        self.end = self.start + 60 * args.minutes

    def model(self, name):
        return self.args.exports / f"{name}_dynamo.onnx"

    def call(self, command, row):
        print(f"{time.monotonic() - self.start:4.0f} s {row}", file=sys.stderr, flush=True)
        left = self.end - time.monotonic()
        if left < 5:
            raise NotRun(f"the {self.args.minutes:g} minutes of --minutes were over")
        limit = min(left, 20 * self.args.minutes)  # one that hangs leaves time to the others
        try:
            p = subprocess.run([str(c) for c in command], capture_output=True, text=True, timeout=limit)
        except subprocess.TimeoutExpired:
            raise NotRun(f"it was not done after the {limit:.0f} seconds that were left to it") from None
        except OSError as e:
            raise NotRun(str(e)) from None
        allow = "--allow-cpu-nodes"
        if p.returncode and allow in p.stderr and allow not in command:
            self.on_cpu.add(row)
            return self.call([*command, allow], row)
        if p.returncode:
            lines = [line for line in p.stderr.splitlines() if line.strip()]
            raise NotRun(f"exit code {p.returncode}: {lines[-1] if lines else 'no message'}")
        return p.stdout

    def part(self, row, do, *args):
        """What do returns; None, and the row listed with the reason, where it did not run."""
        if row in self.missing:
            return None
        try:
            return do(*args)
        except NotRun as e:
            self.missing[row] = str(e)
        except Exception as e:  # of what a process printed, say: the other rows are not lost
            self.missing[row] = f"{type(e).__name__}: {e}"
        print(f"{row}: not run: {self.missing[row]}", file=sys.stderr)
        return None

    def guard(self, row, steps):
        """The steps of a part, as far as they go: what stops them is listed."""
        try:
            yield from steps
        except Exception as e:
            self.missing[row] = f"{type(e).__name__}: {e}"
            print(f"{row}: stopped: {self.missing[row]}", file=sys.stderr)

    def json(self, row, command):
        """What a row's process printed."""
        return self.part(row, lambda: agree.parse(self.call(command, row)))

    def bench(self, row, model, batch, *more):
        a = self.args
        return self.json(row, [a.program, "--quiet", "bench", model, "--json", "--backend", "ort", "--device", self.device, "--threads", a.threads,
                               "--batches", batch, "--seconds", a.seconds, *more])

    def peer(self, row, name, mode, batch):
        a = self.args
        return self.json(row, [sys.executable, HERE / "hooks.py", "--model", name, "--mode", mode, "--device", a.device, "--batch", batch,
                               "--seconds", a.seconds] + (["--threads", a.threads] if a.threads else [])
                         + (["--onnx", self.model(name)] if mode == "onnxruntime" else []))


def network(run, name):
    """One network's rows. In the first round each finds its best batch; the others take that."""
    a, title, batch, hooks = run.args, NETWORKS[name], run.args.batches, run.args.batches
    n = {"title": title, "rows": {}, "ratios": [], "info": None, "agree": agree.codes(run, name, title, a.batches.split(",")[0])}
    yield n
    for _ in range(a.rounds):
        if r := run.bench(f"{title}: onnxprobe", run.model(name), batch):
            n["info"], batch = n["info"] or r, str(r["best_batch"])
            x = next(x for x in r["results"] if x["batch"] == r["best_batch"])
            for row, key in [("onnxprobe, plain", "plain"), ("onnxprobe, all codes packed", "codes")]:
                table.add(n["rows"], row, x["batch"], x[key]["rate"]["median"], r["peak_host_bytes"], x[key].get("device_bytes", 0))
            n["ratios"].append(x["ratio"]["median"])
        hooks = peer(run, n, name, HOOKS, "hooks", hooks)
        yield n


def peer(run, n, name, row, mode, batch):
    """One round of a peer; the batch for its next one."""
    r = run.peer(f"{n['title']}: {row}", name, mode, batch)
    if not r:
        return batch
    table.add(n["rows"], row, r["batch"], r["images_per_s"], r["peak_host_bytes"], r["peak_device_bytes"])
    if r["code_bytes"] and n["info"] and r["code_bytes"] != n["info"]["code_bytes"]:
        run.missing[f"{n['title']}: the same codes"] = f"hooks give {r['code_bytes']} bytes an image, onnxprobe {n['info']['code_bytes']}"
    return r["batch"]


def complexity(run, folder):
    """Local complexity's rows, and what the counts say."""
    a, theirs = run.args, "Local complexity: the authors' code"
    lc = {"rows": {}, "said": []}
    if not a.authors:
        run.missing[theirs] = f"git clone {AUTHORS}, then --authors grok-adversarial"
    batch = str(VERTICES * 8) if a.quick else ",".join(str(VERTICES * n) for n in (8, 32, 64))
    if r := run.bench("Local complexity: onnxprobe", run.model("preact_resnet18"), batch, "--complexity", *AROUND):
        best = max(r["results"], key=lambda x: x["complexity"]["rate"]["median"])
        table.add(lc["rows"], "onnxprobe", best["batch"], best["complexity"]["rate"]["median"], r["peak_host_bytes"], best.get("device_bytes", 0))
    if r := run.json(theirs, [sys.executable, "-W", "ignore", HERE / "authors.py", "--authors", a.authors, "--out", folder, "--points", a.points,
                              "--batch", min(256, a.points), "--vertices", VERTICES, "--radius", RADIUS, "--device", a.device,
                              "--threads", a.threads, "--rounds", 1 if a.quick else 3]):
        table.add(lc["rows"], "the authors' code", r["batch"] * VERTICES, r["points_per_s"], r["peak_host_bytes"], r["peak_device_bytes"])
    yield lc
    if "the authors' code" in lc["rows"]:
        lc["said"].append(run.part("Local complexity: the authors' counts", counts, run, folder))
    lc["said"].append(run.part("Local complexity: the CPU's counts", agree.counts, run, folder, AROUND))
    yield lc


def counts(run, folder):
    """Compares the counts of onnxprobe with the authors', at their points and with their frame."""
    run.call([run.args.program, "--quiet", "complexity", run.model("preact_resnet18"), folder / "points.npy", "--frame", folder / "frame.npy", "--radius", RADIUS,
              "--sign3", "--backend", "ort", "--device", run.device, "--batch", VERTICES * 8, "--force", "-o", folder / "ours.npy"],
             "Local complexity: the authors' counts")
    theirs, ours = (numpy.load(folder / f"{n}.npy").astype(numpy.int64) for n in ("counts", "ours"))
    if theirs.shape != ours.reshape(len(ours), -1).shape:
        raise NotRun(f"onnxprobe's counts are {ours.shape}, the authors' {theirs.shape}")
    differ = ours.reshape(theirs.shape) - theirs
    return (f"Counts of {len(theirs)} points by {theirs.shape[1]} sites, at the authors' points and with their frame: {(differ == 0).mean():.2%} are equal, "
            f"the largest difference is {abs(differ).max()}; in total onnxprobe counts {ours.sum()}, the authors' code {theirs.sum()}.")


def growth(run):
    """What the process's memory did over many images."""
    return run.bench("Memory over a long run", run.model("preact_resnet18"), "128", "--images", str(run.args.images))


def arguments():
    p = argparse.ArgumentParser(description=__doc__.split("\n")[0], formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    p.add_argument("--device", choices=["cpu", "cuda"], default="cpu", help="cuda is the first GPU")
    p.add_argument("--program", type=pathlib.Path, default=HERE.parent / "bin" / "onnxprobe")
    p.add_argument("--exports", type=pathlib.Path, default=HERE.parent / "exports", help="folder of the exported networks")
    p.add_argument("--networks", default=",".join(NETWORKS))
    p.add_argument("--authors", help=f"clone of {AUTHORS}")
    p.add_argument("--batches", help="sizes to choose the best from; 32,64,128 on a GPU, 1,4,8 on a CPU, 4 with --quick")
    p.add_argument("--threads", type=int, default=0, help="0: all")
    p.add_argument("--seconds", type=float, help="of a row and round; 3, or 1 with --quick")
    p.add_argument("--rounds", type=int, help="2, or 1 with --quick")
    p.add_argument("--points", type=int, help="of local complexity; 1024, or 32 with --quick")
    p.add_argument("--region-agree", type=int, help="images whose codes are compared with the CPU's; 256, or 8 with --quick")
    p.add_argument("--images", type=int, help="of the long run that watches memory; 200000 on a GPU, 5000 on a CPU, 500 with --quick")
    p.add_argument("--minutes", type=float, default=8, help="rows that do not fit are listed as not run")
    p.add_argument("--quick", action="store_true", help="small counts of everything, for a CPU")
    p.add_argument("--out", type=pathlib.Path, help="write the report here too")
    a = p.parse_args()
    gpu = a.device == "cuda"
    for name, quick, usual in [("batches", "4", "32,64,128" if gpu else "1,4,8"), ("seconds", 1, 3), ("rounds", 1, 2), ("points", 32, 1024), ("agree", 8, 256),
                               ("images", 500, 200_000 if gpu else 5_000)]:
        if not getattr(a, name):
            setattr(a, name, quick if a.quick else usual)
    if unknown := set(a.networks.split(",")) - set(NETWORKS):
        p.error(f"--networks: no {', '.join(unknown)}; the networks are {', '.join(NETWORKS)}")
    if not a.program.exists():
        p.error(f"--program: there is no {a.program}; make build makes it")
    a.program = a.program.resolve()
    return a


def parts(run, folder, results):
    """Runs everything; yields whenever there is more to report."""
    a = run.args
    first, *rest = a.networks.split(",")

    def one(name):
        for results["networks"][name] in run.guard(NETWORKS[name], network(run, name)):
            yield
    yield from one(first)
    for results["complexity"] in run.guard("Local complexity", complexity(run, folder)):
        yield
    batch = a.batches.split(",")[0]
    for verb, name, title, items, size, more in [("codes", first, NETWORKS[first], 3 * int(batch), batch, []),
                                                 ("complexity", "preact_resnet18", "Pre-activation ResNet-18", min(a.points, 128), 320, AROUND)]:
        if r := run.part(f"{title}: {verb}, {agree.REPEATS} times", agree.repeats, run, folder, verb, name, title, items, size, *more):
            results["repeats"].append(r)
        yield
    results["memory"] = growth(run)
    yield
    for name in rest:
        yield from one(name)
    for row, mode in OTHERS.items():
        for name, n in results["networks"].items():
            run.part(f"{n['title']}: {row}", peer, run, n, name, row, mode, a.batches)
            yield


def main():
    args = arguments()
    needed = [n for n in [*args.networks.split(","), "preact_resnet18"] if not (args.exports / f"{n}_dynamo.onnx").exists()]
    if needed:
        script = HERE.parent / "testdata" / "export" / "torchvision_models.py"
        subprocess.run([sys.executable, script, "--out", args.exports, "--models", ",".join(needed)], check=True, stdout=sys.stderr)
    run = Runner(args)
    results = {"machine": agree.machine(run), "networks": {}, "complexity": {"rows": {}, "said": []}, "repeats": [], "memory": None}
    text = ""
    with tempfile.TemporaryDirectory() as folder:
        for _ in parts(run, pathlib.Path(folder), results):
            text = table.report(run, results)
            if args.out:
                args.out.write_text(text)
    print(text)


if __name__ == "__main__":
    main()
