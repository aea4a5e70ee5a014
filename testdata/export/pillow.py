"""Pictures in many formats with what Pillow makes of them: decoding, resizing, a torchvision pipeline.

    python pillow.py          writes ../golden/pillow

Pictures are synthetic (gradients, discs, noise; seeded). Golden arrays are uint8 [H, W, 3], the pixels of
Image.open(file).convert("RGB"), which ignores transparency and EXIF orientation. index.json lists the cases:

    decode    file, mode (as Pillow opened it), size [width, height], array; exif_transpose, where the file has an
              orientation, is the array after ImageOps.exif_transpose; error, where Pillow cannot convert the file
    resize    file (a PNG), mode, size [width, height], filter, array: Image.open(file).convert("RGB").resize(size, filter)
    pipeline  file, resize (of the shorter side), crop, filter, mean, std, array: torchvision's Resize, CenterCrop,
              ToTensor, Normalize; float32 [3, H, W]; cropped is the uint8 picture before ToTensor

An array is a key of arrays.npz.
"""

import json
import pathlib
import shutil
import struct
import zlib

import numpy as np
import PIL
from PIL import Image, ImageOps
from torchvision import transforms
from torchvision.transforms import InterpolationMode

OUT = pathlib.Path(__file__).resolve().parent.parent / "golden" / "pillow"
MEAN, STD = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
FILTERS = ["nearest", "box", "bilinear", "hamming", "bicubic", "lanczos"]
SIZES = [(31, 23), (16, 12), (13, 9), (64, 40), (47, 11), (7, 37), (1, 9), (9, 1), (1, 1), (30, 23), (31, 8)]


