"""What the image processors of transformers and the eval transforms of timm make of pictures.

    python preprocess.py            writes ../../engine/dataset/picture/processors.json and ../golden/preprocess
    python preprocess.py --all DIR  writes every setting, its tensors whole, to DIR, for ONNXPROBE_PREPROCESS=DIR go test
    python preprocess.py --backends prints how far the two backends of a class are apart

processors.json has a row for each class of transformers' AutoImageProcessor: what it takes where a file is silent
(defaults), the keys beyond the usual that it reads (keys), how a bare number is meant as a size (square), the backends
it has, and the flags that it passes over in each (ignores: found by setting them); or why it is refused.

The goldens hold three drawn pictures (land, portrait, square; seeded) and for each setting, a file as its class saves it
or as timm's to_dict gives it, the shape of the tensor, its mean and six of its values.
"""

import argparse
import copy
import itertools
import json
import logging
import pathlib
import re
import warnings

import numpy as np
import PIL
import timm
import torch
import torchvision
import transformers
from PIL import Image
from transformers.image_utils import SizeDict
from transformers.models.auto.image_processing_auto import (
    IMAGE_PROCESSOR_MAPPING_NAMES,
    get_image_processor_class_from_name,
)
from transformers.processing_utils import ImagesKwargs

HERE = pathlib.Path(__file__).resolve().parent
OUT = HERE.parent / "golden" / "preprocess"
TABLE = HERE.parent.parent / "engine" / "dataset" / "picture" / "processors.json"
PICTURES = {"land": (97, 61), "portrait": (53, 89), "square": (64, 64)}
FLAGS = ["do_resize", "do_center_crop", "do_rescale", "do_normalize", "do_pad"]

# Why a class is refused, whatever its settings.
REFUSED = {
    "it cuts pictures into a row of patches, which the model takes in place of a picture":
        "CohereCompass Cosmos3Edge Ernie4_5_VLMoe Fuyu Gemma4 Gemma4Unified Glm46V Glm4v Glm5Next GlmImage Glmga HYV4VL "
        "HunYuanVL Inkling Inkling2 Kimi_K25 Kosmos2_5 Lfm2Vl MiniCPMOcr MiniCPMV4_6 MiniMaxM3VL Molmo2 MuseGlimmer "
        "NemotronH_Omni_Reasoning_V3 NeoMME PaddleOCRVL Pix2Struct Qwen2VL Siglip2 VideoLlama3",
    "it makes several pictures of one":
        "DeepseekOcr2 DeepseekVLHybrid GraniteDocling Idefics2 Idefics3 Llama4 LlavaNext LlavaOnevision Mllama "
        "PerceptionLM Phi4Multimodal SmolVLM Step3p7 UltraVBert UnlimitedOcr",
    "it takes pairs of pictures": "EfficientLoFTR LightGlue SuperGlue",
    "it takes boxes of people besides": "VitPose",
    "it takes trimaps besides": "VitMatte",
    "it takes videos": "Tvp VideoLlava VideoMAE Vivit",
    "it resamples in a way of its own, neither PIL's nor torchvision's antialiased one":
        "DepthPro Owlv2 PPDocLayoutV2 PPDocLayoutV3 PPDocLayoutV4 PPOCRV5ServerDet PPOCRV5ServerRec PPOCRV6SmallRec "
        "RfDetr SLANeXt UVDoc ZoeDepth",
    "it cuts off margins by what the picture shows": "PPFormulaNet",
    "it has steps that onnxprobe does not have": "PPLCNet",
}

