"""Handwritten digits and CIFAR-10 pictures from the files that their authors distribute, split for dynamics.py."""

import gzip

import numpy as np
import torch

CIFAR10_RECORD = 1 + 3 * 32 * 32  # a label, then the planes


def read_idx(path):
    """One array of an MNIST IDX file, plain or gzip."""
    with (gzip.open if str(path).endswith(".gz") else open)(path, "rb") as f:
        data = f.read()
    dims = data[3]
    shape = [int.from_bytes(data[4 + 4 * i:8 + 4 * i], "big") for i in range(dims)]
    return np.frombuffer(data, np.uint8, offset=4 + 4 * dims).reshape(shape)


def read_cifar10(paths):
    """Images [N,3,32,32] and labels [N] of CIFAR-10's binary version."""
    records = np.concatenate([np.fromfile(p, np.uint8).reshape(-1, CIFAR10_RECORD) for p in paths])
    return records[:, 1:].reshape(-1, 3, 32, 32), records[:, 0]


def read(paths):
    """Images [N,C,H,W] of uint8 and labels [N] of int64: CIFAR-10 .bin files, or pairs of IDX files, images and labels."""
    if all(str(p).endswith(".bin") for p in paths):
        images, labels = read_cifar10(paths)
    elif len(paths) % 2 == 0:
        images = np.concatenate([read_idx(p)[:, None] for p in paths[::2]])
        labels = np.concatenate([read_idx(p) for p in paths[1::2]])
    else:
        raise SystemExit(f"{len(paths)} files: want CIFAR-10 .bin files, or images and labels of MNIST in turn")
    return images, labels.astype(np.int64)


def split(args):
    """The first --items and the last --test-items images of the files, as (images, labels) of uint8 and int64 each.

    Both are written to DIR, as train.npz and test.npz.
    """
    images, labels = read(args.data)
    if args.items + args.test_items > len(images):
        raise SystemExit(f"{args.items} and {args.test_items} images of {len(images)}: the sets would overlap")
    args.dir.mkdir(parents=True, exist_ok=True)
    parts = {"train": slice(0, args.items), "test": slice(len(images) - args.test_items, None)}
    for name, part in parts.items():
        np.savez(args.dir / f"{name}.npz", images=images[part], labels=labels[part])
    print(f"{len(images)} images: the first {args.items} train, the last {args.test_items} test", flush=True)
    return [(torch.tensor(images[part]), torch.tensor(labels[part])) for part in parts.values()]
