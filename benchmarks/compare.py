"""onnxprobe beside its peers, in one command; prints a Markdown report.

    python compare.py --device cuda --authors grok-adversarial --out results/2026-01-31-compare-h100.md
    python compare.py --quick --out results/2026-01-31-compare-cpu.md

Rows: ResNet-18, ResNet-50 and ViT-B/16 with random weights, plain and with all codes by onnxprobe (`onnxprobe bench`), plain by
ONNX Runtime from Python, and by PyTorch eager plain and with forward hooks that pack (hooks.py), each at its best batch size;
then local complexity of 1,024 points by onnxprobe and by its authors' code (authors.py), with the two's counts compared; then
memory over a long run.
Every row is a process of its own, and the rows take turns. Float32 with TF32 off everywhere. A row that does not run is
listed with the reason. --authors is a clone of https://github.com/AhmedImtiazPrio/grok-adversarial; nothing of it is copied.

Needs a Python with testdata/export/requirements.txt, and for the row of ONNX Runtime from Python onnxruntime
(onnxruntime-gpu on a GPU); and onnxprobe, built (make build) and with its runtime (onnxprobe runtime install [--cuda]).
Networks that --exports lacks are exported first.
"""

import argparse
import datetime
import json
import pathlib
import platform
import statistics
import subprocess
import sys
import tempfile
import time

import numpy

HERE = pathlib.Path(__file__).resolve().parent
NETWORKS = {"resnet18": "ResNet-18", "resnet50": "ResNet-50", "vit_b_16": "ViT-B/16"}
VERTICES, RADIUS = 40, 0.005
AUTHORS = "https://github.com/AhmedImtiazPrio/grok-adversarial"


class NotRun(Exception):
    """Why a row has no figure."""


class Runner:
    """Runs the rows' processes while there is time."""

    def __init__(self, args):
        self.args, self.missing = args, {}
        self.end = time.monotonic() + 60 * args.minutes

    def call(self, command, row=""):
        print(f"{time.strftime('%H:%M:%S')} {row}", file=sys.stderr, flush=True)
        left = self.end - time.monotonic()
        if left < 5:
            raise NotRun(f"the {self.args.minutes:g} minutes of --minutes were over")
        try:
            p = subprocess.run([str(c) for c in command], capture_output=True, text=True, timeout=left)
        except subprocess.TimeoutExpired:
            raise NotRun(f"the {self.args.minutes:g} minutes of --minutes were over") from None
        except OSError as e:
            raise NotRun(str(e)) from None
        if p.returncode:
            lines = [line for line in p.stderr.splitlines() if line.strip()]
            raise NotRun(f"exit code {p.returncode}: {lines[-1] if lines else 'no message'}")
        return p.stdout

    def json(self, row, command):
        """What a row's process printed; None, and the row listed, where it did not run."""
        if row in self.missing:
            return None
        try:
            return json.loads(self.call(command, row))
        except NotRun as e:
            self.missing[row] = str(e)
            print(f"{row}: not run: {e}", file=sys.stderr)
            return None

    def bench(self, row, model, batch, *more):
        a = self.args
        return self.json(row, [a.program, "--quiet", "bench", model, "--json", "--backend", "ort", "--device", a.device, "--threads", a.threads,
                               "--batch", batch, "--seconds", a.seconds, *more])

    def peer(self, row, name, mode, batch, *more):
        a = self.args
        return self.json(row, [sys.executable, HERE / "hooks.py", "--model", name, "--mode", mode, "--device", a.device, "--batch", batch,
                               "--seconds", a.seconds] + (["--threads", a.threads] if a.threads else []) + list(more))


