"""compare.py's report, in Markdown."""

import datetime
import platform
import statistics
import time

CODES, HOOKS = "onnxprobe, all codes packed", "PyTorch eager, hooks and packing"


def add(rows, row, batch, rate, host, device):
    """Adds a round to a row."""
    r = rows.setdefault(row, {"batch": batch, "rates": [], "host": 0, "device": 0})
    r["rates"].append(rate)
    r["batch"], r["host"], r["device"] = batch, max(r["host"], host), max(r["device"], device)


def mega(n):
    return f"{n / 1e6:,.0f} MB" if n else "n/a"


def line(name, row):
    rates = row["rates"]
    return [name, str(row["batch"]), f"{statistics.median(rates):.4g}", f"{min(rates):.4g} to {max(rates):.4g}", mega(row["host"]), mega(row["device"])]


def table(head, rows):
    return "\n".join("| " + " | ".join(r) + " |" for r in [head, ["---"] * len(head), *rows]) + "\n"


def ratios(rows, a, b):
    """Row a's rate over row b's, round by round; none where one of them lacks a round."""
    if a not in rows or b not in rows or len(rows[a]["rates"]) != len(rows[b]["rates"]):
        return []
    return [x / y for x, y in zip(rows[a]["rates"], rows[b]["rates"])]


def spread(values, decimals=2):
    """The median, and the least and the most."""
    return f"{statistics.median(values):.{decimals}f} ({min(values):.{decimals}f} to {max(values):.{decimals}f})" if values else "not run"


def versions():
    out = [f"Python {platform.python_version()}"]
    for name in ("torch", "torchvision", "onnxruntime"):
        try:
            out.append(f"{name} {__import__(name).__version__}")
        except ImportError:
            pass
    return ", ".join(out)


def head(run, results):
    a = run.args
    text = [f"# {datetime.date.today()}, onnxprobe and its peers on {run.device}\n"]
    if info := next((n["info"] for n in results["networks"].values() if n["info"]), None):
        m, v = info["machine"], info["versions"]
        gpu = f"{m['gpu']}, driver {m.get('driver', 'unknown')}, " if "gpu" in m else ""
        text.append(f"{gpu}{m.get('cpu', 'unnamed CPU')}, {m['cores']} cores, {m['os']}/{m['arch']}; onnxprobe {v['onnxprobe']}, {v['go']}, ONNX Runtime {v['ort']}.")
    text.append(f"{versions()}. {a.threads or 'All'} threads, float32, TF32 off, random weights and inputs. Medians of {a.rounds} rounds of "
                f"{a.seconds:g} s each, least and most beside them; `compare.py{' --quick' if a.quick else ''} --device {a.device}`, "
                f"{(time.monotonic() - run.start) / 60:.1f} minutes{'' if a.device == 'cuda' else '. Not run on a GPU'}.\n")
    return text + ["```", *results["machine"], "```\n"]


def asked(run, results):
    """What is asked of a GPU, and what was seen."""
    rows = []
    for n in results["networks"].values():
        rows.append([f"{n['title']}: codes over plain inference", "0.9", spread(n["ratios"], 3)])
        rows.append([f"{n['title']}: codes over PyTorch's hooks", "2", spread(ratios(n["rows"], CODES, HOOKS))])
    rows.append(["local complexity over its authors' code", "2", spread(ratios(results["complexity"]["rows"], "onnxprobe", "the authors' code"))])
    same = [s for s, _ in results["repeats"]]
    rows.append(["runs that write the same bytes", "all", f"{sum(same)} of {len(same)} kinds" if same else "not run"])
    if m := results["memory"]:
        (x,) = m["results"]
        on = f", {x.get('device_growth_bytes', 0) / 1e6:+.1f} MB on the device" if "device_bytes" in x else ""
        rows.append([f"growth over {x['codes']['items']:,} images", "none", f"{x['host_growth_bytes'] / 1e6:+.1f} MB{on}"])
    return ["## What is asked of a GPU, at least, and what was seen\n", table(["", "asked", "seen"], rows)]


def report(run, results):
    text = head(run, results) + asked(run, results)
    agree = [row for n in results["networks"].values() for row in n["agree"]]
    text.append("## The same numbers\n")
    if agree:
        text.append(table(["", "", "images", "bits", "differ", "of all", "images with any", "largest margin, of the scale"], agree))
    text += [s for s in results["complexity"]["said"] if s] + [s for _, s in results["repeats"]] + [""]
    for n in results["networks"].values():
        i = n["info"]
        text.append(f"## {n['title']}, 224 x 224" + (f", {i['sites']} sites, codes of {i['code_bytes']} bytes" if i else "") + "\n")
        text.append(table(["", "batch", "images/s", "least to most", "host memory", "device memory"], [line(row, r) for row, r in n["rows"].items()]))
        if i:
            text.append("Codes over plain in the first round, by batch: " + ", ".join(f"{x['batch']}: {x['ratio']['median']:.3f}" for x in i["results"]) + ".\n")
    rows = results["complexity"]["rows"]
    text.append("## Local complexity, pre-activation ResNet-18 (k = 16), 32 x 32, 40 vertices\n")
    text.append(table(["", "images a run", "points/s", "least to most", "host memory", "device memory"], [line(row, r) for row, r in rows.items()]))
    text += [f"{row}: 1,024 points in {1024 / statistics.median(r['rates']):.3g} s." for row, r in rows.items()]
    text.append("\n## Memory over a long run\n")
    if m := results["memory"]:
        (x,) = m["results"]
        text.append(f"Pre-activation ResNet-18, batch 128, {x['plain']['items']:,} images plain and {x['codes']['items']:,} with codes: {mega(x.get('host_bytes', 0))} "
                    f"held at most, {mega(x.get('device_bytes', 0))} on the device at the end; the second half held {x['host_growth_bytes'] / 1e6:+.1f} MB more than the first at its most"
                    + (f", and the device at the end {x.get('device_growth_bytes', 0) / 1e6:+.1f} MB more than after the first turns." if "device_bytes" in x else "."))
    else:
        text.append("Not run.")
    text.append("\nHost memory is the process's peak: onnxprobe's holds both variants, PyTorch's its libraries. Device memory is what a variant "
                "added, or what PyTorch's allocator reserved.")
    text.append("\n## Not run\n\n" + ("\n".join(f"- {row}: {why}" for row, why in run.missing.items()) or "Everything was run."))
    text += [f"- {row}: run with --allow-cpu-nodes, since the GPU has no kernel for some nodes" for row in sorted(run.on_cpu)]
    return "\n".join(text) + "\n"
