"""The trainings of dynamics.py: what two papers train, from their descriptions, exported on the way."""

import copy
import csv
import itertools

import numpy as np
import onnx
import torch
import torch.nn as nn

from dynamics_data import split
from exporters import export
from models import PreActResNet18

DTYPES = {"float32": torch.float32, "float64": torch.float64}
ACTIVATIONS = {"gelu": nn.GELU, "relu": nn.ReLU}

# The normalisation of the local-complexity paper's CIFAR-10 pictures.
CIFAR10_MEAN, CIFAR10_STD = (0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010)


def save(net, shape, args, name):
    """Exports a float32 copy by every exporter; shape is that of one item."""
    plain = copy.deepcopy(net).float()
    for exporter in args.exporter:
        folder = args.dir / exporter
        folder.mkdir(parents=True, exist_ok=True)
        onnx.save(export(plain, torch.zeros(2, *shape), exporter), folder / name)


@torch.no_grad()
def accuracy(net, x, y):
    net.eval()
    right = sum(int((net(rows).argmax(1) == labels).sum()) for rows, labels in zip(x.split(500), y.split(500)))
    net.train()
    return right / len(y)


def batches(x, target, size, generator):
    """One pass over the set in a new order. A batch of one item, of which BatchNorm can make nothing, is left out."""
    for rows in torch.randperm(len(x), generator=generator).split(size):
        if len(rows) > 1:
            yield x[rows], target[rows]


def step(net, optimizer, loss, x, target):
    value = loss(net(x), target)
    optimizer.zero_grad()
    value.backward()
    optimizer.step()


def over_steps(net, optimizer, loss, target, train, test, args):
    """Trains for --steps batches and exports --checkpoints times, evenly in the logarithm of the step, and before the first."""
    (x, y), (tx, ty) = train, test
    when = {0, *np.round(np.logspace(0, np.log10(args.steps), args.checkpoints)).astype(int).tolist()}
    generator = torch.Generator().manual_seed(args.seed)
    stream = itertools.chain.from_iterable(batches(x, target, args.batch, generator) for _ in itertools.count())
    for n in range(args.steps + 1):
        if n in when:
            print(f"step {n}: {accuracy(net, x, y):.4f} of the training set, {accuracy(net, tx, ty):.4f} of the test set", flush=True)
            save(net, x.shape[1:], args, f"step-{n:06d}.onnx")
        step(net, optimizer, loss, *next(stream))


def mlp(depth, width, activation, inputs=784, classes=10):
    sizes = [inputs] + [width] * (depth - 1) + [classes]
    layers = [nn.Flatten()]
    for i, (a, b) in enumerate(zip(sizes, sizes[1:])):
        layers.append(nn.Linear(a, b))
        if i < depth - 1:
            layers.append(ACTIVATIONS[activation]())
    return nn.Sequential(*layers)


def train(args):
    torch.manual_seed(args.seed)
    dtype = DTYPES[args.dtype]
    (x, y), test = split(args)
    scaled = lambda x: x.to(dtype) / 255
    net = mlp(args.depth, args.width, args.activation, x[0].numel()).to(dtype)
    with torch.no_grad():
        for p in net.parameters():
            p.mul_(args.init_scale)
    optimizer = torch.optim.AdamW(net.parameters(), lr=1e-3, weight_decay=args.weight_decay, fused=True)
    target = nn.functional.one_hot(y, 10).to(dtype)
    over_steps(net, optimizer, nn.functional.mse_loss, target, (scaled(x), y), (scaled(test[0]), test[1]), args)


def normalized(images):
    mean, std = (torch.tensor(v)[:, None, None] for v in (CIFAR10_MEAN, CIFAR10_STD))
    return (images.float() / 255 - mean) / std


def resnet(args):
    torch.manual_seed(args.seed)
    train, test = ((normalized(x), y) for x, y in split(args))
    net = PreActResNet18(k=args.k)
    optimizer = torch.optim.AdamW(net.parameters(), lr=1e-3, weight_decay=0, fused=True)
    over_steps(net, optimizer, nn.functional.cross_entropy, train[1], train, test, args)


def hidden(depth, width, inputs, classes=10):
    """Hidden layers of linear, BatchNorm, ReLU, and a linear one."""
    layers = [nn.Flatten()]
    for n in [inputs] + [width] * (depth - 1):
        layers += [nn.Linear(n, width), nn.BatchNorm1d(width), nn.ReLU()]
    return nn.Sequential(*layers, nn.Linear(width, classes))


def widths(args):
    (x, y), (tx, ty) = split(args)
    x, tx = x.to(DTYPES[args.dtype]) / 255, tx.to(DTYPES[args.dtype]) / 255
    with open(args.dir / "models.csv", "w", newline="") as f:
        table = csv.writer(f)
        table.writerow(["path", "size", "time", "samples"])
        for width in args.widths:
            torch.manual_seed(args.seed)
            net = hidden(args.depth, width, x[0].numel()).to(x.dtype)
            optimizer = torch.optim.Adam(net.parameters(), lr=1e-2, weight_decay=1e-6, fused=True)
            generator = torch.Generator().manual_seed(args.seed)
            for epoch in range(max(args.epochs) + 1):
                if epoch > 0:
                    for group in optimizer.param_groups:
                        group["lr"] = 1e-2 * 0.1 ** (epoch // 20)
                    for batch in batches(x, y, 64, generator):
                        step(net, optimizer, nn.functional.cross_entropy, *batch)
                if epoch in args.epochs:
                    name = f"width-{width}-epoch-{epoch}.onnx"
                    print(f"width {width}, epoch {epoch}: {accuracy(net, x, y):.4f} of the training set, {accuracy(net, tx, ty):.4f} of the test set", flush=True)
                    save(net, x.shape[1:], args, name)
                    table.writerow([f"{args.exporter[0]}/{name}", width, epoch, args.items])
                    f.flush()
