"""What a distance finds: altered copies of real pictures, by network, sites, sketch bits and distance.

    python benchmarks/dedup.py --data ../shared/data --work /tmp/dedup --out benchmarks/results/DATE-dedup.md

makes copies of pictures (Pillow), has `onnxprobe codes` and `hash` write their sketches, groups collections of
originals and copies at every distance, and holds `onnxprobe dedup --distance auto` to the distance with the best F1
over pairs. What is in --work already is not made again.
"""

import argparse
import hashlib
import io
import json
import os
import platform
import random
import subprocess
import sys
from pathlib import Path

import numpy as np
from PIL import Image, ImageEnhance

# How each kind of copy is made, from nearly the same to plainly another picture.
LEVELS = {
    "recompressed": [90, 75, 50, 30],  # JPEG quality
    "resized": [0.5, 0.75, 1.5, 2.0],  # of each side
    "cropped": [0.98, 0.95, 0.90, 0.80],  # of each side that is left
    "brightened": [0.8, 0.9, 1.1, 1.25],  # of each value
}


def altered(picture, kind, level, rng):
    w, h = picture.size
    if kind == "recompressed":
        buffer = io.BytesIO()
        picture.save(buffer, "JPEG", quality=level)
        return Image.open(buffer).convert("RGB")
    if kind == "resized":
        return picture.resize((max(round(w * level), 1), max(round(h * level), 1)), Image.LANCZOS)
    if kind == "cropped":
        cw, ch = max(round(w * level), 1), max(round(h * level), 1)
        x, y = rng.randint(0, w - cw), rng.randint(0, h - ch)
        return picture.crop((x, y, x + cw, y + ch))
    return ImageEnhance.Brightness(picture).enhance(level)


def originals(data, name):
    """The pictures of a collection, with their names."""
    images = data / "images"
    if name == "cifar":
        pixels = np.fromfile(images / "cifar10/cifar10_test_jpegdecoded_A.bin", np.uint8).reshape(-1, 3073)
        for i in range(0, len(pixels), 2):
            yield f"{i:05d}", Image.fromarray(pixels[i, 1:].reshape(3, 32, 32).transpose(1, 2, 0))
        return
    folders = {"photos": ["imagenet", "coco_val2017"], "blood": ["bccd"]}[name]
    for folder in folders:
        for path in sorted((images / folder).iterdir()):
            if path.suffix.lower() in (".jpg", ".jpeg"):
                yield path.stem, Image.open(path).convert("RGB")


def make(data, name, to):
    """Writes every original and all its copies as PNG files NAME.KIND.LEVEL.png."""
    if (to / "done").exists():
        return
    to.mkdir(parents=True, exist_ok=True)
    for stem, picture in originals(data, name):
        if max(picture.size) > 640:
            picture.thumbnail((640, 640), Image.LANCZOS)
        picture.save(to / f"{stem}.original.0.png", compress_level=1)
        rng = random.Random(stem)
        for kind, levels in LEVELS.items():
            for i, level in enumerate(levels):
                altered(picture, kind, level, rng).save(to / f"{stem}.{kind}.{i}.png", compress_level=1)
    (to / "done").write_text("")


IMAGENET = ["--preprocess", "imagenet"]
SMALL = ["--preprocess", "imagenet", "--resize", "32x32", "--crop", "none"]
VIT = ["--preprocess", "cifar10", "--std", "0.2023,0.1994,0.2010", "--resize", "32x32", "--crop", "none"]

NETWORKS = {
    "SqueezeNet 1.0": ("imagenet/SqueezeNet10_fp32.onnx", IMAGENET, ["photos", "blood"], {
        "all": [],
        "early: conv1, fire2, fire3": ["--sites", "conv1*", "--sites", "fire[23]*"],
        "middle: fire4 to fire6": ["--sites", "fire[456]*"],
        "late: fire7 to conv10": ["--sites", "fire[789]*", "--sites", "conv10*"],
        "last: conv10": ["--sites", "conv10*"],
        "all and max-pooling": ["--include-maxpool"],
        "max-pooling alone": ["--include-maxpool", "--sites", "pool*"],
        "channels": ["channels"],
    }),
    "ResNet-20": ("cifar10/ak_resnet20_op13.onnx", SMALL, ["cifar", "photos"], {
        "all": [],
        "early: relu, layer1": ["--sites", "relu", "--sites", "layer1*"],
        "middle: layer2": ["--sites", "layer2*"],
        "late: layer3": ["--sites", "layer3*"],
        "last: layer3.2.relu_1": ["--sites", "layer3.2.relu_1"],
        "channels": ["channels"],
    }),
    "ResNet-56": ("cifar10/ak_resnet56_op13.onnx", SMALL, ["cifar"], {
        "all": [],
        "early: relu, layer1": ["--sites", "relu", "--sites", "layer1*"],
        "middle: layer2": ["--sites", "layer2*"],
        "late: layer3": ["--sites", "layer3*"],
        "last: layer3.8.relu_1": ["--sites", "layer3.8.relu_1"],
    }),
    "ViT (CIFAR-10)": ("vit/vit_pgd_2_3_16.onnx", VIT, ["cifar", "photos"], {
        "all": [],
        "first block": ["--sites", "1.0*"],
        "last block": ["--sites", "1.1*"],
        "channels": ["channels"],
    }),
}


def slug(text):
    return "".join(c if c.isalnum() else "_" for c in text)


def codes(args, network, pictures, sites):
    """The sketches (or channel codes) of a collection's pictures, as bits, with the pictures' names."""
    model, preprocess, _, choices = NETWORKS[network]
    flags = choices[sites]
    out = args.work / f"{slug(network)}-{pictures}-{slug(sites)}.npz"
    if out.exists():
        z = np.load(out)
        return z["bits"], list(z["names"])
    folder = args.work / pictures
    common = [str(args.data / "models" / model), str(folder), *preprocess, "--quiet"]
    width = 960 if "ViT" in network else 1024
    if "ViT" in network and sites != "all":
        width = 480
    tmp = args.work / f"tmp-{os.getpid()}.jsonl"
    tmp.unlink(missing_ok=True)
    if flags == ["channels"]:
        job = args.work / f"{slug(network)}-{pictures}-job"
        run([args.onnxprobe, "hash", *common, "--channels", "--sketch", "0",
             "--output-format", "jsonl", "-o", str(job)])
        rows = [json.loads(line) for part in sorted(job.glob("[0-9]*.jsonl")) for line in part.open()]
        column = "channels"
    else:
        run([args.onnxprobe, "codes", *common, *flags, "--sketch", str(width), "--no-code", "-o", str(tmp)])
        rows = [json.loads(line) for line in tmp.open()]
        column = "sketch"
        tmp.unlink()
        Path(str(tmp).replace(".jsonl", ".manifest.json")).unlink(missing_ok=True)
    bits = np.unpackbits(np.array([np.frombuffer(bytes.fromhex(r[column]), np.uint8) for r in rows]), axis=1)
    names = [r["id"] for r in rows]
    np.savez_compressed(out, bits=bits, names=names)
    return bits, names


def run(command):
    print("+", " ".join(command), file=sys.stderr)
    subprocess.run(command, check=True)