# Files as they are published with models, of the years before transformers 5 too, with smaller sizes.
ON = {"do_normalize": True, "do_resize": True}
HALF, NET = ({"image_mean": m, "image_std": s} for m, s in (([.5] * 3, [.5] * 3), ([.485, .456, .406], [.229, .224, .225])))
PUBLISHED = [
    ON | NET | {"feature_extractor_type": "CLIPFeatureExtractor", "crop_size": 56, "do_center_crop": True, "resample": 3, "size": 56},
    ON | NET | {"feature_extractor_type": "ConvNextFeatureExtractor", "crop_pct": .875, "resample": 3, "size": 56},
    ON | NET | {"feature_extractor_type": "SegformerFeatureExtractor", "reduce_labels": True, "resample": 2, "size": 64},
    ON | HALF | {"feature_extractor_type": "DPTFeatureExtractor", "ensure_multiple_of": 1, "resample": 2, "size": 96},
    ON | HALF | {"feature_extractor_type": "BeitFeatureExtractor", "crop_size": 56, "do_center_crop": False, "resample": 2, "size": 56},
    ON | NET | {"feature_extractor_type": "OwlViTFeatureExtractor", "crop_size": 96, "do_center_crop": False, "rescale": True, "size": [96, 90]},
    ON | NET | {"feature_extractor_type": "YolosFeatureExtractor", "format": "coco_detection", "max_size": 133, "size": 80},
    ON | NET | {"feature_extractor_type": "DetrFeatureExtractor", "format": "coco_detection", "max_size": 133, "size": 80},
    ON | NET | {"feature_extractor_type": "PoolFormerFeatureExtractor", "crop_pct": .95, "resample": 3, "size": 56, "crop_size": 50},
    ON | HALF | {"feature_extractor_type": "ViltFeatureExtractor", "resample": 3, "size": 96, "size_divisor": 32},
    ON | NET | {"image_processor_type": "BlipImageProcessor", "do_pad": True, "size_divisor": 32, "size": {"height": 64, "width": 64}},
    ON | NET | {"image_processor_type": "Mask2FormerImageProcessor", "_max_size": 1333, "ignore_index": 255, "num_labels": 133,
                "size": {"longest_edge": 133, "shortest_edge": 80}, "size_divisor": 32},
    ON | HALF | {"image_processor_type": "DPTImageProcessor", "keep_aspect_ratio": True, "ensure_multiple_of": 14, "size_divisor": None,
                 "size": {"height": 98, "width": 98}},
    {"do_center_crop": True, "do_resize": True, "feature_extractor_type": "MobileViTFeatureExtractor", "crop_size": 56, "size": 60},
    {"image_processor_type": "Swin2SRImageProcessor", "do_pad": True, "do_rescale": True, "pad_size": 8},
]


