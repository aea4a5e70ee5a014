"""The peers, one a process: PyTorch eager plain, PyTorch eager with forward hooks and packing, ONNX Runtime from Python.

    python hooks.py --model resnet18 --batch 8 --threads 2 --images 64 --device cpu
    python hooks.py --model resnet18 --mode plain --batch 32,64,128 --seconds 2 --device cuda
    python hooks.py --model resnet18 --mode onnxruntime --onnx resnet18.onnx

The hooks are what a PyTorch user would write: one before every ReLU and GELU, codes packed as numpy.packbits packs them, on
a GPU by a product with powers of two. Prints one JSON line; of several batch sizes the best is the one that counts. Random
weights and random images: neither the time of a convolution nor that of packing depends on their values. Model loading and
the first batches (--warmup) are not counted; bringing images to the device and outputs and codes to the host is. TF32 is
off. Needs torch, torchvision and numpy.
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
    "vit_b_16": (torchvision.models.vit_b_16, (3, 224, 224)),
    "preact": (preact, (3, 32, 32)),
}


def pack_on_device(positive, weights):
    """numpy.packbits(positive, axis=1) by a product with [128, 64, ..., 1]; the last byte is padded with zeros."""
    positive = F.pad(positive, (0, -positive.shape[1] % 8))
    bits = positive.view(len(positive), -1, 8)
    return (bits.to(weights.dtype) @ weights).to(torch.uint8)


def hook(net, device):
    """Hooks every ReLU and GELU; returns the list that collects one array of packed codes for each call."""
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
        if isinstance(module, (torch.nn.ReLU, torch.nn.GELU)):
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


def pytorch(args, device, shape, make):
    """A function of a batch that returns how many bytes the code of an image has."""
    torch.set_num_threads(args.threads)
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    net = make().eval().to(device)
    codes = hook(net, device) if args.mode == "hooks" else None

    @torch.inference_mode()
    def step(x):
        net(x.to(device)).cpu()
        return 0 if codes is None else collect(codes).shape[1]

    return step


def onnx_runtime(args):
    import onnxruntime

    o = onnxruntime.SessionOptions()
    o.intra_op_num_threads = args.threads
    providers = ["CPUExecutionProvider"]
    if args.device == "cuda":
        providers = [("CUDAExecutionProvider", {"use_tf32": "0", "cudnn_conv_algo_search": "HEURISTIC"})]
        o.add_session_config_entry("session.disable_cpu_ep_fallback", "1")
    session = onnxruntime.InferenceSession(args.onnx, o, providers=providers)
    if args.device == "cuda" and "CUDAExecutionProvider" not in session.get_providers():
        raise SystemExit("this onnxruntime has no working CUDA provider; install onnxruntime-gpu")
    name = session.get_inputs()[0].name

    def step(x):
        session.run(None, {name: x.numpy()})
        return 0

    return step


def measure(step, x, args):
    """Images a second of one batch size: [of every batch]."""
    for _ in range(args.warmup):
        code_bytes = step(x)
    rates, end = [], time.perf_counter() + args.seconds
    while len(rates) < 3 or (time.perf_counter() < end if args.seconds else len(rates) * len(x) < args.images):
        start = time.perf_counter()
        step(x)
        rates.append(len(x) / (time.perf_counter() - start))
    return rates, code_bytes


def peak():
    """The most memory that this process held, in bytes; 0 is not known."""
    try:
        with open("/proc/self/status") as f:
            return next(int(line.split()[1]) << 10 for line in f if line.startswith("VmHWM"))
    except (OSError, StopIteration):
        return 0


def main():
    p = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    p.add_argument("--model", choices=sorted(MODELS), default="resnet18")
    p.add_argument("--mode", choices=["hooks", "plain", "onnxruntime"], default="hooks")
    p.add_argument("--onnx", help="with --mode onnxruntime: the export of the model")
    p.add_argument("--batch", default="8", help="a size, or several, comma-separated")
    p.add_argument("--threads", type=int, default=os.cpu_count())
    p.add_argument("--images", type=int, default=64, help="images to time, rounded up to whole batches")
    p.add_argument("--seconds", type=float, default=0, help="time every batch size so long instead")
    p.add_argument("--warmup", type=int, default=2, help="batches before the clock starts")
    p.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    args = p.parse_args()
    batches = [int(b) for b in args.batch.split(",")]
    if min(*batches, args.threads, args.images, args.warmup) < 1:
        p.error("--batch, --threads, --images and --warmup must be at least 1")
    if (args.mode == "onnxruntime") != bool(args.onnx):
        p.error("--onnx goes with --mode onnxruntime")
    if args.device == "cuda" and not torch.cuda.is_available():
        p.error("--device cuda: torch finds no GPU here")

    torch.manual_seed(0)
    device = torch.device(args.device)
    make, shape = MODELS[args.model]
    step = onnx_runtime(args) if args.mode == "onnxruntime" else pytorch(args, device, shape, make)
    best = None
    for batch in batches:
        try:
            rates, code_bytes = measure(step, torch.randn(batch, *shape), args)
        except torch.OutOfMemoryError:
            if best is None:
                raise
            break
        rate = float(numpy.median(rates))
        if best is None or rate > best["images_per_s"]:
            best = {"batch": batch, "images": batch * len(rates), "images_per_s": round(rate, 3), "code_bytes": code_bytes,
                    "p10": round(float(numpy.percentile(rates, 10)), 3), "p90": round(float(numpy.percentile(rates, 90)), 3)}

    print(json.dumps({
        "name": {"hooks": "pytorch-hooks-packbits", "plain": "pytorch-plain", "onnxruntime": "onnxruntime-python"}[args.mode],
        "model": args.model,
        "device": args.device,
        **best,
        "peak_host_bytes": peak(),
        "peak_device_bytes": torch.cuda.max_memory_reserved() if args.device == "cuda" and args.mode != "onnxruntime" else 0,
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