def network(run, name):
    """One network's rows: {row: {batch, rates, host, device, note}}."""
    a, model = run.args, run.args.exports / f"{name}_dynamo.onnx"
    title = NETWORKS[name]
    peers = {"ONNX Runtime from Python, plain": ("onnxruntime", ["--onnx", model]),
             "PyTorch eager, plain": ("plain", []), "PyTorch eager, hooks and packing": ("hooks", [])}
    ours, batch = f"{title}: onnxprobe", a.batches
    rows, best, info = {}, {}, None
    # Of several batch sizes a first turn, number 0, finds the best; it is not counted.
    for turn in range(0 if "," in a.batches else 1, a.rounds + 1):
        counted = turn > 0
        if r := run.bench(ours, model, batch):
            info = r
            batch = str(r["best_batch"])
            if counted:
                result = next(x for x in r["results"] if x["batch"] == r["best_batch"])
                for row, key in [("onnxprobe, plain", "plain"), ("onnxprobe, all codes packed", "codes")]:
                    add(rows, row, result["batch"], result[key]["rate"]["median"], r["peak_host_bytes"], result[key].get("device_bytes", 0))
                rows.setdefault("ratios", []).append(result["ratio"]["median"])
        for row, (mode, more) in peers.items():
            if r := run.peer(f"{title}: {row}", name, mode, best.get(row, a.batches), *more):
                best[row] = r["batch"]
                if counted:
                    add(rows, row, r["batch"], r["images_per_s"], r["peak_host_bytes"], r["peak_device_bytes"])
                    if r["code_bytes"] and info and r["code_bytes"] != info["code_bytes"]:
                        run.missing[f"{title}: the same codes"] = f"hooks give {r['code_bytes']} bytes an image, onnxprobe {info['code_bytes']}"
    return rows, info


def add(rows, row, batch, rate, host, device):
    r = rows.setdefault(row, {"batch": batch, "rates": [], "host": 0, "device": 0})
    r["rates"].append(rate)
    r["host"], r["device"] = max(r["host"], host), max(r["device"], device)


