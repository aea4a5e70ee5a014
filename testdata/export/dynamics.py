"""Trains small networks on handwritten digits and exports their checkpoints, for onnxprobe dynamics and phases.

    python dynamics.py train DIR IMAGES LABELS      checkpoints of one MLP over its training
    python dynamics.py widths DIR IMAGES LABELS     MLPs of one hidden layer, of several widths and training times
    python dynamics.py check RUN CKPTS              local complexity of a run of onnxprobe dynamics, again in PyTorch

IMAGES and LABELS are MNIST IDX files (plain or .gz). The first --items images are the training set, the last
--test-items the test set; both are written to DIR as train.npz and test.npz (images of uint8 and labels).

train follows "Deep Networks Always Grok and Here is Why": an MLP of --depth linear layers, GELU or ReLU, squared error
against one-hot labels, AdamW (1e-3, weight decay 0.01), batches of 200, 1000 images, float64; weights as PyTorch draws
them, times --init-scale. Checkpoints are spaced evenly in the logarithm of the step, exported by both exporters:

    python dynamics.py train ckpts t10k-images-idx3-ubyte.gz t10k-labels-idx1-ubyte.gz --steps 2000
    onnxprobe dynamics ckpts/dynamo --train ckpts/train.npz --test ckpts/test.npz --preprocess mnist-01 \\
        --include-gemm --sign3 --radius 0.05,0.5 --directions 25 --points 0 -o run
    python dynamics.py check run ckpts --activation gelu

widths follows "Neural networks behave as hash encoders": linear, BatchNorm, ReLU, linear; cross-entropy, Adam of
1e-2 * 0.1^(epoch // 20), batches of 64, weight decay 1e-6. It writes models.csv for onnxprobe phases.

check computes local complexity from its description, or with --authors by its authors' code, in float64, with the run's own frame (RUN/frame.npy): the units
whose sign (-1, 0 or 1) at any vertex x + r q, x - r q differs from that at the first. Counts have to be equal up to
those that hang on a value within 1e-5 of zero; the run needs --include-gemm, --sign3 and --points 0.

Needs torch, onnx, onnxscript and numpy. Everything is drawn with --seed.
"""

import argparse
import copy
import csv
import gzip
import json
import pathlib
import sys

import numpy as np
import onnx
import torch
import torch.nn as nn

from exporters import export

EXPORTERS = ["dynamo", "torchscript"]


def read_idx(path):
    with (gzip.open if str(path).endswith(".gz") else open)(path, "rb") as f:
        data = f.read()
    dims = data[3]
    shape = [int.from_bytes(data[4 + 4 * i:8 + 4 * i], "big") for i in range(dims)]
    return np.frombuffer(data, np.uint8, offset=4 + 4 * dims).reshape(shape)


def digits(args):
    images, labels = read_idx(args.images)[:, None], read_idx(args.labels).astype(np.int64)
    train, test = slice(0, args.items), slice(len(images) - args.test_items, None)
    if args.items + args.test_items > len(images):
        raise SystemExit(f"{args.items} and {args.test_items} images of {len(images)}: the sets would overlap")
    args.dir.mkdir(parents=True, exist_ok=True)
    for name, part in ("train", train), ("test", test):
        np.savez(args.dir / f"{name}.npz", images=images[part], labels=labels[part])
    tensors = lambda part: (torch.tensor(images[part]).double() / 255, torch.tensor(labels[part]))
    return tensors(train), tensors(test)


def mlp(depth, width, activation, inputs=784, classes=10):
    sizes = [inputs] + [width] * (depth - 1) + [classes]
    layers = [nn.Flatten()]
    for i, (a, b) in enumerate(zip(sizes, sizes[1:])):
        layers.append(nn.Linear(a, b))
        if i < depth - 1:
            layers.append({"gelu": nn.GELU, "relu": nn.ReLU}[activation]())
    return nn.Sequential(*layers)


def save(net, args, name):
    """Exports a float32 copy by every exporter."""
    plain = copy.deepcopy(net).float()
    for exporter in args.exporter:
        folder = args.dir / exporter
        folder.mkdir(parents=True, exist_ok=True)
        onnx.save(export(plain, torch.zeros(2, 1, 28, 28), exporter), folder / name)