def drawn(width, height, seed):
    """A picture of soft and sharp forms and noise."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width]
    picture = np.stack([x / width, y / height, (x + y) / (width + height)], -1) * 255
    for _ in range(8):
        cx, cy, r = random.uniform(0, width), random.uniform(0, height), random.uniform(3, height / 3)
        picture[(x - cx) ** 2 + (y - cy) ** 2 < r * r] = random.uniform(0, 255, 3)
    picture += random.normal(0, 20, picture.shape)
    return Image.fromarray(np.clip(picture.round(), 0, 255).astype(np.uint8))


def classes():
    """The classes by their names without ImageProcessor: backend -> class."""
    found = {}
    for mapping in IMAGE_PROCESSOR_MAPPING_NAMES.values():
        for backend, name in mapping.items():
            if name is not None and (made := get_image_processor_class_from_name(name)) is not None:
                found.setdefault(re.sub("ImageProcessor(Pil)?$", "", name), {})[backend] = made
    return dict(sorted(found.items()))


def saved(processor):
    """The file that a processor is saved as, without what it leaves open."""
    return {k: v for k, v in json.loads(processor.to_json_string()).items() if v is not None}


def pixels(processor, picture):
    """The one picture that a processor makes of one, [3, H, W] in float32; None where it makes something else."""
    if type(processor).__name__.startswith("Idefics"):
        out = {"pixel_values": processor(picture, return_tensors="pt")}
    else:
        out = processor(picture, return_tensors="pt")
    values = out.get("pixel_values") if hasattr(out, "get") else None
    if values is None or getattr(values, "ndim", 0) != 4 or values.shape[:2] != (1, 3):
        return None
    return values[0].numpy().astype(np.float32)


def ignored(made, settings, picture):
    """The flags that change nothing in a class."""
    wide = {"height": 500, "width": 600}
    found = []
    for flag in FLAGS:
        on, off = dict(settings), dict(settings)
        on[flag], off[flag] = True, False
        if flag == "do_center_crop":
            small = {"height": 9, "width": 7}
            on["crop_size"] = off["crop_size"] = {"shortest_edge": 9} if "shortest_edge" in settings.get("crop_size", {}) else small
        if flag == "do_pad":
            on["pad_size"] = off["pad_size"] = wide
            if "size_divisor" in getattr(made.valid_kwargs, "__annotations__", {}):
                on["size_divisor"] = off["size_divisor"] = 23
        if flag == "do_normalize":
            on.setdefault("image_mean", [.5] * 3), on.setdefault("image_std", [.4] * 3)
        try:
            a, b = pixels(made(**on), picture), pixels(made(**off), picture)
        except Exception as error:
            logging.info("%s %s: %s", made.__name__, flag, error)
            continue
        if a is not None and b is not None and a.shape == b.shape and np.array_equal(a, b):
            found.append(flag)
    return found


def quiet(settings):
    """Settings without the steps that make more, or other, than one picture."""
    off = ["crop_to_patches", "do_split_image", "split_image", "do_thumbnail", "do_crop_margin", "apply_ocr", "do_color_quantize"]
    return settings | {k: False for k in off if settings.get(k)}


def table(every):
    """The rows of processors.json."""
    why = {name: reason for reason, names in REFUSED.items() for name in names.split()}
    rows = []
    for name, backends in every.items():
        row = {"name": name, "backends": sorted(backends)}
        if name == "TimmWrapper":
            continue  # its file is timm's
        if name in why:
            rows.append({"name": name, "refused": why[name]})
            continue
        made = backends.get("pil") or backends["torchvision"]
        defaults = saved(made())
        defaults.pop("image_processor_type")
        defaults.pop("image_size", None)  # it is size, once more
        extra = [k for k in getattr(made.valid_kwargs, "__annotations__", {}) if k not in ImagesKwargs.__annotations__]
        row["square"] = bool(made.default_to_square)
        row["keys"] = sorted(set(extra) | {k for k in defaults if k not in ImagesKwargs.__annotations__})
        row["defaults"] = defaults
        row["ignores"] = {b: ignored(c, quiet(defaults), drawn(97, 61, 1)) for b, c in sorted(backends.items())}
        rows.append(row)
    return rows


def write_table(every):
    rows = table(every)
    lines = ",\n".join("  " + json.dumps(row, separators=(",", ":")) for row in rows)
    TABLE.write_text('{"transformers": "%s", "made_by": "testdata/export/preprocess.py", "classes": [\n%s\n]}\n' % (transformers.__version__, lines))
    return rows


def some(random, default):
    """A size of the same kind as the default of a class, drawn small."""
    number = lambda low, high: int(random.integers(low, high))
    if "shortest_edge" in default and "longest_edge" in default:
        return {"shortest_edge": (edge := number(20, 90)), "longest_edge": edge + number(0, 60)}
    if "shortest_edge" in default:
        return number(20, 90) if random.random() < .2 else {"shortest_edge": number(20, 90)}
    if "longest_edge" in default:
        return {"longest_edge": number(30, 130)}
    if "min_pixels" in default:
        return {"min_pixels": (least := number(500, 4000)), "max_pixels": 2 * least + number(0, 9000)}
    if default.get("height") == default.get("width") and random.random() < .6:
        edge = number(20, 120)
        return edge if random.random() < .2 else {"height": edge, "width": edge}
    height, width = number(20, 120), number(20, 120)
    return [height, width] if random.random() < .2 else {"height": height, "width": width}


def variation(random, row):
    """Settings of a class that are drawn: small sizes, and some of the other keys."""
    default, keys, chance = row["defaults"], row["keys"], random.random
    number = lambda low, high: int(random.integers(low, high))
    out = {"size": some(random, default["size"])} if "size" in default else {}
    if "size" in default and "longest_edge" not in default["size"] and "min_pixels" not in default["size"] and chance() < .1:
        out["size"] = {"max_height": number(30, 100), "max_width": number(30, 100)}
    if chance() < .6:
        out["resample"] = int(random.choice([0, 1, 2, 2, 3, 3, 4, 5]))
    if chance() < .35:
        out["do_center_crop"] = bool(chance() < .7)
    if out.get("do_center_crop", default.get("do_center_crop")):
        out["crop_size"] = number(15, 110) if chance() < .2 else {"height": number(15, 110), "width": number(15, 110)}
        if "shortest_edge" in default.get("crop_size", {}):
            out["crop_size"] = {"shortest_edge": number(15, 110)}
    if chance() < .15:
        out["do_resize"] = False
    if chance() < .15:
        out["do_rescale"] = False
    if chance() < .2:
        out["rescale_factor"] = float(random.choice([1 / 127.5, 1 / 256, 1]))
    if chance() < .25:
        out["do_normalize"] = bool(chance() < .6)
    if chance() < .3 or out.get("do_normalize"):
        out["image_mean"] = [round(float(v), 3) for v in random.uniform(.2, .7, 3)]
        out["image_std"] = [round(float(v), 3) for v in random.uniform(.1, .5, 3)]
    if chance() < .2:
        out["do_pad"] = bool(chance() < .7)
        if out["do_pad"]:
            out["pad_size"] = {"height": number(110, 160), "width": number(110, 160)}
    if "pad_size" in default and "pad_size" not in out:
        out["pad_size"] = {"height": number(130, 180), "width": number(130, 180)}
    own = {
        "crop_pct": lambda: round(float(random.uniform(.5, 1)), 3), "do_flip_channel_order": lambda: bool(chance() < .5),
        "ensure_multiple_of": lambda: number(1, 33), "keep_aspect_ratio": lambda: bool(chance() < .6),
        "include_top": lambda: bool(chance() < .5), "rescale_offset": lambda: bool(chance() < .5),
        "size_divisor": lambda: number(2, 20), "min_size": lambda: number(5, 40), "max_image_size": lambda: 490,
        "min_image_size": lambda: number(100, 400), "patch_size": lambda: number(4, 30), "spatial_factor": lambda: number(2, 16),
        "min_pixels": lambda: number(500, 4000), "max_pixels": lambda: number(9000, 20000), "image_size": lambda: number(20, 100),
        "do_thumbnail": lambda: bool(chance() < .2), "do_crop_margin": lambda: bool(chance() < .2), "apply_ocr": lambda: False,
        "do_color_quantize": lambda: False, "crop_to_patches": lambda: False, "do_grayscale": lambda: bool(chance() < .3),
    }
    if "format" in keys and "longest_edge" in default["size"] and chance() < .3:
        out["size"], out["max_size"] = number(20, 90), number(60, 150)
    for key, draw in own.items():
        if key in keys and (key in ("apply_ocr", "do_color_quantize", "crop_to_patches") or chance() < .6):
            out[key] = draw()
    return out


def settings(every, rows, count, seed):
    """Files, as (name, processor, file): each class and backend as it comes, and drawn."""
    for number, row in enumerate(rows):
        for backend in row.get("backends", []):
            made = every[row["name"]][backend]
            kind = row["name"] + "ImageProcessor" + {"pil": "Pil", "torchvision": "Fast"}[backend]
            random = np.random.default_rng([seed, number, backend == "pil"])
            for k in range(count + 1):
                kept = variation(random, row) if k else {}
                try:
                    with warnings.catch_warnings():
                        warnings.simplefilter("ignore")
                        yield made(**copy.deepcopy(kept)), {"image_processor_type": kind} | kept
                except Exception as error:
                    logging.info("%s %s: %s", kind, kept, error)


def published(every):
    """The published files, with the processor of the PIL backend that reads each."""
    for file in PUBLISHED:
        name = (file.get("image_processor_type") or file["feature_extractor_type"]).replace("FeatureExtractor", "ImageProcessor")
        kept = {k: v for k, v in file.items() if not k.endswith("_type")}
        yield every[name.removesuffix("ImageProcessor")]["pil"](**copy.deepcopy(kept)), file


def timm_settings(count, seed):
    """Eval transforms with the config.json of models that are unlike, then the same with keys drawn."""
    random, seen, found = np.random.default_rng(seed), set(), []
    names = sorted(timm.list_models(pretrained=True))
    for name in [names[i] for i in random.permutation(len(names))]:
        config = timm.get_pretrained_cfg(name).to_dict()
        kind = tuple(str(config[k]) for k in ("input_size", "interpolation", "crop_pct", "crop_mode", "mean"))
        if name.split("_")[0] not in seen and kind not in seen and len(found) < count:
            seen |= {name.split("_")[0], kind}
            found.append(json.loads(json.dumps(config)))
    for config in found:
        yield config
    for config in found[: count // 2]:
        drawn_keys = {
            "input_size": [3, int(random.integers(20, 120)), int(random.integers(20, 120))],
            "interpolation": str(random.choice(["nearest", "bilinear", "bicubic", "lanczos", "box", "hamming"])),
            "crop_mode": str(random.choice(["center", "squash", "border"])), "crop_pct": round(float(random.uniform(.5, 1)), 3),
        }
        yield {k: v for k, v in config.items() if k in ("mean", "std", "architecture", "test_input_size")} | drawn_keys


def timm_pixels(config, picture):
    """What timm's eval transform of a pretrained_cfg makes of a picture."""
    data = timm.data.resolve_data_config(pretrained_cfg=config)
    return timm.data.create_transform(**data, is_training=False)(picture).numpy()


