"""Local complexity of a run of onnxprobe dynamics, counted again: in PyTorch, or by the code of the paper's authors."""

import importlib.util
import json
import pathlib
import types

import numpy as np
import onnx
import torch
import torch.nn as nn

from dynamics_train import mlp, normalized
from models import PreActResNet18

BATCH = 8  # points at a time, each of as many pictures as the frame has vertices


def layers(model, tensors):
    """Weights and biases of the linear layers of an exported MLP, in their order."""
    out = []
    for node in model.graph.node:
        if node.op_type != "Gemm":
            continue
        w, b = tensors[node.input[1]], tensors[node.input[2]]
        transposed = any(a.name == "transB" and a.i for a in node.attribute)
        out.append((w if transposed else w.T, b))
    return out


class Network:
    """An exported network in PyTorch, and the values that it counts at: those of every linear layer of an MLP, and
    those before every ReLU of the pre-activation ResNet-18. call() puts them into buffer by name, in the order of names.
    """

    def __init__(self, path, activation):
        model = onnx.load(path)
        tensors = {t.name: torch.tensor(onnx.numpy_helper.to_array(t)) for t in model.graph.initializer}
        self.resnet = "conv1.weight" in tensors
        if self.resnet:
            self.state = {n: t for n, t in tensors.items() if n.endswith((".weight", ".bias"))}
            self.net = PreActResNet18(k=len(tensors["conv1.weight"]))
        else:
            stack = layers(model, tensors)
            if not stack:
                raise SystemExit(f"{path}: no linear layer found in {sorted({n.op_type for n in model.graph.node})}")
            self.net = mlp(len(stack), len(stack[0][0]), activation, stack[0][0].shape[1])
            names = [n for n, m in self.net.named_modules() if isinstance(m, nn.Linear)]
            self.state = {f"{n}.{p}": t for n, layer in zip(names, stack) for p, t in zip(("weight", "bias"), layer)}
        self.net.load_state_dict(self.state)
        self.net.double()
        self.buffer = {}
        for name, module in self.net.named_modules():
            if isinstance(module, nn.Identity if self.resnet else nn.Linear):
                module.register_forward_hook(lambda _, __, out, name=name: self.buffer.__setitem__(name, out))

    def call(self, x):
        self.net(x)
        return self.buffer

    def pictures(self, images):
        return normalized(images) if self.resnet else images.float() / 255

    def as_authors(self, folder):
        """The same for their code: network, names and buffer; of the ResNet by their classes, in float32 as they run it."""
        if not self.resnet:
            self.call(torch.zeros(1, 1, 28, 28).double())
            return types.SimpleNamespace(forward=lambda x: self.net(x.double())), list(self.buffer), self.buffer
        net = authors_module(folder, "models").make_resnet18k(k=len(self.state["conv1.weight"]), num_classes=10, bn=False)
        net.load_state_dict(self.state)
        return authors_module(folder, "utils").add_hooks_preact_resnet18(net.eval(), types.SimpleNamespace(use_bn=False))


def authors_module(folder, name):
    """A file of the authors' as it is, under a name of its own: this folder has a models.py too."""
    spec = importlib.util.spec_from_file_location(f"authors_{name}", pathlib.Path(folder) / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def count(values, points, tolerance):
    """Of a layer's values at all vertices of all points: the hits, and those that hang on a value within the tolerance of zero."""
    z = values.reshape(points, -1, values[0].numel())
    s, near = torch.sign(z), z.abs() < tolerance
    hit = (s[:, 1:] != s[:, :1]).any(1)
    # Without the vertices near zero: is it hit all the same?
    far = torch.where(near, torch.nan, s)
    low, high = torch.nan_to_num(far, nan=2).amin(1), torch.nan_to_num(far, nan=-2).amax(1)
    sure = (high > low) & (low < 2) & (high > -2)
    return int(hit.sum()), int((near.any(1) & ~sure).sum())


@torch.no_grad()
def recount(network, x, frame, radius, args):
    """Each layer's count over all points x, and how many of it hang on a value near zero."""
    counts, hangs = 0, 0
    q = (frame * np.float32(radius))[None]
    if args.authors:
        net, names, buffer = network.as_authors(args.authors)
        counting = authors_module(args.authors, "local_complexity").get_intersections_for_hulls
    for part in x.split(BATCH):
        # As onnxprobe makes them: vertices are float32.
        hulls = torch.cat([part[:, None] + q, part[:, None] - q], 1)
        values = network.call(hulls.flatten(0, 1).double())
        both = np.array([count(v, len(part), args.tolerance) for v in values.values()])
        if args.authors:
            # One batch: it drops what is left over.
            theirs, _ = counting(hulls, net, names, buffer, batch_size=len(part))
            both[:, 0] = theirs.sum(0).int().numpy()
        counts, hangs = counts + both[:, 0], hangs + both[:, 1]
    return counts, hangs


def step_of(path):
    return int(path.stem.split("-")[1])


def check(args):
    torch.Tensor.cuda = lambda self, *_: self  # the authors' code knows no CPU
    plan = json.loads((args.run / "plan.json").read_text())["settings"]
    settings = plan["complexity"]
    if settings["points"] or not settings.get("sign3"):
        raise SystemExit("the run needs --sign3 and --points 0")
    frame = torch.tensor(np.load(args.run / "frame.npy"))
    records = [r for r in sorted(args.run.glob("step-*.json"), key=step_of) if not args.steps or step_of(r) in args.steps]
    bad = figures = off = 0
    for record in records:
        made = json.loads(record.read_text())
        network = Network(args.root / made["path"], args.activation)
        for name in "train", "test":
            x = network.pictures(torch.tensor(np.load(args.ckpts / f"{name}.npz")["images"][:plan[name]["items"]]))
            for radius in settings["radii"]:
                rows = [r for r in made["rows"] if r["set"] == name and r["measure"] == "complexity" and r.get("radius") == radius and "site" in r]
                counts, hangs = recount(network, x, frame.reshape(-1, *x.shape[1:]), radius, args)
                got = np.array([round(r["value"] * r["n"]) for r in rows])
                if len(got) != len(counts) or any(r["n"] != len(x) for r in rows):
                    raise SystemExit(f"{record}: {len(got)} sites and {len(counts)} layers, {rows[0]['n']} points and {len(x)}: an MLP's run needs --include-gemm")
                wrong = abs(got - counts) > hangs
                bad, figures, off = bad + wrong.sum(), figures + len(got), off + abs(got - counts).sum()
                print(f"{record.stem} {name} r={radius}: onnxprobe {got.tolist()} {'the authors' if args.authors else 'PyTorch'} {counts.tolist()}"
                      f" hang on a value near 0 {hangs.tolist()}{' WRONG' if wrong.any() else ''}", flush=True)
    print(f"{len(records)} checkpoints, {figures} counts: {off} units differ in all, {bad} counts by more than what hangs on values near zero")
    raise SystemExit(1 if bad else 0)