def complexity(run, folder):
    """Local complexity's rows, and what the counts say."""
    a, model, rows, verdict = run.args, run.args.exports / "preact_resnet18_dynamo.onnx", {}, ""
    theirs = "Local complexity: the authors' code"
    if not a.authors:
        run.missing[theirs] = f"git clone {AUTHORS}, then --authors grok-adversarial"
    batch = str(VERTICES * 8) if a.quick else ",".join(str(VERTICES * n) for n in (8, 32, 64))
    for turn in range(a.rounds):
        if r := run.bench("Local complexity: onnxprobe", model, batch, "--complexity", "--directions", VERTICES // 2, "--radius", RADIUS):
            best = max(r["results"], key=lambda x: x["complexity"]["rate"]["median"])
            batch = str(best["batch"])
            add(rows, "onnxprobe", best["batch"], best["complexity"]["rate"]["median"], r["peak_host_bytes"], best.get("device_bytes", 0))
        if r := run.json(theirs, [sys.executable, "-W", "ignore", HERE / "authors.py", "--authors", a.authors, "--out", folder, "--points", a.points,
                                  "--batch", min(256, a.points), "--vertices", VERTICES, "--radius", RADIUS, "--device", a.device,
                                  "--threads", a.threads, "--rounds", 1 if a.quick else 3]):
            add(rows, "the authors' code", r["batch"] * VERTICES, r["points_per_s"], r["peak_host_bytes"], r["peak_device_bytes"])
    if "the authors' code" in rows:
        try:
            verdict = counts(run, model, folder)
        except NotRun as e:
            run.missing["Local complexity: the same counts"] = str(e)
    return rows, verdict


def counts(run, model, folder):
    """Compares the counts of onnxprobe with the authors', at their points and with their frame."""
    run.call([run.args.program, "--quiet", "complexity", model, folder / "points.npy", "--frame", folder / "frame.npy", "--radius", RADIUS, "--sign3",
              "--backend", "ort", "--device", run.args.device, "--batch", VERTICES * 8, "--force", "-o", folder / "ours.npy"])
    theirs, ours = (numpy.load(folder / f"{n}.npy").astype(numpy.int64) for n in ("counts", "ours"))
    if theirs.shape != ours.reshape(len(ours), -1).shape:
        raise NotRun(f"onnxprobe's counts are {ours.shape}, the authors' {theirs.shape}")
    differ = ours.reshape(theirs.shape) - theirs
    return (f"Counts of {len(theirs)} points by {theirs.shape[1]} sites, at the same points, with the same frame: {(differ == 0).mean():.2%} are equal, "
            f"the largest difference is {abs(differ).max()}; in total onnxprobe counts {ours.sum()}, the authors' code {theirs.sum()}.")


def growth(run):
    """What the process's memory did over many images."""
    a = run.args
    r = run.bench("Memory over a long run", a.exports / "preact_resnet18_dynamo.onnx", "128", "--images", str(a.images))
    if not r:
        return ""
    (x,) = r["results"]
    return (f"Pre-activation ResNet-18, batch 128, {x['plain']['items']:,} images plain and {x['codes']['items']:,} with codes: {mega(x.get('host_bytes', 0))} held at most; "
            f"the second half held {x['host_growth_bytes'] / 1e6:+.1f} MB more than the first at its most.")


def mega(n):
    return f"{n / 1e6:,.0f} MB" if n else "n/a"


def line(name, row):
    rates = row["rates"]
    m = statistics.median(rates)
    return [name, str(row["batch"]), f"{m:.4g}", f"{min(rates):.4g} to {max(rates):.4g}", mega(row["host"]), mega(row["device"])]


def table(head, rows):
    return "\n".join("| " + " | ".join(r) + " |" for r in [head, ["---"] * len(head), *rows]) + "\n"


def over(rows, a, b, decimals=2):
    """Row a's rate over row b's, round by round; None where a round lacks one."""
    if a not in rows or b not in rows or len(rows[a]["rates"]) != len(rows[b]["rates"]):
        return None
    ratios = [x / y for x, y in zip(rows[a]["rates"], rows[b]["rates"])]
    return f"{statistics.median(ratios):.{decimals}f} ({min(ratios):.{decimals}f} to {max(ratios):.{decimals}f})"


def versions():
    out = [f"Python {platform.python_version()}"]
    for name in ("torch", "torchvision", "onnxruntime"):
        try:
            out.append(f"{name} {__import__(name).__version__}")
        except ImportError:
            pass
    return ", ".join(out)


def report(args, run, networks, lc, verdict, memory, took):
    info = next((i for _, i in networks.values() if i), None)
    text = [f"# {datetime.date.today()}, onnxprobe and its peers, {'GPU' if args.device == 'cuda' else 'CPU'}\n"]
    if info:
        m, v = info["machine"], info["versions"]
        gpu = f"{m['gpu']}, driver {m['driver']}, " if "gpu" in m else ""
        text.append(f"{gpu}{m.get('cpu', 'unnamed CPU')}, {m['cores']} cores, {m['os']}/{m['arch']}; onnxprobe {v['onnxprobe']}, {v['go']}, ONNX Runtime {v['ort']}; "
                    f"{versions()}.")
    text.append(f"{'All' if not args.threads else args.threads} threads, float32, TF32 off, random weights and inputs. Medians of {args.rounds} rounds of "
                f"{args.seconds:g} s each, least and most beside them; `compare.py{' --quick' if args.quick else ''}`, {took / 60:.1f} minutes"
                f"{'' if args.device == 'cuda' else '. Not run on a GPU'}.\n")
    for name, (rows, i) in networks.items():
        ratios = rows.pop("ratios", [])
        text.append(f"## {NETWORKS[name]}, 224 x 224" + (f", {i['sites']} sites, codes of {i['code_bytes']} bytes" if i else "") + "\n")
        text.append(table(["", "batch", "images/s", "least to most", "host memory", "device memory"],
                          [line(row, r) for row, r in rows.items()]))
        if ratios:
            text.append(f"Codes over plain, turn by turn: {statistics.median(ratios):.3f}.")
        if ratio := over(rows, "onnxprobe, all codes packed", "PyTorch eager, hooks and packing"):
            text.append(f"Codes over PyTorch's hooks, round by round: {ratio}.")
        text.append("")
    text.append(f"## Local complexity, pre-activation ResNet-18 (k = 16), 32 x 32, {VERTICES} vertices\n")
    text.append(table(["", "images a run", "points/s", "least to most", "host memory", "device memory"],
                      [line(row, r) for row, r in lc.items()]))
    text += [f"{row}: 1,024 points in {1024 / statistics.median(r['rates']):.3g} s." for row, r in lc.items()]
    if ratio := over(lc, "onnxprobe", "the authors' code"):
        text.append(f"onnxprobe over the authors' code, round by round: {ratio}.")
    text += [verdict, "", "## Memory over a long run\n", memory or "Not run."]
    text.append("\nHost memory is the process's peak: onnxprobe's holds both sessions, PyTorch's its libraries. Device memory is what a session "
                "added, or what PyTorch's allocator reserved.")
    text.append("\n## Not run\n\n" + ("\n".join(f"- {row}: {why}" for row, why in run.missing.items()) or "Everything was run."))
    return "\n".join(text) + "\n"


def arguments():
    p = argparse.ArgumentParser(description=__doc__.split("\n")[0], formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    p.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    p.add_argument("--program", type=pathlib.Path, default=HERE.parent / "bin" / "onnxprobe")
    p.add_argument("--exports", type=pathlib.Path, default=HERE.parent / "exports", help="folder of the exported networks")
    p.add_argument("--networks", default=",".join(NETWORKS))
    p.add_argument("--authors", help=f"clone of {AUTHORS}")
    p.add_argument("--batches", help="sizes to choose the best from; 32,64,128 on a GPU, 1,4,8 on a CPU, 4 with --quick")
    p.add_argument("--threads", type=int, default=0, help="0: all")
    p.add_argument("--seconds", type=float, help="of a row and round; 3, or 2 with --quick")
    p.add_argument("--rounds", type=int, default=2)
    p.add_argument("--points", type=int, help="of the authors' local complexity; 1024, or 32 with --quick")
    p.add_argument("--images", type=int, help="of the long run that watches memory; 200000 on a GPU, 5000 on a CPU")
    p.add_argument("--minutes", type=float, default=8, help="rows that do not fit are listed as not run")
    p.add_argument("--quick", action="store_true", help="a reduced run, for a CPU")
    p.add_argument("--out", type=pathlib.Path, help="write the report here too")
    a = p.parse_args()
    a.batches = a.batches or ("4" if a.quick else "32,64,128" if a.device == "cuda" else "1,4,8")
    a.seconds = a.seconds or (2 if a.quick else 3)
    a.images = a.images or (200_000 if a.device == "cuda" else 5_000)
    a.points = a.points or (32 if a.quick else 1024)
    if unknown := set(a.networks.split(",")) - set(NETWORKS):
        p.error(f"--networks: no {', '.join(unknown)}; the networks are {', '.join(NETWORKS)}")
    if not a.program.exists():
        p.error(f"--program: there is no {a.program}; make build makes it")
    a.program = a.program.resolve()
    return a


def main():
    args = arguments()
    names = args.networks.split(",")
    needed = [n for n in [*names, "preact_resnet18"] if not (args.exports / f"{n}_dynamo.onnx").exists()]
    if needed:
        script = HERE.parent / "testdata" / "export" / "torchvision_models.py"
        subprocess.run([sys.executable, script, "--out", args.exports, "--models", ",".join(needed)], check=True, stdout=sys.stderr)
    start, run = time.monotonic(), Runner(args)
    with tempfile.TemporaryDirectory() as folder:
        # Local complexity first: where time runs out, the largest network is what is left out.
        lc, verdict = complexity(run, pathlib.Path(folder))
        networks = {name: network(run, name) for name in names}
    memory = growth(run)
    text = report(args, run, networks, lc, verdict, memory, time.monotonic() - start)
    print(text)
    if args.out:
        args.out.write_text(text)


if __name__ == "__main__":
    main()