def photo(width, height, seed, noise=8, chroma=1.0):
    """A smooth coloured background with sharp-edged discs and noise."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width]
    picture = np.stack([x / width, y / height, (x + y) / (width + height)], -1) * 255
    for _ in range(6):
        cx, cy, r = random.uniform(0, width), random.uniform(0, height), random.uniform(2, height / 3)
        picture[(x - cx) ** 2 + (y - cy) ** 2 < r * r] = random.uniform(0, 255, 3)
    gray = picture.mean(-1, keepdims=True)
    picture = gray + chroma * (picture - gray) + random.normal(0, noise, picture.shape)
    return Image.fromarray(np.clip(picture.round(), 0, 255).astype(np.uint8))


def checkered(width, height):
    """Saturated colours that change at every pixel or two: the worst case of chroma subsampling."""
    colours = np.array([[255, 0, 0], [0, 0, 255], [0, 255, 0], [255, 0, 255], [255, 255, 0]], np.uint8)
    y, x = np.mgrid[:height, :width]
    return Image.fromarray(colours[(x // 2 + y // 3 * 2 + x * y // 97) % 5])


def png16(picture, path):
    """A 16-bit RGB PNG, which Pillow reads but cannot write."""
    wide = np.asarray(picture).astype(np.uint16) * 257 ^ np.arange(picture.width, dtype=np.uint16)[None, :, None]
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in wide)
    header = struct.pack(">IIBBBBB", picture.width, picture.height, 16, 2, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(rows, 9)), (b"IEND", b"")]
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks))


def write_pictures():
    """Writes one file per format and returns their names."""
    rgb = photo(61, 47, 1)
    small = photo(29, 21, 2)
    alpha = Image.fromarray((np.mgrid[:21, :29].sum(0) * 5 % 256).astype(np.uint8))

    def save(name, picture, **options):
        picture.save(OUT / name, **options)
        names.append(name)

    names = []
    save("rgb.png", rgb, optimize=True)
    save("gray.png", small.convert("L"))
    save("palette_transparent.png", small.quantize(16), transparency=3)
    rgba = small.copy()
    rgba.putalpha(alpha)
    save("rgba.png", rgba)
    la = small.convert("L")
    la.putalpha(alpha)
    save("la.png", la)
    save("gray16.png", Image.fromarray((np.mgrid[:21, :29].sum(0) * 1337 % 65536).astype(np.uint16)))
    png16(small, OUT / "rgb16.png")
    names.append("rgb16.png")
    save("bilevel.png", small.convert("1"))
    save("rgb.bmp", small)
    save("palette.bmp", small.quantize(200))
    save("animated.gif", small.quantize(32), save_all=True, append_images=[photo(29, 21, 3).quantize(32)], duration=50)
    save("transparent.gif", small.quantize(8), transparency=2)
    save("lossless.webp", small, lossless=True)
    save("lossless_alpha.webp", rgba, lossless=True, exact=True)
    save("lossy.webp", rgb, quality=80)
    save("raw.tiff", small)
    save("lzw.tiff", small, compression="tiff_lzw")
    save("deflate.tiff", small, compression="tiff_deflate")
    save("gray.jpg", rgb.convert("L"), quality=85)
    save("444.jpg", rgb, quality=90, subsampling=0)
    save("422.jpg", rgb, quality=90, subsampling=1)
    save("420.jpg", rgb, quality=75, subsampling=2)
    save("420_chroma.jpg", checkered(61, 47), quality=75, subsampling=2)
    save("progressive.jpg", rgb, quality=80, progressive=True)
    save("cmyk.jpg", rgb.convert("CMYK"), quality=85)
    exif = Image.Exif()
    exif[0x0112] = 6
    save("orientation6.jpg", small, quality=85, exif=exif)
    return names


def main():
    shutil.rmtree(OUT, ignore_errors=True)
    OUT.mkdir(parents=True)
    arrays = {}

    def keep(key, picture):
        arrays[key] = np.asarray(picture)
        return key

    decode = []
    for name in write_pictures():
        with Image.open(OUT / name) as opened:
            case = {"file": name, "mode": opened.mode, "size": list(opened.size)}
            try:
                case["array"] = keep(f"decode/{name}", opened.convert("RGB"))
            except ValueError as error:
                case["error"] = str(error)
            if opened.getexif().get(0x0112, 1) != 1:
                turned = ImageOps.exif_transpose(opened).convert("RGB")
                case["exif_transpose"] = keep(f"exif_transpose/{name}", turned)
        decode.append(case)

    resize = []
    source = "resize_source.png"
    photo(31, 23, 4, noise=20).save(OUT / source, optimize=True)
    rgb = Image.open(OUT / source).convert("RGB")
    for name in FILTERS:
        for size in SIZES:
            picture = rgb.resize(size, Image.Resampling[name.upper()])
            key = keep(f"resize/{name}_{size[0]}x{size[1]}", picture)
            resize.append({"file": source, "mode": "RGB", "size": list(size), "filter": name, "array": key})

    pipeline = []
    for name, file in [("bilinear", "rgb.png"), ("bicubic", "rgb.png"), ("bilinear", "gray.png"), ("bicubic", "420.jpg")]:
        steps = [transforms.Resize(40, interpolation=InterpolationMode(name), antialias=True), transforms.CenterCrop(32)]
        cropped = transforms.Compose(steps)(Image.open(OUT / file).convert("RGB"))
        value = transforms.Normalize(MEAN, STD)(transforms.ToTensor()(cropped)).numpy()
        arrays[key := f"pipeline/{name}_{file}"] = value
        pipeline.append({"file": file, "resize": 40, "crop": 32, "filter": name, "mean": MEAN, "std": STD,
                         "cropped": keep(f"cropped/{name}_{file}", cropped), "array": key})

    np.savez_compressed(OUT / "arrays.npz", **arrays)
    parts = [f'"script": "testdata/export/pillow.py", "pillow": "{PIL.__version__}", "arrays": "arrays.npz"']
    for name, cases in [("decode", decode), ("resize", resize), ("pipeline", pipeline)]:
        lines = ",\n".join("  " + json.dumps(case) for case in cases)
        parts.append(f'"{name}": [\n{lines}\n]')
    (OUT / "index.json").write_text("{" + ",\n".join(parts) + "}\n")


if __name__ == "__main__":
    main()
