"""PyTorch's projected gradient descent on the shipped MLP and CNN, for onnxprobe's to agree with.

    python testdata/export/attack.py

reads the weights out of testdata/models/*_torchscript.onnx into plain PyTorch layers, attacks the digits of
testdata/images, and writes testdata/golden/attack.json. Needs torch, onnx, numpy and pillow.
"""

import json
import pathlib

import numpy as np
import onnx
import torch
import torch.nn as nn
from PIL import Image

HERE = pathlib.Path(__file__).resolve().parent.parent

NETWORKS = {
    "mlp": nn.Sequential(nn.Flatten(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 44), nn.ReLU(), nn.Linear(44, 10)),
    "cnn": nn.Sequential(
        nn.Conv2d(1, 12, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(12, 24, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(96, 37), nn.ReLU(), nn.Linear(37, 10)),
}

SETTINGS = [
    {"norm": "linf", "epsilon": 0.1, "step": 0.1, "iterations": 1, "start": False},  # FGSM
    {"norm": "linf", "epsilon": 0.1, "step": 0.025, "iterations": 10, "start": False},
    {"norm": "l2", "epsilon": 0.4, "step": 0.1, "iterations": 10, "start": False},
    {"norm": "linf", "epsilon": 0.1, "step": 0.025, "iterations": 10, "start": True},
    {"norm": "l2", "epsilon": 0.4, "step": 0.1, "iterations": 10, "start": True},
]


def load(name):
    net = NETWORKS[name].double().eval()
    weights = [torch.tensor(onnx.numpy_helper.to_array(w)) for w in onnx.load(HERE / "models" / f"{name}_torchscript.onnx").graph.initializer]
    for p, w in zip(net.parameters(), weights, strict=True):
        assert p.shape == w.shape
        p.data.copy_(w)
    return net


def digits():
    images, labels = [], []
    for folder in sorted((HERE / "images" / "digits").iterdir()):
        for file in sorted(folder.iterdir()):
            images.append(np.asarray(Image.open(file).convert("L"), dtype=np.float64) / 255)
            labels.append(int(folder.name))
    return torch.tensor(np.stack(images))[:, None], torch.tensor(labels)


def attack(net, x0, y, norm, epsilon, step, iterations, start):
    torch.manual_seed(0)
    length = lambda d: d.flatten(1).norm(dim=1)[:, None, None, None]
    x = x0.clone()
    if start and norm == "linf":
        x = (x + torch.empty_like(x).uniform_(-epsilon, epsilon)).clamp(0, 1)
    elif start:
        d = torch.randn_like(x)
        r = torch.rand(len(x), dtype=x.dtype)[:, None, None, None] ** (1 / x[0].numel())
        x = (x + epsilon * r * d / length(d)).clamp(0, 1)
    for _ in range(iterations):
        x.requires_grad_(True)
        g, = torch.autograd.grad(nn.functional.cross_entropy(net(x), y, reduction="sum"), x)
        x = x.detach()
        if norm == "linf":
            d = (x + step * g.sign() - x0).clamp(-epsilon, epsilon)
        else:
            d = x + step * g / length(g).clamp_min(1e-300) - x0
            d = d * (epsilon / length(d).clamp_min(1e-300)).clamp(max=1)
        x = (x0 + d).clamp(0, 1)
    return x


def main():
    x0, y = digits()
    out = []
    for name in NETWORKS:
        net = load(name)
        for s in SETTINGS:
            x = attack(net, x0, y, **s)
            with torch.no_grad():
                z0, z = net(x0), net(x)
            loss = lambda z: nn.functional.cross_entropy(z, y, reduction="none")
            out.append({"model": f"{name}_torchscript", **s, "clean": z0.argmax(1).tolist(), "attacked": z.argmax(1).tolist(),
                        "accuracy": float((z0.argmax(1) == y).double().mean()), "robust": float((z.argmax(1) == y).double().mean()),
                        "loss": [round(v, 9) for v in loss(z0).tolist()], "attacked_loss": [round(v, 9) for v in loss(z).tolist()]})
            print(name, s, out[-1]["accuracy"], out[-1]["robust"])
    to = HERE / "golden" / "attack.json"
    to.write_text(json.dumps(out, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()
