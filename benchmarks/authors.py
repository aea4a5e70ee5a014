"""Local complexity by the code of its authors, for compare.py: https://github.com/AhmedImtiazPrio/grok-adversarial.

    python authors.py --authors DIR --out FOLDER --points 1024 --batch 256 --device cuda

DIR is a clone of that repository; its local_complexity.py, models.py and utils.py are imported, as they are. The network is
the pre-activation ResNet-18 (k = 16, no batch normalisation) with the weights that testdata/export/torchvision_models.py
exports, the points are uniform in the range of normalised CIFAR-10, and what is timed is get_intersections_for_hulls over
neighbourhoods made before. FOLDER gets points.npy, frame.npy and counts.npy [points, sites], for the same measurement by
onnxprobe. Prints one JSON line. On the CPU, which the authors' code does not know, .cuda() is made to do nothing.
"""

import argparse
import json
import pathlib
import sys
import time
import types

import numpy
import torch

from hooks import peak

HERE = pathlib.Path(__file__).resolve().parent


def weights():
    """The state of the exported network."""
    sys.path.insert(0, str(HERE.parent / "testdata" / "export"))
    from models import PreActResNet18

    torch.manual_seed(0)  # as torchvision_models.py does
    return PreActResNet18(k=16, use_bn=False).state_dict()


def main():
    p = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    p.add_argument("--authors", required=True)
    p.add_argument("--out", type=pathlib.Path, required=True)
    p.add_argument("--points", type=int, default=1024)
    p.add_argument("--vertices", type=int, default=40)
    p.add_argument("--radius", type=float, default=0.005)
    p.add_argument("--batch", type=int, default=256, help="points of a forward pass; the authors' is 256")
    p.add_argument("--rounds", type=int, default=3)
    p.add_argument("--threads", type=int, default=0)
    p.add_argument("--device", choices=["cpu", "cuda"], default="cuda")
    args = p.parse_args()
    if args.points % args.batch:
        p.error("--points must be a multiple of --batch: the authors' code drops what is left over")

    state = weights()
    sys.path.insert(0, args.authors)
    for name in ("models", "utils"):  # the export scripts have a models.py too
        sys.modules.pop(name, None)
    import local_complexity
    from models import make_resnet18k
    from utils import add_hooks_preact_resnet18

    if args.device == "cpu":
        torch.Tensor.cuda = torch.nn.Module.cuda = lambda self, *_: self
    if args.threads:
        torch.set_num_threads(args.threads)
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    net = make_resnet18k(k=16, num_classes=10, bn=False)
    net.load_state_dict(state)
    net = net.eval().to(args.device)
    net, names, buffer = add_hooks_preact_resnet18(net, types.SimpleNamespace(use_bn=False))

    points = torch.rand(args.points, 3, 32, 32, generator=torch.Generator().manual_seed(0)) * (2.7537 + 2.4291) - 2.4291
    hulls = torch.cat([local_complexity.get_ortho_hull_around_samples(x.to(args.device), r=args.radius, n=args.vertices, seed=42).cpu()
                       for x in points.split(args.batch)])
    frame = local_complexity.sample_ortho_random(args.vertices // 2, 3 * 32 * 32, seed=42).detach()
    frame = (frame / frame.norm(dim=1, keepdim=True)).cpu()

    def run():
        start = time.perf_counter()
        counts, _ = local_complexity.get_intersections_for_hulls(hulls, net, names, buffer, batch_size=args.batch)
        return time.perf_counter() - start, counts

    run()  # warms up: the script is compiled in the first two
    times = []
    for _ in range(args.rounds):
        seconds, counts = run()
        times.append(seconds)
    args.out.mkdir(parents=True, exist_ok=True)
    for name, array in [("points", points), ("frame", frame), ("counts", counts)]:
        numpy.save(args.out / f"{name}.npy", array.numpy())
    print(json.dumps({
        "points": args.points,
        "batch": args.batch,
        "points_per_s": args.points / float(numpy.median(times)),
        "sites": [str(n) for n in names],
        "peak_host_bytes": peak(),
        "peak_device_bytes": torch.cuda.max_memory_reserved() if args.device == "cuda" else 0,
    }))


if __name__ == "__main__":
    main()
