"""Exports small networks that hold every kind of bend in all its spellings, with PyTorch's own bits before each bend.

    python bends.py [GROUP ...]    ../models/bends and ../golden/bends.json again (some minutes); of named groups alone

A group is one kind of bend; its network runs each spelling of it (module, function, in place, mask, ...) in a
submodule of that name, behind a layer of its own and before a common head. Weights are random, such that no value lies
within MARGIN of its knot (as a share of the largest |value| there) and every plane of bits has both values: so a bit
that differs is an error, whatever the engine rounds. Bits are PyTorch's in float64, on the float32 weights.

golden/bends.json:
    inputs      NAME: float32 [items, ...] as nested lists
    groups      [{name, input, files: {EXPORTER: path below testdata/models}, refused: [{spelling, exporter, reason}],
                  bends: [...]}]
    bend        spelling   submodule that it lies in; the network of an exporter that refuses it is without it
                module     path of the innermost module that runs the operator, op: PyTorch's word for it
                kind       knots: plane k is value > knots[k];  tensor: value > a tensor, one plane;
                           winner: the index of the largest (for minima the smallest) of `choices` candidates, lowest
                           plane first;  none: no bits
                watch      site: must be one;  either: a site with these bits, or named as unwatched;
                           named: must be named as unwatched, with one of the kinds `as` (guard, bend, ...)
                smooth     whether the bits are a sign code
                knots      those of the value as PyTorch computes it. A site on a * value + b has other knots and, for
                           a > 0, the same bits
                shape      of one plane, without the batch axis
                planes, bits
                           one hex string an item: planes in order, in a plane row-major, numpy.packbits
                also       other readings that are right too, each {kind, knots, smooth, shape, planes, bits}
"""

import json
import math
import pathlib
import sys
import warnings

import numpy as np
import onnx
import torch
import torch.nn as nn

from bend_table import EXPORTERS, GROUPS, INPUTS, Group, Spelling
from exporters import export, reason

try:
    import onnxruntime
except ImportError:
    onnxruntime = None

TESTDATA = pathlib.Path(__file__).resolve().parent.parent
FOLDER, GOLDEN = TESTDATA / "models" / "bends", TESTDATA / "golden" / "bends.json"
MARGIN = 5e-4
TRIES = 20000
ITEMS = 3


# Bits.


def planes_of(bend, m, x):
    """Returns (bits [N, planes, ...], distance from the knot [N, planes, ...] as a share of the largest |value|)."""
    value = bend.value(m, x)
    scale = value.abs().max()
    if bend.kind == "winner":
        if bend.least:
            value = -value
        # argmax gives the first of equal ones only by chance, but there are none within MARGIN.
        top, count = value.topk(2, -1).values, max(1, math.ceil(math.log2(value.shape[-1])))
        index, gap = value.argmax(-1), (top[..., 0] - top[..., 1]) / scale
        return (torch.stack([index >> k & 1 for k in range(count)], 1) > 0), torch.stack([gap] * count, 1)
    if bend.kind == "tensor":
        distance = (value - bend.other(m, x))[:, None]
    else:
        # A knot is a float32 in the graph.
        distance = torch.stack([value - float(np.float32(k)) for k in bend.knots], 1)
    return distance > 0, distance.abs() / scale


def pack(bits):
    return [row.tobytes().hex() for row in np.packbits(bits.flatten(1).numpy(), axis=1)]


def good(bits, distance):
    ones = bits.transpose(0, 1).flatten(1).double().mean(1)
    # A winner's highest plane may be rare: with three candidates it is one in three.
    return distance.min() > MARGIN and ones.min() > 0.02 and ones.max() < 0.98


def settle(row, source, x, seed):
    """Draws the weights of one spelling until its values keep clear of their knots; returns it."""
    generator = torch.Generator()
    for attempt in range(TRIES):
        generator.manual_seed(seed * TRIES + attempt)
        m = Spelling(row, source).eval()
        with torch.no_grad():
            for key, p in m.named_parameters():
                if key.split(".")[0] in (*row.modules, "pre"):
                    p.copy_(torch.randn(p.shape, generator=generator) * (0.5 if p.dim() > 1 else 0.2))
            value = m.pre(x)
            axes = tuple(i for i in range(value.dim()) if i != (1 if source == "image" else value.dim() - 1))
            scale = row.std / value.std(axes)
            m.pre.bias.copy_((m.pre.bias - value.mean(axes)) * scale + row.mean
                             + torch.randn(row.width, generator=generator) * 0.3 * row.std)
            m.pre.weight.mul_(scale.reshape(-1, *[1] * (m.pre.weight.dim() - 1)))
        if all(good(*planes) for planes in bits_of(row, m, x).values()):
            return m
    raise SystemExit(f"{row.name}: no weights in {TRIES} draws keep every value {MARGIN} away from its knot")


@torch.no_grad()
def bits_of(row, m, x):
    """Returns {(place of the bend, place in also or -1): planes} of a spelling, in float64."""
    m = m.double()
    value = m.pre(x.double())
    found = {}
    for i, bend in enumerate(row.bends):
        for j, reading in enumerate([bend, *bend.also], -1):
            if reading.kind != "none":
                found[i, j] = planes_of(reading, m, value)
    m.float()
    return found


def describe(bend, planes):
    about = {"kind": bend.kind, "smooth": bend.smooth}
    if bend.kind == "none":
        return about
    bits = planes[0]
    if bend.kind == "knots":
        about["knots"] = bend.knots
    about.update(shape=list(bits.shape[2:]), planes=bits.shape[1], bits=pack(bits))
    return about


