"""The baseline a PyTorch user would write: forward hooks on every ReLU, codes packed as numpy.packbits packs them.

    python hooks.py --model resnet18 --batch 8 --threads 2 --images 64 --device cpu

prints one JSON line. Random weights and random images: neither the time of a convolution nor that of packing depends on
their values. Model loading, image decoding and the first batches (--warmup) are not counted; bringing the codes to the
host is. Run by hand; needs torch, torchvision and numpy.
"""

import argparse
import json
import os
import platform
import sys
import time
import types

import numpy
import torch
import torch.nn.functional as F
import torchvision

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "testdata", "export"))


def preact():
    """The pre-activation ResNet-18 of the local-complexity paper, its F.relu calls made calls of a module to hook."""
    import models

    relu = torch.nn.ReLU()
    models.F = types.SimpleNamespace(relu=relu, avg_pool2d=F.avg_pool2d)
    net = models.PreActResNet18()
    net.relu = relu
    return net


MODELS = {
    "resnet18": (torchvision.models.resnet18, (3, 224, 224)),
    "resnet50": (torchvision.models.resnet50, (3, 224, 224)),
    "preact": (preact, (3, 32, 32)),
}


def pack_on_device(positive, weights):
    """numpy.packbits(positive, axis=1) by a product with [128, 64, ..., 1]; the last byte is padded with zeros."""
    positive = F.pad(positive, (0, -positive.shape[1] % 8))
    bits = positive.view(len(positive), -1, 8)
    return (bits.to(weights.dtype) @ weights).to(torch.uint8)


def hook(net, device):
    """Hooks every ReLU; returns the list that collects one array of packed codes for each call."""
    codes = []
    # float16 holds every sum up to 255 exactly, and its product runs on every GPU; integer products do not.
    weights = torch.tensor([128, 64, 32, 16, 8, 4, 2, 1], dtype=torch.float16, device=device)

    def before(module, args):
        # A new tensor, taken before the ReLU runs: in-place ReLUs overwrite their input.
        positive = (args[0] > 0).flatten(1)
        if device.type == "cpu":
            codes.append(numpy.packbits(positive.numpy(), axis=1))
        else:
            codes.append(pack_on_device(positive, weights))

    for module in net.modules():
        if isinstance(module, torch.nn.ReLU):
            module.register_forward_pre_hook(before)
    return codes


def collect(codes):
    """The batch's codes as one host array [images, bytes], every call of a ReLU starting on a byte."""
    if isinstance(codes[0], torch.Tensor):
        whole = torch.cat(codes, dim=1).cpu().numpy()
    else:
        whole = numpy.concatenate(codes, axis=1)
    codes.clear()
    return whole


def machine(device, threads):
    cpu = platform.processor() or platform.machine()
    try:
        with open("/proc/cpuinfo") as f:
            cpu = next((line.split(":", 1)[1].strip() for line in f if line.startswith("model name")), cpu)
    except OSError:
        pass
    out = {"cpu": cpu, "cores": os.cpu_count(), "threads": threads, "os": platform.platform()}
    if device.type == "cuda":
        out["gpu"] = torch.cuda.get_device_name(device)
    return out


def main():
    p = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    p.add_argument("--model", choices=sorted(MODELS), default="resnet18")
    p.add_argument("--mode", choices=["hooks", "plain"], default="hooks", help="plain: inference alone, no hooks")
    p.add_argument("--batch", type=int, default=8)
    p.add_argument("--threads", type=int, default=2)
    p.add_argument("--images", type=int, default=64, help="images to time, rounded up to whole batches")
    p.add_argument("--warmup", type=int, default=2, help="batches before the clock starts")
    p.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    args = p.parse_args()
    if min(args.batch, args.threads, args.images) < 1 or args.warmup < 0:
        p.error("--batch, --threads and --images must be at least 1, --warmup at least 0")
    if args.device == "cuda" and not torch.cuda.is_available():
        p.error("--device cuda: torch finds no GPU here")

    torch.set_num_threads(args.threads)
    torch.manual_seed(0)
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    device = torch.device(args.device)
    make, shape = MODELS[args.model]
    net = make().eval().to(device)
    x = torch.randn(args.batch, *shape)
    codes = hook(net, device) if args.mode == "hooks" else None
    code_bytes = 0

    @torch.inference_mode()
    def step():
        nonlocal code_bytes
        net(x.to(device)).cpu()
        if codes is not None:
            code_bytes = collect(codes).shape[1]

    for _ in range(args.warmup):
        step()
    batches = -(-args.images // args.batch)
    start = time.perf_counter()
    for _ in range(batches):
        step()
    seconds = time.perf_counter() - start

    print(json.dumps({
        "name": "pytorch-hooks-packbits" if args.mode == "hooks" else "pytorch-plain",
        "model": args.model,
        "batch": args.batch,
        "device": args.device,
        "images": batches * args.batch,
        "images_per_s": round(batches * args.batch / seconds, 3),
        "code_bytes": code_bytes,
        "machine": machine(device, args.threads),
        "versions": {
            "python": platform.python_version(),
            "torch": torch.__version__,
            "torchvision": torchvision.__version__,
            "numpy": numpy.__version__,
        },
    }))


if __name__ == "__main__":
    main()
