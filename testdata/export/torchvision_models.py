"""Exports well-known networks by both exporters, and writes their weightless "structure" versions.

    python torchvision_models.py --out DIR [--models resnet18,resnet50] [--no-models]   full models, not committed
    python torchvision_models.py --structure                                            committed structure files

Weights are random (seed 0). A structure file keeps nodes, names, shapes and small constants; every initializer
over 1 KB points at a file "weights-not-shipped.data" that does not exist. Its sites, as forward hooks of PyTorch
see them, are in testdata/golden/structure.json.
"""

import argparse
import json
import pathlib

import onnx
import torch
import torchvision

from exporters import export
from models import PreActResNet18
from probe import sites_of

TESTDATA = pathlib.Path(__file__).resolve().parent.parent
LARGE = 1024  # bytes; larger initializers become external in structure files


def tv(name):
    return lambda: (getattr(torchvision.models, name)(weights=None), (3, 224, 224))


MODELS = {name: tv(name) for name in [
    "resnet18", "resnet50", "vgg11", "mobilenet_v2", "mobilenet_v3_small", "densenet121", "efficientnet_b0",
    "convnext_tiny", "swin_t", "vit_b_16"]}
MODELS["preact_resnet18"] = lambda: (PreActResNet18(k=16, use_bn=False), (3, 32, 32))

STRUCTURE = [
    "resnet18", "resnet50", "preact_resnet18", "mobilenet_v2", "mobilenet_v3_small", "efficientnet_b0", "convnext_tiny",
    "swin_t", "vit_b_16"]


def build(name):
    torch.manual_seed(0)
    model, shape = MODELS[name]()
    return model.eval(), torch.randn(2, *shape)


def externalize(model):
    """Turns every initializer over LARGE bytes into a reference to a file that is not shipped."""
    offset = 0
    for tensor in model.graph.initializer:
        raw = tensor.raw_data if tensor.HasField("raw_data") else onnx.numpy_helper.to_array(tensor).tobytes()
        if len(raw) <= LARGE:
            continue
        kept = onnx.TensorProto(name=tensor.name, data_type=tensor.data_type, dims=tensor.dims)
        kept.data_location = onnx.TensorProto.EXTERNAL
        for key, value in [("location", "weights-not-shipped.data"), ("offset", offset), ("length", len(raw))]:
            kept.external_data.add(key=key, value=str(value))
        kept.metadata_props.extend(tensor.metadata_props)
        tensor.CopyFrom(kept)
        offset += -(-len(raw) // 4096) * 4096
    return model


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=pathlib.Path, help="folder for the full models")
    parser.add_argument("--models", default=",".join(MODELS), help="comma-separated names")
    parser.add_argument("--structure", action="store_true", help="write testdata/models/structure and its golden")
    args = parser.parse_args()
    torch.set_num_threads(2)
    if args.out:
        args.out.mkdir(parents=True, exist_ok=True)
        for name in args.models.split(","):
            model, x = build(name)
            for exporter in ["torchscript", "dynamo"]:
                onnx.save(export(model, x, exporter), args.out / f"{name}_{exporter}.onnx")
                print(name, exporter, flush=True)
    if args.structure:
        folder = TESTDATA / "models" / "structure"
        folder.mkdir(parents=True, exist_ok=True)
        golden = {}
        for name in STRUCTURE:
            model, x = build(name)
            golden[name] = sites_of(model, x[:1])
            for exporter in ["torchscript", "dynamo"]:
                onnx.save(externalize(export(model, x, exporter)), folder / f"{name}_{exporter}.onnx")
            print(name, len(golden[name]), "sites", sum(s["units"] for s in golden[name]), "units", flush=True)
        text = json.dumps({"script": "testdata/export/torchvision_models.py", "models": golden}, indent=1)
        (TESTDATA / "golden" / "structure.json").write_text(text + "\n")


if __name__ == "__main__":
    main()
