"""Exports encoders of regions and of pictures, tiny ones with goldens, or the real ones at their full size.

    python regions.py                    ../models/region and ../golden/region again (a minute); needs transformers
    python regions.py --check            holds region_models.py against transformers' own Blip2 and InternVL modules
    python regions.py --full regionblip_224 -o DIR [--weights float16] [--checkpoint FILE...]

golden/region/NAME.npz, .json: as export.py says, of seeded random weights and inputs (`input` and, where there are
boxes, `box`), with the network's only output as `output` and without local complexity. roi_align.npz holds
torchvision's numbers for its four models. RegionBLIP's goldens come from the network before its LoRA is merged, its
models from the merged one.

--full makes DIR/NAME.onnx with its weights in DIR/NAME.onnx.data, random unless --checkpoint is given:

    name            input           weights  --checkpoint
    regionblip_224  image 224, box  1.1e9    the .pth that RegionBLIP publishes for OPT-2.7B, after eva_vit_g.pth and
                                             the BLIP-2 .pth of LAVIS where it holds only what was trained
    regionblip_364  image 364, box  1.1e9    the same; the table of positions is resized, as LAVIS does
    internvit_300m  image 448       0.3e9    the .safetensors of OpenGVLab/InternVL2-2B (InternViT-300M-448px and mlp1)
    medrega         image 448       5.7e9    the files of MedRegA or of OpenGVLab/InternVL-Chat-V1-2 (InternViT-6B)
    clip_l          image 224       0.3e9    folder of openai/clip-vit-large-patch14, as transformers loads it
    dinov2_l        image 518       0.3e9    folder of facebook/dinov2-with-registers-large, likewise

Checkpoints are .pth, .bin or .safetensors files, or a folder for the last two. Keys are the authors'; region_full.load
says what is left out. A weight that is wanted and missing is an error. RegionBLIP's LoRA is merged. Memory: the weights
in float32 and half as much again; 30 GB for medrega. --weights float16 or bfloat16 halves the file and not the
arithmetic: each weight is followed by a Cast.
"""

import argparse
import copy
import json
import pathlib
import warnings

import numpy as np
import onnx
import torch
import torch.nn as nn
import transformers

from export import over_knots, pack
from exporters import export
from probe import ACTIVATIONS, Probe
from region_full import FULL, export_full, load, read_checkpoint, store_as
from region_models import MedRegA, RegionBLIP, RoIAlign, RoIFeatures

TESTDATA = pathlib.Path(__file__).resolve().parent.parent
MODELS, GOLDEN = TESTDATA / "models" / "region", TESTDATA / "golden" / "region"
ITEMS, TOLERANCE = 3, 1e-4

ACTIVATIONS[transformers.activations.GELUActivation] = ACTIVATIONS[nn.GELU]
ACTIVATIONS[transformers.activations.QuickGELUActivation] = ("QuickGELU", lambda m: [0.0], True)


class Encoder(nn.Module):
    """The last hidden state of a vision encoder of transformers, at the module path it has in its checkpoint."""

    def __init__(self, name, model):
        super().__init__()
        self.name = name
        self.add_module(name, model)

    def forward(self, image):
        return self.get_submodule(self.name)(pixel_values=image).last_hidden_state


def clip(**config):
    config = transformers.CLIPVisionConfig(attn_implementation="eager", **config)
    return Encoder("vision_model", transformers.CLIPVisionModel(config))


def dinov2(**config):
    config = transformers.Dinov2Config(attn_implementation="eager", **config)
    return Encoder("dinov2", transformers.Dinov2Model(config))


def dinov2_registers(**config):
    config = transformers.Dinov2WithRegistersConfig(attn_implementation="eager", **config)
    return Encoder("dinov2_with_registers", transformers.Dinov2WithRegistersModel(config))


TINY = {
    "regionblip": lambda: RegionBLIP(
        vision=dict(size=32, patch=8, width=32, heads=2, hidden=56, depth=2),
        qformer=dict(width=24, heads=3, hidden=40, depth=2, rank=4), queries=5, embed=12, language=20),
    "internvit_rms": lambda: MedRegA(
        language=28, swapped=True, size=32, patch=8, width=32, heads=2, hidden=52, depth=2, rms=True),
    "internvit_layernorm": lambda: MedRegA(
        language=28, swapped=False, size=32, patch=8, width=32, heads=2, hidden=52, depth=2, rms=False),
    "clip": lambda: clip(image_size=32, patch_size=8, hidden_size=32, num_attention_heads=2, intermediate_size=52,
                         num_hidden_layers=2, hidden_act="quick_gelu"),
    "dinov2": lambda: dinov2(image_size=32, patch_size=8, hidden_size=32, num_attention_heads=2, mlp_ratio=2,
                             num_hidden_layers=2),
    "dinov2_registers": lambda: dinov2_registers(image_size=32, patch_size=8, hidden_size=32, num_attention_heads=2,
                                                 mlp_ratio=2, num_hidden_layers=2, num_register_tokens=2),
    "roi_features": lambda: RoIFeatures((8, 12, 16), 12),
}
ONLY_DYNAMO = {"dinov2_registers"}  # TorchScript's exporter has no antialiased resizing of the table of positions
ROI_ALIGN = {f"roi_align_{'aligned' if aligned else 'unaligned'}_{'adaptive' if ratio < 1 else ratio}": (ratio, aligned)
             for aligned in (False, True) for ratio in (-1, 2)}