def bends_json(row, m, x):
    planes, found = bits_of(row, m, x), []
    for i, bend in enumerate(row.bends):
        leaf = bend.leaf or ("act" if isinstance(row.act, nn.Module) else "")
        about = {"spelling": row.name, "module": f"{row.name}.{leaf}".rstrip("."), "op": bend.op, "watch": bend.watch}
        if bend.named:
            about["as"] = bend.named
        about.update(describe(bend, planes.get((i, -1))))
        if bend.kind == "winner":
            with torch.no_grad():
                about["choices"] = bend.value(m, m.pre(x)).shape[-1]
        if bend.also:
            about["also"] = [describe(other, planes[i, j]) for j, other in enumerate(bend.also)]
        found.append(about)
    return found


# Export.


def small(model):
    """Keeps of the dynamo exporter's metadata what names are read from, and no types of what has its type already."""
    stored = {tensor.name for tensor in model.graph.initializer}
    types = [value for value in model.graph.value_info if value.name not in stored]
    del model.graph.value_info[:]
    model.graph.value_info.extend(types)
    for holder in (*model.graph.node, *model.graph.value_info, *model.graph.input, *model.graph.output,
                   *model.graph.initializer, model.graph, model):
        kept = [p for p in holder.metadata_props if p.key == "pkg.torch.onnx.name_scopes"]
        del holder.metadata_props[:]
        holder.metadata_props.extend(kept)
    return model


def export_checked(spellings, x, exporter):
    """Exports a group, and sees that ONNX Runtime, if there is one, gives what PyTorch gives: exporters err, too."""
    group = Group(spellings).eval()
    model = small(export(group, x[:2], exporter))
    if onnxruntime is not None and "noise" not in spellings:  # which differs by design
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.log_severity_level = 1, 4
        session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
        with torch.no_grad():
            want = group(x.clone()).numpy()
        off = np.abs(session.run(None, {"input": x.numpy()})[0] - want).max()
        if not off < 1e-4 * np.abs(want).max():
            raise ValueError(f"exported, but its outputs differ from PyTorch's by {off:.2g}")
    return model


def export_group(spellings, x, exporter):
    """Returns (model, {spelling: reason}): those that the exporter refuses are left out."""
    try:
        return export_checked(spellings, x, exporter), {}
    except Exception:
        refused = {}
        for name, spelling in spellings.items():
            try:
                export_checked({name: spelling}, x, exporter)
            except Exception as error:
                refused[name] = reason(error)
        kept = {name: s for name, s in spellings.items() if name not in refused}
        if not refused or not kept:
            raise
        return export_checked(kept, x, exporter), refused


def inputs():
    """Multiples of 1/64, so that they are short in JSON."""
    generator = torch.Generator().manual_seed(0)
    return {name: (torch.randn(ITEMS, *shape, generator=generator) * 64).round() / 64 for name, shape in INPUTS.items()}


def main():
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    FOLDER.mkdir(parents=True, exist_ok=True)
    only, xs = sys.argv[1:], inputs()
    unknown = [name for name in only if name not in GROUPS]
    if unknown:
        raise SystemExit(f"no group {unknown}; there are {list(GROUPS)}")
    before = {g["name"]: g for g in json.loads(GOLDEN.read_text())["groups"]} if only and GOLDEN.exists() else {}
    groups = []
    for place, (name, (source, table)) in enumerate(GROUPS.items()):
        if only and name not in only:
            if name in before:
                groups.append(before[name])
            continue
        x = xs[source]
        spellings = {row.name: settle(row, source, x, 1000 * place + i) for i, row in enumerate(table)}
        torch.manual_seed(place)
        group = {"name": name, "input": source, "files": {}, "refused": [],
                 "bends": [b for row in table for b in bends_json(row, spellings[row.name], x)]}
        for exporter in EXPORTERS:
            asked = {row.name: spellings[row.name] for row in table if exporter in row.exporters}
            group["refused"] += [{"spelling": row.name, "exporter": exporter, "reason": "it has no such form"}
                                 for row in table if exporter not in row.exporters]
            if not asked:
                continue
            model, refused = export_group(asked, x, exporter)
            group["refused"] += [{"spelling": s, "exporter": exporter, "reason": why} for s, why in refused.items()]
            file = FOLDER / f"{name}_{exporter}.onnx"
            onnx.save(model, file)
            group["files"][exporter] = file.relative_to(FOLDER.parent).as_posix()
        groups.append(group)
        print(f"{name}: {len(table)} spellings, {len(group['bends'])} bends, refused {group['refused']}", flush=True)
    about = {"script": "testdata/export/bends.py", "torch": torch.__version__, "margin": MARGIN,
             "inputs": {name: x.tolist() for name, x in xs.items()}, "groups": groups}
    GOLDEN.write_text(layout(about))


def layout(about):
    """JSON with one line a bend and an input: it can be read, and a change shows as one."""
    head = {key: about[key] for key in ("script", "torch", "margin")}
    lines = [json.dumps(head)[:-1] + ",", '"inputs": {']
    lines.append(",\n".join(f' "{name}": {json.dumps(x)}' for name, x in about["inputs"].items()))
    lines.append('},\n"groups": [')
    parts = []
    for group in about["groups"]:
        bends = ",\n".join("  " + json.dumps(b) for b in group["bends"])
        rest = json.dumps({key: value for key, value in group.items() if key != "bends"})
        parts.append(f' {rest[:-1]}, "bends": [\n{bends}]}}')
    lines.append(",\n".join(parts) + "]}")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