def sampled(values, count=6):
    """The shape of an array, its mean and some of its values, by their places in it."""
    flat = values.reshape(-1)
    at = [(2 * k + 1) * flat.size // (2 * count) + k for k in range(count)]
    at = [min(i, flat.size - 1) for i in at]
    return {"shape": list(values.shape), "mean": round(float(flat.astype(np.float64).mean()), 9), "at": at,
            "values": [float(np.format_float_positional(flat[i], unique=True)) for i in at]}


def made(every, rows, count, seed, models):
    """Cases: a file, and for each picture its array."""
    pictures = {name: drawn(*size, seed=k) for k, (name, size) in enumerate(PICTURES.items())}
    for processor, file in itertools.chain(published(every), settings(every, rows, count, seed)):
        try:
            arrays = {name: pixels(processor, picture) for name, picture in pictures.items()}
        except Exception as error:
            logging.info("%s: %s", file, error)
            continue
        if all(a is not None and np.isfinite(a).all() for a in arrays.values()):
            yield file, arrays
    for config in timm_settings(models, seed):
        yield {"architecture": config["architecture"], "pretrained_cfg": config}, {n: timm_pixels(config, p) for n, p in pictures.items()}


def write(every, rows):
    """The small goldens: no default of more than 300,000 values."""
    OUT.mkdir(parents=True, exist_ok=True)
    for k, (name, size) in enumerate(PICTURES.items()):
        drawn(*size, seed=k).save(OUT / f"{name}.png", optimize=True)
    cases = []
    for file, arrays in made(every, rows, 2, 5, 50):
        if max(a.size for a in arrays.values()) <= (300_000 if "pretrained_cfg" not in file else 10**9):
            config = file.get("pretrained_cfg", {})
            for key in ("url", "license", "description", "origin_url", "paper_name", "paper_ids", "notes", "hf_hub_id"):
                config.pop(key, None) if len(cases) % 8 else None
            cases.append({"file": file} | {name: sampled(a) for name, a in arrays.items()})
    versions = {m.__name__: m.__version__ for m in (transformers, timm, torch, torchvision, PIL)}
    lines = ",\n".join(json.dumps(c, separators=(",", ":")) for c in cases)
    (OUT / "cases.json").write_text('{"made_by": "testdata/export/preprocess.py", "versions": %s, "cases": [\n%s\n]}\n' % (json.dumps(versions), lines))
    print(len(cases), "cases,", (OUT / "cases.json").stat().st_size, "bytes")


def write_all(every, rows, directory, count, seed, models):
    """Every case whole: cases.json and N.npy, the arrays of its pictures one after the other."""
    directory.mkdir(parents=True, exist_ok=True)
    for k, (name, size) in enumerate(PICTURES.items()):
        drawn(*size, seed=k).save(directory / f"{name}.png")
    cases = []
    for file, arrays in made(every, rows, count, seed, models):
        number = len(cases)
        np.save(directory / f"{number}.npy", np.concatenate([a.reshape(-1) for a in arrays.values()]))
        cases.append({"file": file} | {name: {"shape": list(a.shape)} for name, a in arrays.items()})
    (directory / "cases.json").write_text(json.dumps({"cases": cases}))
    print(len(cases), "cases")


def backends(every, rows):
    """How far apart the two backends are, in steps of 255: a Markdown table, the farthest first."""
    pictures = [drawn(*size, seed=k) for k, size in enumerate(PICTURES.values())]
    far = []
    for row in rows:
        if row.get("backends") != ["pil", "torchvision"]:
            continue
        pair, steps = every[row["name"]], []
        plain = {k: False for k in quiet(row["defaults"]) if k in ("do_thumbnail", "do_crop_margin", "apply_ocr", "do_color_quantize")}
        for resample in ({row["defaults"].get("resample", 2)} | {1, 2, 3}) if "resample" in row["defaults"] else {None}:
            file = plain | {"do_normalize": False, "rescale_factor": 1 / 255, "do_rescale": True}
            file |= {} if resample is None else {"resample": resample}
            try:
                for picture in pictures:
                    a, b = (pixels(pair[k](**file), picture) for k in ("pil", "torchvision"))
                    wide = 1 if row["name"] == "LayoutLMv2" else 255
                    steps.append(float(np.abs(a.astype(np.float64) - b).max()) * wide if a.shape == b.shape else float("inf"))
            except Exception as error:
                logging.info("%s: %s", row["name"], error)
        if steps:
            far.append((max(steps), row["name"]))
    for steps in sorted({round(s, 1) for s, _ in far}, reverse=True):
        names = [n for s, n in far if round(s, 1) == steps]
        print(f"| {steps:g} | {len(names)} | {' '.join(names)} |")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--all", type=pathlib.Path, metavar="DIR")
    parser.add_argument("--count", type=int, default=6, help="settings drawn for each class and backend")
    parser.add_argument("--seed", type=int, default=77)
    parser.add_argument("--models", type=int, default=60)
    parser.add_argument("--table", type=pathlib.Path, default=TABLE, help="read the table of classes instead of making it")
    parser.add_argument("--backends", action="store_true", help="print how far PIL's and torchvision's are apart")
    args = parser.parse_args()
    warnings.filterwarnings("ignore")
    transformers.logging.set_verbosity_error()
    torch.set_num_threads(1)
    every = classes()
    if args.backends:
        backends(every, json.loads(args.table.read_text())["classes"])
    elif args.all:
        write_all(every, json.loads(args.table.read_text())["classes"], args.all, args.count, args.seed, args.models)
    else:
        write(every, write_table(every))


if __name__ == "__main__":
    main()