def randomize(model):
    """Gives every parameter a value that matters: no zero bias, no unit scale, no zero LoRA. Seeded by the caller."""
    with torch.no_grad():
        for key, value in model.named_parameters():
            if key.endswith(("ls1", "ls2", "lambda1")):
                value.uniform_(0.3, 0.8)
            elif value.dim() == 1 and key.endswith("weight"):
                value.uniform_(0.5, 1.5)
            elif value.dim() == 1:
                value.normal_(0, 0.1)
            elif "lora" in key or "pos" in key or "token" in key or "class_embedding" in key:
                value.normal_(0, 0.3)
            else:
                value.normal_(0, value[0].numel() ** -0.5)
        for module in model.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.running_mean.normal_(0, 0.2)
                module.running_var.uniform_(0.5, 1.5)
    return model.eval()


def inputs_of(name, size=32, items=ITEMS):
    """Returns {"input": images} and for networks of regions {"box": boxes}: coarse numbers, which pack well."""
    images = torch.round(torch.randn(items, 3, size, size) * 16) / 16
    if not name.startswith("ro") and not name.startswith("region"):
        return {"input": images}
    corners = torch.rand(items, 2, 2).sort(1).values
    corners[0] = torch.tensor([[0.0, 0.0], [1.0, 1.0]])
    return {"input": images, "box": torch.round(corners.flatten(1) * 1000) / 1000}


def golden(name, model, data, models):
    probe = Probe(model)
    output, sites = probe.run(*data.values())
    bends = [(over_knots(value, site["knots"]), value.abs().max().double().item()) for site, value in sites]
    arrays = {key: value.numpy() for key, value in data.items()}
    arrays |= {"output": output.numpy(), "code": pack([b > 0 for b, _ in bends]),
               "near": pack([b.abs() <= TOLERANCE * scale for b, scale in bends])}
    probe.close()
    np.savez_compressed(GOLDEN / f"{name}.npz", **arrays)
    about = {"script": "testdata/export/regions.py", "torch": torch.__version__,
             "transformers": transformers.__version__, "models": models, "tolerance": TOLERANCE,
             "sites": [site for site, _ in sites]}
    (GOLDEN / f"{name}.json").write_text(json.dumps(about, indent=1) + "\n")
    print(f"{name}: {len(sites)} sites, {sum(s['units'] for s, _ in sites)} units, "
          f"{np.unpackbits(arrays['near']).sum()} near bits, {models}", flush=True)


def tiny():
    for folder in (MODELS, GOLDEN):
        folder.mkdir(parents=True, exist_ok=True)
    for name, build in TINY.items():
        torch.manual_seed(0)
        model = randomize(build())
        data = inputs_of(name)
        merged = copy.deepcopy(model).merge_lora() if hasattr(model, "merge_lora") else model
        files = []
        for exporter in ("dynamo",) if name in ONLY_DYNAMO else ("dynamo", "torchscript"):
            files.append(f"{name}_{exporter}.onnx")
            onnx.save(export(merged, tuple(data.values()), exporter, inputs=tuple(data), output="output"),
                      MODELS / files[-1])
        golden(name, model, data, files)
    arrays = {"features": torch.round(torch.randn(4, 2, 7, 9) * 64) / 64, "box": inputs_of("roi", 1, 4)["box"]}
    for name, (ratio, aligned) in ROI_ALIGN.items():
        model = RoIAlign(3, ratio, aligned)
        graph = export(model, tuple(arrays[key] for key in ("features", "box")), "torchscript",
                       inputs=("features", "box"), output="output")
        onnx.save(graph, MODELS / f"{name}.onnx")
        arrays[name] = model(arrays["features"], arrays["box"])
    np.savez_compressed(GOLDEN / "roi_align.npz", **{key: value.numpy() for key, value in arrays.items()})


def full(name, folder, weights, checkpoint):
    build, size, module = FULL[name]
    torch.manual_seed(0)
    model = build()
    if checkpoint and module:
        model = type(model).from_pretrained(checkpoint[0], attn_implementation="eager")
    elif checkpoint:
        load(model, read_checkpoint(checkpoint))
    else:
        randomize(model)
    model = Encoder(module, model) if module else model
    model = model.merge_lora() if hasattr(model, "merge_lora") else model
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.onnx"
    export_full(model.eval().requires_grad_(False), inputs_of(name, size, 2), path)
    if weights != "float32":
        store_as(path, weights)
    print(f"{path}: {sum(p.numel() for p in model.parameters()):,} weights")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--full", choices=FULL)
    parser.add_argument("-o", "--output", type=pathlib.Path, default=".")
    parser.add_argument("--weights", choices=["float32", "float16", "bfloat16"], default="float32")
    parser.add_argument("--checkpoint", nargs="+", default=[])
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    torch.set_num_threads(2)
    if args.check:
        import region_check
        region_check.main(randomize)
    elif args.full:
        full(args.full, args.output, args.weights, args.checkpoint)
    else:
        tiny()


if __name__ == "__main__":
    main()
