"""Trains what two papers train and exports checkpoints, for onnxprobe dynamics and phases.

    python dynamics.py train DIR IMAGES LABELS      one MLP over its training, on MNIST
    python dynamics.py resnet DIR BIN...            the pre-activation ResNet-18 over its training, on CIFAR-10
    python dynamics.py widths DIR FILES...          MLPs of several widths and training times, on either
    python dynamics.py check RUN DIR                local complexity of a run of onnxprobe dynamics, again in PyTorch

IMAGES and LABELS are MNIST IDX files (plain or .gz; FILES take several pairs of them), BIN those of CIFAR-10's binary
version. The first --items images are the training set and the last --test-items the test set, whatever the files are
called: name the test set's file last. Both are written to DIR as train.npz and test.npz (images of uint8 and labels).
The smaller the sets, the sooner a network interpolates, and the further its figures are from the papers'.

train and resnet follow "Deep Networks Always Grok and Here is Why"; checkpoints are spaced evenly in the logarithm of
the step. train is an MLP of --depth linear layers, GELU or ReLU, squared error against one-hot labels, AdamW (1e-3,
weight decay 0.01), batches of 200, 1000 images, float64; weights as PyTorch draws them, times --init-scale; the authors
take 1,000,000 steps. resnet is of width --k, without batch normalisation; cross-entropy, AdamW (1e-3, no weight decay),
no augmentation, pictures as onnxprobe's --preprocess cifar10 has them; the authors take 50,000 images, batches of 256
and 500,000 steps.

    python dynamics.py train ckpts t10k-images-idx3-ubyte.gz t10k-labels-idx1-ubyte.gz --steps 2000
    onnxprobe dynamics ckpts/dynamo --train ckpts/train.npz --test ckpts/test.npz --preprocess mnist-01 \\
        --include-gemm --sign3 --radius 0.05,0.5 --directions 25 --points 0 -o run
    python dynamics.py check run ckpts --activation gelu

widths follows "Neural networks behave as hash encoders": --depth hidden layers of linear, BatchNorm, ReLU, then a linear
one; cross-entropy, Adam of 1e-2 * 0.1^(epoch // 20), batches of 64, weight decay 1e-6. The paper has one layer for MNIST
and five for CIFAR-10. It writes models.csv for onnxprobe phases.

check computes local complexity from its description, or with --authors by its authors' code, with the run's own frame
(RUN/frame.npy): the units whose sign (-1, 0 or 1) at any vertex x + r q, x - r q differs from that at the first. It is of
float64; the authors' code takes the ResNet in float32, as they do. Counts have to be equal up to those that hang on a
value within --tolerance of zero. The run needs --sign3, --points 0 and, of an MLP, --include-gemm; what --limit takes of
train.npz and test.npz is taken here too.

Needs torch, torchvision, onnx, onnxscript and numpy. Everything is drawn with --seed.
"""

import argparse
import pathlib

import torch

from dynamics_check import check
from dynamics_train import ACTIVATIONS, DTYPES, resnet, train, widths

EXPORTERS = ["dynamo", "torchscript"]


def training(verbs, name):
    """A verb with the options that every training has."""
    p = verbs.add_parser(name)
    p.add_argument("dir", type=pathlib.Path)
    p.add_argument("data", type=pathlib.Path, nargs="+", help="CIFAR-10 .bin files, or images and labels of MNIST in turn")
    p.add_argument("--items", type=int, default=1000, help="training images")
    p.add_argument("--test-items", type=int, default=1000)
    p.add_argument("--seed", type=int, default=0)
    p.add_argument("--exporter", nargs="+", choices=EXPORTERS, default=EXPORTERS)
    return p


def over_steps(p, batch):
    p.add_argument("--batch", type=int, default=batch)
    p.add_argument("--steps", type=int, default=2000)
    p.add_argument("--checkpoints", type=int, default=8)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    verbs = parser.add_subparsers(dest="verb", required=True)

    p = training(verbs, "train")
    over_steps(p, batch=200)
    p.add_argument("--depth", type=int, default=4, help="linear layers")
    p.add_argument("--width", type=int, default=200)
    p.add_argument("--activation", choices=ACTIVATIONS, default="gelu")
    p.add_argument("--init-scale", type=float, default=1.0, help="factor of the initial weights")
    p.add_argument("--weight-decay", type=float, default=0.01)
    p.add_argument("--dtype", choices=DTYPES, default="float64")

    p = training(verbs, "resnet")
    over_steps(p, batch=256)
    p.add_argument("--k", type=int, default=16, help="filters of the first layer")

    p = training(verbs, "widths")
    p.add_argument("--depth", type=int, default=1, help="hidden layers")
    p.add_argument("--widths", type=int, nargs="+", default=[20, 40, 65, 100], help="units of each")
    p.add_argument("--epochs", type=int, nargs="+", default=[1, 10], help="when to export; 0 is before the first")
    p.add_argument("--dtype", choices=DTYPES, default="float64")

    p = verbs.add_parser("check")
    p.add_argument("run", type=pathlib.Path, help="folder that onnxprobe dynamics worked in")
    p.add_argument("ckpts", type=pathlib.Path, help="folder with train.npz and test.npz")
    p.add_argument("--activation", choices=ACTIVATIONS, default="gelu", help="of an MLP")
    p.add_argument("--authors", help="a clone of github.com/AhmedImtiazPrio/grok-adversarial, whose code counts then")
    p.add_argument("--steps", type=int, nargs="*", help="which checkpoints; all by default")
    p.add_argument("--tolerance", type=float, default=1e-5, help="values this near to zero may fall on either side")
    p.add_argument("--root", type=pathlib.Path, default=pathlib.Path(), help="where the paths in the records count from")

    args = parser.parse_args()
    torch.set_num_threads(1)
    {"train": train, "resnet": resnet, "widths": widths, "check": check}[args.verb](args)


if __name__ == "__main__":
    main()
