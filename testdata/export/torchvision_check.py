"""Exports torchvision's networks by both exporters with what PyTorch itself computes, for engines to be held against.

    python torchvision_check.py DIR [--models resnet18,vit_b_16] [--batch 2]

writes, outside the repository (3.5 GB in all, some minutes),

    DIR/NAME_EXPORTER.onnx     the network as torchvision has it, its batch left open
    DIR/NAME_EXPORTER.npz      input    float32 [batch, 3, 224, 224]
                               logits   float32 [batch, 1000]
                               value:V  a handful of intermediates, V being the name of the value in that ONNX file
                               rounding float64: how far PyTorch's own float32 is from the truth in any of its modules

logits and intermediates are the truth as far as float32 holds it: PyTorch computes them in float64. Distances are
relative to the largest magnitude of a value. ResNet-50 of random weights is badly conditioned: rounding is 6e-5 there.

    ONNXPROBE_TORCHVISION=DIR go test ./engine/gorgonia -run TestTorchvision -v

Weights are random (seed 0), yet such that every layer says something: BatchNorm has random scales, and running
statistics from one pass over random pictures; what torchvision starts at zero or at 1e-6 (the head and class token
of the vision transformer, the layer scales of ConvNeXt) is drawn too. Files that exist already are kept.
"""

import argparse
import json
import pathlib
import re

import numpy as np
import onnx
import torch
import torchvision

from exporters import export

NAMES = ["resnet18", "mobilenet_v2", "mobilenet_v3_small", "mobilenet_v3_large", "efficientnet_b0", "resnet50",
         "densenet121", "vit_b_16", "convnext_tiny", "vgg11_bn", "vgg11"]
EXPORTERS = ["dynamo", "torchscript"]
INTERMEDIATES = 6


def build(name, batch):
    torch.manual_seed(0)
    model = getattr(torchvision.models, name)(weights=None).eval()
    x = torch.randn(batch, 3, 224, 224)
    norms = [m for m in model.modules() if isinstance(m, torch.nn.BatchNorm2d)]
    with torch.no_grad():
        for norm in norms:
            norm.weight.uniform_(0.5, 1.5)
            norm.bias.normal_(0, 0.2)
        for key, parameter in model.named_parameters():
            if key.endswith("layer_scale"):
                parameter.uniform_(0.1, 0.5)
            elif key in ("heads.head.weight", "class_token"):
                parameter.normal_(0, 0.05)
        momenta = [norm.momentum for norm in norms]
        for norm in norms:
            norm.momentum = 1.0
            norm.train()
        model(torch.randn(max(batch, 4), 3, 224, 224))
        for norm, momentum in zip(norms, momenta):
            norm.momentum = momentum
            norm.eval()
    return model, x


def observe(model, x):
    """Runs the model; returns its logits and the output of every module called once that gives one float tensor."""
    seen, calls, hooks = {}, {}, []

    def hook(path):
        def keep(module, inputs, output):
            calls[path] = calls.get(path, 0) + 1
            if isinstance(output, torch.Tensor):
                seen[path] = output.clone()  # what follows may work in place
        return keep

    for path, module in model.named_modules():
        # A module that holds others ends at a value that no exporter folds into its neighbour.
        if path and (any(module.children()) or "Pool" in type(module).__name__):
            hooks.append(module.register_forward_hook(hook(path)))
    with torch.no_grad():
        logits = model(x)
    for h in hooks:
        h.remove()
    return logits, {path: value for path, value in seen.items() if calls[path] == 1}


def scopes(node):
    """Returns the module paths that a node lies in, outermost first, as either exporter writes them."""
    for prop in node.metadata_props:
        if prop.key == "pkg.torch.onnx.name_scopes":
            return [s for s in json.loads(prop.value.replace("'", '"')) if s]
    return [p for p in re.sub(r"/[^/]*$", "", node.name).split("/") if p]


def last_values(proto):
    """Returns for each module path the value that the last of its nodes makes."""
    last = {}
    for node in proto.graph.node:
        parts = scopes(node)
        for part in parts:
            last[part] = node.output[0]
        for i in range(2, len(parts) + 1):  # legacy names repeat the path or give it in steps
            last[".".join(parts[:i])] = node.output[0]
    return last


def evaluate(proto, path, names, x):
    """Runs the file in ONNX Runtime with more outputs, to see that each name is the module's value; None without it."""
    try:
        import onnxruntime
    except ImportError:
        return None
    more = onnx.ModelProto()
    more.CopyFrom(proto)
    more.graph.output.extend(onnx.helper.make_empty_tensor_value_info(n) for n in names)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(more.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return dict(zip(names, session.run(names, {"input": x.numpy()})))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dir", type=pathlib.Path)
    parser.add_argument("--models", default=",".join(NAMES), help="comma-separated names")
    parser.add_argument("--batch", type=int, default=2)
    args = parser.parse_args()
    torch.set_num_threads(2)
    args.dir.mkdir(parents=True, exist_ok=True)
    for name in args.models.split(","):
        for exporter in EXPORTERS:
            stem = args.dir / f"{name}_{exporter}"
            if stem.with_suffix(".npz").exists():
                continue
            model, x = build(name, args.batch)
            _, single = observe(model, x)
            proto = export(model, x, exporter)
            logits, seen = observe(model.double(), x.double())
            rounding = max((single[path] - seen[path]).abs().max() / seen[path].abs().max() for path in seen).item()
            last = last_values(proto)
            found = [path for path in seen if path in last and last[path] != "logits"]
            step = max(1, len(found) // INTERMEDIATES)
            values = {last[path]: seen[path].float().numpy() for path in found[step - 1::step]}
            off = []
            ran = evaluate(proto, stem, list(values), x)
            for key, got in (ran or {}).items():
                want = values[key]
                if got.shape != want.shape or np.abs(got - want).max() > 1e-3 * np.abs(want).max():
                    off.append(key)
            scale = [f"{np.abs(v).max():.3g}" for v in values.values()]
            print(f"{stem.name}: {len(proto.graph.node)} nodes, logits up to {logits.abs().max():.3g}, {len(values)} "
                  f"intermediates up to {' '.join(scale)}; rounding {rounding:.2g}", flush=True)
            if off:
                raise SystemExit(f"{stem.name}: not what ONNX Runtime gives for these values: {off}")
            onnx.save(proto, stem.with_suffix(".onnx"))
            np.savez(stem.with_suffix(".npz"), input=x.numpy(), logits=logits.float().numpy(),
                     rounding=np.float64(rounding), **{f"value:{key}": value for key, value in values.items()})


if __name__ == "__main__":
    main()