def train(args):
    torch.manual_seed(args.seed)
    (x, y), (tx, ty) = digits(args)
    net = mlp(args.depth, args.width, args.activation).double()
    with torch.no_grad():
        for p in net.parameters():
            p.mul_(args.init_scale)
    target = nn.functional.one_hot(y, 10).double()
    optimizer = torch.optim.AdamW(net.parameters(), lr=1e-3, weight_decay=0.01)
    steps = sorted({0, *np.round(np.logspace(0, np.log10(args.steps), args.checkpoints)).astype(int).tolist()})
    order = torch.Generator().manual_seed(args.seed)
    accuracy = lambda x, y: float((net(x).argmax(1) == y).double().mean())
    batches = iter(())
    for step in range(args.steps + 1):
        if step in steps:
            with torch.no_grad():
                print(f"step {step}: {accuracy(x, y):.4f} of the training set, {accuracy(tx, ty):.4f} of the test set", flush=True)
            save(net, args, f"step-{step:06d}.onnx")
        rows = next(batches, None)
        if rows is None:
            batches = iter(torch.randperm(len(x), generator=order).split(200))
            rows = next(batches)
        loss = nn.functional.mse_loss(net(x[rows]), target[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


def widths(args):
    (x, y), (tx, ty) = digits(args)
    lines = []
    for width in args.widths:
        torch.manual_seed(args.seed)
        net = nn.Sequential(nn.Flatten(), nn.Linear(784, width), nn.BatchNorm1d(width), nn.ReLU(), nn.Linear(width, 10)).double()
        optimizer = torch.optim.Adam(net.parameters(), lr=1e-2, weight_decay=1e-6)
        order = torch.Generator().manual_seed(args.seed)
        for epoch in range(1, max(args.epochs) + 1):
            for group in optimizer.param_groups:
                group["lr"] = 1e-2 * 0.1 ** (epoch // 20)
            for rows in torch.randperm(len(x), generator=order).split(64):
                if len(rows) < 2:
                    continue
                loss = nn.functional.cross_entropy(net(x[rows]), y[rows])
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
            if epoch in args.epochs:
                name = f"width-{width}-epoch-{epoch}.onnx"
                net.eval()
                with torch.no_grad():
                    print(f"width {width}, epoch {epoch}: {float((net(tx).argmax(1) == ty).double().mean()):.4f} of the test set", flush=True)
                save(net, args, name)
                net.train()
                lines.append([f"{args.exporter[0]}/{name}", width, epoch, args.items])
    with open(args.dir / "models.csv", "w", newline="") as f:
        csv.writer(f).writerows([["path", "size", "time", "samples"], *lines])


def layers(path):
    """Weights and biases of the linear layers of an exported MLP, in their order."""
    model = onnx.load(path)
    tensors = {t.name: onnx.numpy_helper.to_array(t) for t in model.graph.initializer}
    out = []
    for node in model.graph.node:
        if node.op_type != "Gemm":
            continue
        w, b = tensors[node.input[1]], tensors[node.input[2]]
        transposed = any(a.name == "transB" and a.i for a in node.attribute)
        out.append((torch.tensor(w if transposed else w.T).double(), torch.tensor(b).double()))
    if not out:
        raise SystemExit(f"{path}: no linear layer found in {sorted({n.op_type for n in model.graph.node})}")
    return out


def signs(stack, x, activation, tolerance=1e-5):
    """The sign of each linear layer's outputs, and which of them are within the tolerance of zero."""
    for i, (w, b) in enumerate(stack):
        z = x @ w.T + b
        yield torch.sign(z), z.abs() < tolerance
        x = nn.functional.gelu(z) if activation == "gelu" else z.relu()


def authors_counts(folder, stack, hulls, activation):
    """Each linear layer's count over all hulls, by the local_complexity.py of the paper's authors, as it is."""
    sys.path.insert(0, folder)
    torch.Tensor.cuda = lambda self, *_: self  # it knows no CPU
    from local_complexity import get_intersections_for_hulls

    buffer = {}

    class Net:
        def forward(self, x):
            for i, (w, b) in enumerate(stack):
                buffer[str(i)] = z = x @ w.T + b
                x = nn.functional.gelu(z) if activation == "gelu" else z.relu()
            return z

    names = [str(i) for i in range(len(stack))]
    # Batches of one: it drops what is left over.
    counts, _ = get_intersections_for_hulls(hulls, Net(), names, buffer, batch_size=1)
    return counts.sum(0).int().numpy()


def check(args):
    plan = json.loads((args.run / "plan.json").read_text())["settings"]
    settings = plan["complexity"]
    if settings["points"] or not settings.get("sign3") or not plan.get("include_gemm"):
        raise SystemExit("the run needs --include-gemm, --sign3 and --points 0")
    frame = torch.tensor(np.load(args.run / "frame.npy")).double()
    sets = {name: torch.tensor(np.load(args.ckpts / f"{name}.npz")["images"]).double().flatten(1) / 255 for name in ("train", "test")}
    records = sorted(args.run.glob("step-*.json"), key=lambda p: int(p.stem.split("-")[1]))
    chosen = [r for r in records if not args.steps or int(r.stem.split("-")[1]) in args.steps]
    bad = 0
    for record in chosen:
        made = json.loads(record.read_text())
        stack = layers(args.root / made["path"])
        for name, x in sets.items():
            for radius in settings["radii"]:
                rows = [r for r in made["rows"] if r["set"] == name and r["measure"] == "complexity" and r.get("radius") == radius and "site" in r]
                counts, hangs = np.zeros(len(stack), int), np.zeros(len(stack), int)
                for part in x.split(256):
                    # As onnxprobe makes them: vertices are float32.
                    q = (frame.float() * np.float32(radius))[None]
                    v = torch.cat([part.float()[:, None] + q, part.float()[:, None] - q], 1).double()
                    if args.authors:
                        counts += authors_counts(args.authors, stack, v, args.activation)
                    for i, (s, near) in enumerate(signs(stack, v, args.activation)):
                        hit = (s[:, 1:] != s[:, :1]).any(1)
                        # Without the vertices near zero: is it hit all the same?
                        far = torch.where(near, torch.nan, s)
                        low = torch.nan_to_num(far, nan=2).amin(1)
                        high = torch.nan_to_num(far, nan=-2).amax(1)
                        sure = (high > low) & (low < 2) & (high > -2)
                        if not args.authors:
                            counts[i] += int(hit.sum())
                        hangs[i] += int((near.any(1) & ~sure).sum())
                got = [round(r["value"] * r["n"]) for r in rows]
                assert len(got) == len(stack) and all(r["n"] == len(x) for r in rows), (len(got), len(stack))
                far_off = [abs(a - b) > h for a, b, h in zip(got, counts, hangs)]
                bad += sum(far_off)
                print(f"{record.stem} {name} r={radius}: onnxprobe {got} {'the authors' if args.authors else 'PyTorch'} {counts.tolist()} hang on a value near 0 {hangs.tolist()}"
                      f"{' WRONG' if any(far_off) else ''}")
    print(f"{len(chosen)} checkpoints, {bad} counts differ by more than what hangs on values near zero")
    raise SystemExit(1 if bad else 0)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    verbs = parser.add_subparsers(dest="verb", required=True)
    for name in "train", "widths":
        p = verbs.add_parser(name)
        p.add_argument("dir", type=pathlib.Path)
        p.add_argument("images", type=pathlib.Path)
        p.add_argument("labels", type=pathlib.Path)
        p.add_argument("--items", type=int, default=1000, help="training images")
        p.add_argument("--test-items", type=int, default=1000)
        p.add_argument("--seed", type=int, default=0)
        p.add_argument("--exporter", nargs="+", choices=EXPORTERS, default=EXPORTERS)
        if name == "train":
            p.add_argument("--depth", type=int, default=4, help="linear layers")
            p.add_argument("--width", type=int, default=200)
            p.add_argument("--activation", choices=["gelu", "relu"], default="gelu")
            p.add_argument("--init-scale", type=float, default=1.0, help="factor of the initial weights")
            p.add_argument("--steps", type=int, default=2000)
            p.add_argument("--checkpoints", type=int, default=8)
        else:
            p.add_argument("--widths", type=int, nargs="+", default=[20, 40, 65, 100])
            p.add_argument("--epochs", type=int, nargs="+", default=[1, 10], help="when to export")
    p = verbs.add_parser("check")
    p.add_argument("run", type=pathlib.Path, help="folder that onnxprobe dynamics worked in")
    p.add_argument("ckpts", type=pathlib.Path, help="folder with train.npz and test.npz")
    p.add_argument("--activation", choices=["gelu", "relu"], default="gelu")
    p.add_argument("--authors", help="a clone of github.com/AhmedImtiazPrio/grok-adversarial, whose code counts then")
    p.add_argument("--steps", type=int, nargs="*", help="which checkpoints; all by default")
    p.add_argument("--root", type=pathlib.Path, default=pathlib.Path(), help="where the paths in the records count from")
    args = parser.parse_args()
    torch.set_num_threads(1)
    {"train": train, "widths": widths, "check": check}[args.verb](args)


if __name__ == "__main__":
    main()
