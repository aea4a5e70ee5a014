"""Pictures of every kind of the formats that onnxprobe reads, from a seed. pictures.py uses it.

Each function gives (file's bytes, features). Features are words for what a file has; a
picture with "damaged" breaks its format's rules, and readers may warn of it or refuse it.
Kinds that need a tool which is not installed are left out, and said.
"""

import functools
import io
import pathlib
import shutil
import struct
import subprocess
import sys
import tempfile
import zlib

import imagecodecs
import numpy as np
import tifffile
from PIL import Image, ImageCms

import jpeg
from picture_files import (
    ASCII,
    BYTE,
    DOUBLE,
    FLOAT,
    LONG,
    LONG8,
    RATIONAL,
    SBYTE,
    SHORT,
    SLONG,
    SRATIONAL,
    SSHORT,
    UNDEFINED,
    bmp,
    bmp_rle,
    chunk,
    exif,
    gif,
    gif_frame,
    png,
    riff,
    riff_chunks,
    tiff,
    tiff_file,
    tiff_page,
)

SIZES = [
    (1, 1),
    (1, 9),
    (9, 1),
    (2, 3),
    (3, 2),
    (7, 5),
    (8, 8),
    (13, 11),
    (16, 16),
    (17, 13),
    (9, 17),
    (15, 31),
    (33, 18),
    (32, 24),
    (64, 48),
    (75, 61),
    (101, 67),
]
SMALL = [(1, 1), (7, 5), (8, 8), (9, 12), (13, 11), (16, 8), (17, 13)]


class Maker:
    """Draws from one generator of random numbers."""

    def __init__(self, seed, small=False):
        self.random, self.sizes = np.random.default_rng(seed), SMALL if small else SIZES

    def size(self):
        return self.pick(self.sizes)

    def pick(self, values):
        return values[int(self.random.integers(len(values)))]

    def samples(self, c=3, bits=8, size=None):
        """A picture [h, w, c] with areas, edges, grain, and the lowest and highest value."""
        w, h = size or self.size()
        r, top = self.random, (1 << bits) - 1
        y, x = np.mgrid[0:h, 0:w]
        a = np.stack([0.5 + 0.55 * np.sin(x / r.uniform(2, 30) + y / r.uniform(2, 30) + r.uniform(0, 6)) for _ in range(c)], 2)
        a[h // 3 :, w // 2 :] = r.random(c)
        a += r.normal(0, 0.05, a.shape)
        return (a.clip(0, 1) * top).round().astype(np.int64)

    def image(self, mode="RGB", size=None):
        if mode == "1":
            return Image.fromarray(self.samples(1, 8, size)[:, :, 0].astype(np.uint8)).convert("1")
        if mode in ("P", "PA"):
            m = self.image("RGB", size).quantize(int(self.random.integers(2, 257)), dither=0)
            return m if mode == "P" else m.convert("PA")
        a = self.samples(len(Image.new(mode, (1, 1)).getbands()), 8, size).astype(np.uint8)
        return Image.fromarray(a if a.shape[2] > 1 else a[:, :, 0], mode)

    def palette(self, n):
        return self.random.integers(0, 256, (n, 3))


def saved(m, kind, **options):
    b = io.BytesIO()
    m.save(b, kind, **options)
    return b.getvalue()


@functools.cache
def has(tool):
    if not shutil.which(tool):
        print(f"without {tool}: its pictures are left out", file=sys.stderr)
    return shutil.which(tool) is not None


def tool(command, data, suffix=""):
    """What a tool makes of a file: IN and OUT stand for the files; without OUT it is what the tool prints. None where it cannot."""
    if not has(command[0]):
        return None
    with tempfile.TemporaryDirectory() as d:
        source, out = pathlib.Path(d, "in" + suffix), pathlib.Path(d, "out")
        source.write_bytes(data)
        run = subprocess.run([c.replace("IN", str(source)).replace("OUT", str(out)) for c in command], capture_output=True)
        if run.returncode:
            return None
        return out.read_bytes() if out.exists() else run.stdout


@functools.cache
def profile():
    """One of sRGB, without the time at which it was made."""
    b = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    return b[:24] + bytes(12) + b[36:84] + bytes(16) + b[100:]


def xmp(value, element=False):
    said = (">", f"<tiff:Orientation>{value}</tiff:Orientation></rdf:Description>") if element else (f' tiff:Orientation="{value}"/>', "")
    return (
        f'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        f'<rdf:Description xmlns:tiff="http://ns.adobe.com/tiff/1.0/"{said[0]}{said[1]}</rdf:RDF></x:xmpmeta>'
    ).encode()


def after_start(b, *segments):
    """A JPEG with more segments (marker, data) at its start."""
    return b[:2] + b"".join(b"\xff" + bytes([m]) + struct.pack(">H", len(d) + 2) + d for m, d in segments) + b[2:]


def jpegs(k):
    """What libjpeg itself warns of counts as damaged."""
    for b, f in jpegs_of_all_kinds(k):
        warned = has("jpegtran") and subprocess.run(["jpegtran"], input=b, capture_output=True).returncode == 2
        yield b, [*f, "damaged"] if warned else f


def jpegs_of_all_kinds(k):
    for name, b in jpeg.pictures():
        yield b, [name.rsplit(" ", 1)[0] if "x" in name.rsplit(" ", 1)[-1] else name]
    for mode in ["L", "RGB", "CMYK", "1"] * 12:
        o = dict(quality=k.pick([3, 40, 75, 92, 100]), progressive=k.pick([False, True]), optimize=k.pick([False, True]))
        f = [f"mode {mode}", "progressive" if o["progressive"] else "sequential"]
        if mode == "RGB":
            o["subsampling"] = k.pick([0, 1, 2])
            f.append(["4:4:4", "4:2:2", "4:2:0"][o["subsampling"]])
        if k.random.random() < 0.3:
            o["restart_marker_blocks"] = int(k.random.integers(1, 5))
            f.append("restarts")
        yield saved(k.image(mode), "JPEG", **o), f
    for mode in ["L", "RGB", "CMYK"]:
        b = saved(k.image(mode), "JPEG")
        yield after_start(b, (0xFE, b"a comment" * 50)), [f"mode {mode}", "comment"]
        yield saved(k.image(mode), "JPEG", icc_profile=profile()), [f"mode {mode}", "ICC"]
        pieces = [(0xE2, b"ICC_PROFILE\0" + bytes([i + 1, 3]) + profile()[i::3]) for i in range(3)]
        yield after_start(b, *pieces), [f"mode {mode}", "ICC in pieces"]
        yield (
            after_start(b, *[(0xE0 | n, b"what nobody knows\0") for n in range(3, 14)], (0xED, b"Photoshop 3.0\0" + bytes(40))),
            [f"mode {mode}", "APP3 to APP13"],
        )
    samples = [
        "1x1",
        "2x1",
        "1x2",
        "2x2",
        "4x1",
        "1x4",
        "2x2,1x2,1x1",
        "2x2,2x1,1x2",
        "1x1,2x2,1x1",
        "3x1",
        "1x3",
        "3x2",
        "2x2,1x2,1x2",
        "4x2",
        "2x4",
    ]
    for s in samples:
        for more in [[], ["-progressive"], ["-arithmetic"], ["-restart", "1"], ["-rgb"], ["-dct", "float", "-quality", "30"]]:
            b = tool(["cjpeg", "-sample", s, *more, "IN"], saved(k.image("RGB"), "PPM"))
            if b:
                yield b, ["cjpeg " + (more[0][1:] if more else "plain"), f"sampling {s}"]
    for more in [
        ["-arithmetic", "-grayscale"],
        ["-arithmetic", "-progressive"],
        ["-baseline", "-quality", "1"],
        ["-grayscale", "-progressive"],
        ["-smooth", "50"],
    ]:
        for _ in range(2):
            b = tool(["cjpeg", *more, "IN"], saved(k.image("RGB"), "PPM"))
            if b:
                yield b, ["cjpeg " + " ".join(m[1:] for m in more if m[0] == "-")]
    for c in [1, 3]:
        a = k.samples(c, 12)[:, :, : 1 if c == 1 else 3]
        yield bytes(imagecodecs.jpeg_encode(np.squeeze(a, 2).astype(np.uint16) if c == 1 else a.astype(np.uint16), 90, bitspersample=12)), ["12 bits"]
        a = k.samples(c, 8).astype(np.uint8)
        yield bytes(imagecodecs.jpeg8_encode(a[:, :, 0] if c == 1 else a, lossless=True, predictor=1)), ["lossless"]


def mpos(k):
    for i in range(12):
        o = dict(quality=k.pick([50, 75, 95]), progressive=k.pick([False, True]))
        first, more = k.image(k.pick(["RGB", "L"])), [k.image("RGB") for _ in range(1 + i % 3)]
        f = [f"{1 + len(more)} pictures"]
        if i % 4 == 3:
            o["exif"] = b"Exif\0\0" + exif(2 + i % 7)
            f.append("EXIF orientation")
        yield saved(first, "MPO", save_all=True, append_images=more, **o), f


PNG_KINDS = [
    (0, 1, 1),
    (0, 1, 2),
    (0, 1, 4),
    (0, 1, 8),
    (0, 1, 16),
    (2, 3, 8),
    (2, 3, 16),
    (3, 1, 1),
    (3, 1, 2),
    (3, 1, 4),
    (3, 1, 8),
    (4, 2, 8),
    (4, 2, 16),
    (6, 4, 8),
    (6, 4, 16),
]
PNG_COLORS = {0: "gray", 2: "RGB", 3: "palette", 4: "gray and alpha", 6: "RGBA"}


def png_plain(k, color, c, bits, before=(), size=None, entries=None, **how):
    """A PNG with the palette that it needs."""
    a = k.samples(c, bits, size)
    if color == 3:
        n = entries or 1 << bits
        a %= n
        before = [chunk(b"PLTE", k.palette(n).astype(np.uint8).tobytes()), *before]
    return png(a, bits, color, before, **how)


def pngs(k):
    for color, c, bits in PNG_KINDS:
        name = [PNG_COLORS[color], f"{bits} bits"]
        for interlace in [False, True]:
            for filters in range(6):
                f = [*name, "Adam7" if interlace else "not interlaced", f"filter {filters}" if filters < 5 else "all filters"]
                yield png_plain(k, color, c, bits, interlace=interlace, filters=filters), f
            for _ in range(2):
                if color in (0, 2):
                    values = k.samples(c, bits, (1, 1)).ravel() if k.random.random() < 0.7 else [0] * c
                    trns = chunk(b"tRNS", struct.pack(f">{c}H", *values))
                    yield png_plain(k, color, c, bits, [trns], interlace=interlace), [*name, "tRNS"]
                if color == 3:
                    trns = chunk(b"tRNS", bytes(k.random.integers(0, 256, k.pick([1, 1 << bits])).astype(np.uint8)))
                    yield png_plain(k, color, c, bits, [trns], interlace=interlace), [*name, "tRNS"]
        if color == 3 and bits > 1:
            yield png_plain(k, color, c, bits, entries=(1 << bits) - 1), [*name, "short palette"]
        more = {
            "sBIT": chunk(b"sBIT", bytes([max(1, min(8, bits) - 2)]) * (3 if color == 3 else c)),
            "gAMA": chunk(b"gAMA", struct.pack(">I", k.pick([45455, 100000, 1]))),
            "cHRM": chunk(b"cHRM", struct.pack(">8I", 31270, 32900, 64000, 33000, 30000, 60000, 15000, 6000)),
            "sRGB": chunk(b"sRGB", b"\0"),
            "iCCP": chunk(b"iCCP", b"a name\0\0" + zlib.compress(profile())),
            "tEXt": chunk(b"tEXt", b"Title\0a picture"),
            "zTXt": chunk(b"zTXt", b"Comment\0\0" + zlib.compress(b"words " * 200)),
            "pHYs": chunk(b"pHYs", struct.pack(">IIB", 2835, 2835, 1)),
            "iTXt": chunk(b"iTXt", b"Title\0\1\0en\0\0" + zlib.compress("größe".encode())),
            "private chunk": chunk(b"prVt", b"what nobody knows"),
        }
        if color != 3:
            more["bKGD"] = chunk(b"bKGD", bytes(2 * (c if color in (0, 2) else c - 1)))
        for word in [k.pick(list(more)) for _ in range(3)]:
            yield png_plain(k, color, c, bits, [more[word]]), [*name, word]
    for word, data in more.items():
        yield png_plain(k, 2, 3, 8, [data]), ["RGB", word]
    for color, c, bits in PNG_KINDS:
        yield png_plain(k, color, c, bits, end=False), [PNG_COLORS[color], f"{bits} bits", "damaged", "without IEND"]
    for i, how in enumerate(
        [
            dict(pieces=2),
            dict(pieces=13),
            dict(level=0),
            dict(level=1),
            dict(level=9),
            dict(strategy=2),
            dict(strategy=3),
            dict(strategy=4),
            dict(window=9),
            dict(window=12),
        ]
    ):
        word = " ".join(f"{n} {v}" for n, v in how.items())
        yield png_plain(k, *k.pick(PNG_KINDS), filters=i % 6, **how), [word]
    yield png_plain(k, 2, 3, 8, [chunk(b"PLTE", k.palette(7).astype(np.uint8).tobytes())]), ["RGB", "suggested palette"]
    yield png_plain(k, 2, 3, 8, [chunk(b"IDAT")]), ["RGB", "empty IDAT"]
    yield (
        png_plain(k, 2, 3, 8, after=[chunk(b"tEXt", b"Title\0a picture"), chunk(b"tIME", b"\x07\xd0\1\1\1\1\1")]),
        ["RGB", "chunks after the pixels"],
    )
    yield png_plain(k, 2, 3, 8) + b"and more", ["RGB", "trailing bytes"]
    for mode in ["1", "L", "LA", "P", "RGB", "RGBA", "I;16"] * 2:
        m = Image.fromarray(k.samples(1, 16)[:, :, 0].astype(np.uint16)) if mode == "I;16" else k.image(mode)
        yield saved(m, "PNG", optimize=k.pick([True, False])), [f"Pillow {mode}"]
    small = Image.fromarray(k.samples(1, 8)[:, :, 0].astype(np.uint16))
    yield saved(small, "PNG"), ["gray", "16 bits", "all below 256"]
    for mode in ["RGB", "RGBA", "P", "L"]:
        size = k.size()
        frames = [k.image(mode, size) for _ in range(3)]
        yield saved(frames[0], "PNG", save_all=True, append_images=frames[1:], duration=50), [f"animated {mode}"]
        yield saved(frames[0], "PNG", save_all=True, append_images=frames[1:], default_image=True), [f"animated {mode}", "still picture apart"]


def webp_with(b, size, alpha=False, **chunks):
    """A still WebP file with EXIF, XMP or ICCP."""
    flags = (0x20 if "ICCP" in chunks else 0) | (0x10 if alpha else 0) | (8 if "EXIF" in chunks else 0) | (4 if "XMP" in chunks else 0)
    inner = [c for c in riff_chunks(b) if c[0] != b"VP8X"]
    first = [(b"VP8X", struct.pack("<I", flags) + struct.pack("<I", size[0] - 1)[:3] + struct.pack("<I", size[1] - 1)[:3])]
    first += [(b"ICCP", chunks["ICCP"])] if "ICCP" in chunks else []
    return riff(first + inner + [(n.ljust(4).encode(), chunks[n]) for n in ("EXIF", "XMP") if n in chunks])


def webps(k):
    for mode in ["RGB", "RGBA"]:
        for i in range(28):
            o = dict(quality=k.pick([0, 20, 50, 80, 100]), method=i % 7)
            yield saved(k.image(mode), "WEBP", **o), [mode, "lossy", f"method {i % 7}"]
            yield saved(k.image(mode), "WEBP", lossless=True, exact=i % 2 == 0, **o), [mode, "lossless"]
    for mode in ["L", "P", "LA", "1"]:
        yield saved(k.image(mode), "WEBP", lossless=True), [f"Pillow {mode}", "lossless"]
        yield saved(k.image(mode), "WEBP"), [f"Pillow {mode}", "lossy"]
    for n in [2, 3, 4, 5, 16, 17, 200]:
        m = k.image("RGB", k.pick([(17, 13), (64, 48)])).quantize(n)
        yield saved(m.convert("RGB"), "WEBP", lossless=True, quality=k.pick([0, 75, 100]), method=k.pick([0, 4, 6])), ["lossless", f"{n} colors"]
    for alpha in [0, 30, 100]:
        yield saved(k.image("RGBA"), "WEBP", alpha_quality=alpha, quality=60), ["RGBA", "lossy", "alpha of less quality"]
    for more in [
        ["-segments", "1"],
        ["-segments", "4", "-sns", "100"],
        ["-f", "0"],
        ["-f", "100"],
        ["-f", "60", "-sharpness", "7"],
        ["-nostrong"],
        ["-strong"],
        ["-sharp_yuv"],
        ["-partition_limit", "100"],
        ["-pass", "5"],
        ["-near_lossless", "40"],
        ["-preset", "drawing"],
        ["-preset", "text"],
        ["-preset", "photo"],
        ["-z", "9"],
        ["-z", "0"],
        ["-alpha_method", "0"],
        ["-alpha_filter", "best"],
        ["-alpha_filter", "none"],
        ["-q", "0"],
        ["-q", "100"],
        ["-jpeg_like"],
        ["-size", "300"],
        ["-hint", "graph", "-lossless"],
    ]:
        for mode in ["RGB", "RGBA"]:
            b = tool(["cwebp", "-quiet", *more, "IN", "-o", "OUT"], saved(k.image(mode), "PNG"), ".png")
            if b:
                yield b, [mode, "cwebp " + more[0][1:]]
    for how in [
        dict(),
        dict(lossless=True),
        dict(allow_mixed=True),
        dict(minimize_size=True),
        dict(background=(9, 90, 200, 255)),
        dict(lossless=True, loop=3, kmin=1, kmax=1),
    ]:
        for mode in ["RGB", "RGBA"]:
            size = k.size()
            yield (
                saved(k.image(mode, size), "WEBP", save_all=True, append_images=[k.image(mode, size) for _ in range(2)], duration=40, **how),
                [mode, "animated", *how],
            )
    for mode in ["RGB", "RGBA"]:
        for where in ["+0+0", "+4+2", "+2+6"]:
            frame = saved(k.image(mode, (8, 6)), "WEBP", lossless=True, exact=True)
            b = tool(["webpmux", "-frame", "IN", f"+50{where}+1-b", "-frame", "IN", "+50+12+8+0+b", "-bgcolor", "255,20,200,90", "-o", "OUT"], frame)
            if b:
                yield b, [mode, "animated", f"first frame at {where}"]
        size = k.size()
        for lossless in [False, True]:
            b = saved(k.image(mode, size), "WEBP", lossless=lossless)
            yield webp_with(b, size, mode == "RGBA", ICCP=profile()), [mode, "ICC"]
            yield webp_with(b, size, mode == "RGBA", EXIF=exif(1), XMP=xmp(1)), [mode, "EXIF and XMP"]
    b = tool(["gif2webp", "-quiet", "IN", "-o", "OUT"], saved(k.image("P"), "GIF", save_all=True, append_images=[k.image("P")]))
    if b:
        yield b, ["gif2webp", "animated"]


def gifs(k):
    for depth in range(1, 9):
        for interlace in [False, True]:
            for transparent in [None, 0, (1 << depth) - 1]:
                n = 1 << depth
                a = k.samples(1, depth)[:, :, 0]
                frame = gif_frame(a, interlace=interlace, transparent=transparent, depth=max(2, depth), clear=k.pick([None, 0, 1, 50]))
                f = [f"{n} colors", "interlaced" if interlace else "not interlaced"] + ["transparent"] * (transparent is not None)
                yield gif([frame], a.shape[1::-1], k.palette(n)), f
    for i in range(8):
        a, n = k.samples(1, 6, (11, 9))[:, :, 0], 64
        local, whole = k.palette(n), k.palette(n)
        at = k.pick([(0, 0), (2, 1), (5, 4)])
        size = k.pick([(11, 9), (20, 16), (16, 13)])
        transparent = k.pick([None, 0, 5, 63])
        inside = at[0] + 11 <= size[0] and at[1] + 9 <= size[1]
        f = ["frame " + ("fills" if (at, size) == ((0, 0), (11, 9)) else "within" if inside else "reaches over") + " the canvas"] + [
            "transparent"
        ] * (transparent is not None)
        yield gif([gif_frame(a, at, transparent=transparent, depth=6)], size, whole, background=k.pick([0, 7])), f
        yield gif([gif_frame(a, at, local, transparent=transparent, depth=6)], size), [*f, "local palette"]
        yield gif([gif_frame(a, at, local, depth=6)], size, whole, background=3), [*f, "two palettes"]
        more = [gif_frame(k.samples(1, 6, (5, 4))[:, :, 0], (1, 1), disposal=i % 4, depth=6) for _ in range(2)]
        yield gif([gif_frame(a, at, disposal=i % 4, transparent=transparent, depth=6)] + more, size, whole), [*f, "animated", f"disposal {i % 4}"]
    a = k.samples(1, 4)[:, :, 0]
    size = a.shape[1::-1]
    yield gif([gif_frame(a, depth=4)], size), ["no palette"]
    yield gif([gif_frame(a, depth=4, control=False)], size, k.palette(16), version=b"87a"), ["GIF87a"]
    yield gif([gif_frame(a, depth=8)], size, k.palette(8)), ["indices past the palette"]
    yield (
        gif([gif_frame(a, depth=4)], size, k.palette(16), extra=b"\x21\xfe\x09a comment\0" + b"\x21\xff\x0bNETSCAPE2.0\x03\x01\0\0\0"),
        ["comment and loop"],
    )
    yield gif([gif_frame(a, depth=4)], size, k.palette(16), trailer=b""), ["damaged", "without trailer"]
    yield gif([gif_frame(a, depth=4)], (0, 0), k.palette(16)), ["canvas of 0 x 0"]
    gray = np.repeat(np.arange(16)[:, None] * 17, 3, 1)
    yield gif([gif_frame(a, depth=4)], size, gray), ["gray palette"]
    for mode in ["L", "P", "RGB", "RGBA", "1", "LA"] * 2:
        size = k.size()
        yield saved(k.image(mode, size), "GIF"), [f"Pillow {mode}"]
        yield saved(k.image(mode, size), "GIF", interlace=False, optimize=True), [f"Pillow {mode}", "optimized"]
        frames = [k.image(mode, size) for _ in range(2)]
        yield (
            saved(frames[0], "GIF", save_all=True, append_images=frames, disposal=k.pick([0, 1, 2]), comment=b"words"),
            [f"Pillow {mode}", "animated"],
        )
    for more in [[], ["-interlace"], ["-noclear"], ["-nolzw"], ["-sort"], ["-transparent=black"], ["-float"]]:
        b = tool(["pamtogif", *more, "IN"], saved(k.image("P").convert("RGB"), "PPM"))
        if b:
            yield b, ["pamtogif" + "".join(more)]


MASKS = {
    16: [(0xF800, 0x7E0, 0x1F), (0x7C00, 0x3E0, 0x1F), (0xF00, 0xF0, 0xF), (0xF00, 0xF0, 0xF, 0xF000)],
    24: [(0xFF0000, 0xFF00, 0xFF), (0xFF, 0xFF00, 0xFF0000)],
    32: [
        (0xFF0000, 0xFF00, 0xFF),
        (0xFF000000, 0xFF0000, 0xFF00),
        (0xFF000000, 0xFF00, 0xFF),
        (0xFF, 0xFF00, 0xFF0000),
        (0x3FF00000, 0xFFC00, 0x3FF),
        (0, 0, 0),
        (0xFF000000, 0xFF0000, 0xFF00, 0xFF),
        (0xFF, 0xFF00, 0xFF0000, 0xFF000000),
        (0xFF0000, 0xFF00, 0xFF, 0xFF000000),
        (0xFF000000, 0xFF00, 0xFF, 0xFF0000),
    ],
}


def bmps(k):
    for bits in [1, 2, 4, 8]:
        n = 1 << bits
        for header in [12, 40, 52, 56, 64, 108, 124]:
            a = k.samples(1, bits)[:, :, 0]
            yield bmp(a, bits, header, k.palette(n)), [f"{bits} bits", f"header {header}"]
        for word, how in {"top down": dict(top_down=True), "gap": dict(gap=10), "colors given": dict(colors=n)}.items():
            yield bmp(k.samples(1, bits)[:, :, 0], bits, palette=k.palette(n), **how), [f"{bits} bits", word]
        fewer = max(2, n - n // 3)
        yield bmp(k.samples(1, bits)[:, :, 0] % fewer, bits, palette=k.palette(fewer), colors=fewer), [f"{bits} bits", "short palette"]
        gray = np.repeat(np.arange(n)[:, None] * (255 // (n - 1)), 3, 1)
        yield bmp(k.samples(1, bits)[:, :, 0], bits, palette=gray), [f"{bits} bits", "gray palette"]
        yield bmp(k.samples(1, bits)[:, :, 0], bits, palette=255 - gray), [f"{bits} bits", "gray palette, inverted"]
    yield bmp(k.samples(1, 8)[:, :, 0] % 4, 8, palette=np.repeat(np.arange(4)[:, None], 3, 1), colors=4), ["8 bits", "gray palette", "short palette"]
    for bits in [4, 8]:
        for i in range(8):
            a, skips = k.samples(1, bits)[:, :, 0] // (1 << bits - 2) * 2, i % 4 == 3
            how = dict(colors=1 << bits) if i % 2 else {}
            yield (
                bmp(a, bits, palette=k.palette(1 << bits), compression=1 if bits == 8 else 2, data=bmp_rle(a, bits, k.random, skips), **how),
                [f"RLE{bits}", "skips" if skips else "whole"],
            )
        a = k.samples(1, bits)[:, :, 0]
        gray = np.repeat(np.arange(1 << bits)[:, None] * (255 // ((1 << bits) - 1)), 3, 1)
        yield bmp(a, bits, palette=gray, compression=1 if bits == 8 else 2, data=bmp_rle(a, bits, k.random)), [f"RLE{bits}", "gray palette"]
        yield (
            bmp(a, bits, palette=k.palette(1 << bits), compression=1 if bits == 8 else 2, data=bmp_rle(a, bits, k.random)[:-2]),
            [f"RLE{bits}", "damaged", "without its end"],
        )
    for bits in [16, 24, 32]:
        for header in [12, 40, 108, 124]:
            if header == 12 and bits != 24:
                continue
            for top_down in [False, True] if header > 12 else [False]:
                yield (
                    bmp(k.random.integers(0, 1 << bits, k.size()[::-1]), bits, header, top_down=top_down),
                    [f"{bits} bits", f"header {header}"] + ["top down"] * top_down,
                )
        for masks in MASKS[bits]:
            for header in [40, 52, 56, 108, 124] if len(masks) == 3 else [56, 108, 124]:
                yield (
                    bmp(k.random.integers(0, 1 << bits, k.size()[::-1]), bits, header, masks=masks, compression=3),
                    [f"{bits} bits", "bit fields", " ".join(f"{m:X}" for m in masks)],
                )
    yield bmp(k.random.integers(0, 1 << 24, (9, 7)), 24, gap=6), ["24 bits", "gap"]
    for kind in ["PNG", "JPEG"]:
        yield bmp(np.zeros((9, 7), int), 24, compression=5 if kind == "PNG" else 4, data=saved(k.image("RGB", (7, 9)), kind)), [f"{kind} inside"]
    for mode in ["1", "L", "P", "RGB", "RGBA"] * 2:
        yield saved(k.image(mode), "BMP"), [f"Pillow {mode}"]
    for more in [["-windows"], ["-os2"], ["-windows", "-bpp", "24"], ["-os2", "-bpp", "24"]]:
        b = tool(["ppmtobmp", *more, "IN"], saved(k.image("P").convert("RGB"), "PPM"))
        if b:
            yield b, ["ppmtobmp" + more[0]]


def pnms(k):
    spaces = [b" ", b"\n", b"\t", b"\r\n", b" \n "]
    for i in range(20):
        for kind in b"123456":
            c, plain = 3 if kind in b"36" else 1, kind < ord("4")
            top = 1 if kind in b"14" else k.pick([1, 2, 15, 100, 254, 255, 255, 256, 1000, 4095, 65535])
            a = k.samples(c, 16) * top // 65535
            h, w, _ = a.shape
            comment = i % 4 == 1
            head = b"P" + bytes([kind]) + (b"\n# a comment\n" if comment else k.pick(spaces)) + f"{w}".encode() + k.pick(spaces) + f"{h}".encode()
            head += b"\n" if kind in b"14" else k.pick(spaces) + f"{top}\n".encode()
            if plain:
                join = b"" if kind == ord("1") and i % 2 else k.pick(spaces)
                data = b"\n".join(join.join(f"{v}".encode() for v in row.ravel()) for row in a) + b"\n"
            else:
                data = (
                    np.packbits(a[:, :, 0].astype(np.uint8), axis=1).tobytes()
                    if kind == ord("4")
                    else a.astype(">u2" if top > 255 else np.uint8).tobytes()
                )
            name = {1: "PBM", 2: "PGM", 3: "PPM"}[(kind - ord("1")) % 3 + 1]
            yield head + data, [f"P{chr(kind)}", name, f"largest value {top}"] + ["comment"] * comment
    for mode in ["1", "L", "RGB", "RGBA", "I;16", "F"]:
        m = (
            Image.fromarray(k.samples(1, 16)[:, :, 0].astype(np.uint16))
            if mode == "I;16"
            else Image.fromarray(k.samples(1, 8)[:, :, 0].astype(np.float32))
            if mode == "F"
            else k.image(mode)
        )
        yield saved(m, "PPM"), [f"Pillow {mode}"]
    a = k.samples(3).astype(np.uint8)
    yield b"P7\nWIDTH %d\nHEIGHT %d\nDEPTH 3\nMAXVAL 255\nTUPLTYPE RGB\nENDHDR\n" % (a.shape[1], a.shape[0]) + a.tobytes(), ["PAM"]
    yield saved(k.image("RGB"), "PPM") * 2, ["two pictures"]
    yield saved(k.image("RGB"), "PPM") + b"more", ["trailing bytes"]
    for head, data, word in [
        (b"P5 3 2 255\n# a comment\n", b"abcdef", "comment after the head"),
        (b"P5 3 2 #x\n255\n", b"abcdef", "comment within the head"),
        (b"P5\r3\r2\r255\r", b"abcdef", "carriage returns"),
        (b"P5\x0b3\x0c2\t255 ", b"abcdef", "vertical tabs and form feeds"),
        (b"P5 3 2 255\r\n", b"\nbcdef", "two bytes of white space"),
        (b"P2 3 2 100\n", b"0 1 99 100 050 0007", "leading zeros"),
        (b"P2 3 2 255\n", b"0 1 99\n# 4 5\n100 # 3\n255 7", "comments among the values"),
        (b"P1 3 2\n", b"1 0 1\n0#1\n10", "comments among the values"),
        (b"P1 3 2\n", b"101010111", "damaged"),
        (b"P2 3 2 100\n", b"0 1 99 100 101 7", "damaged"),
        (b"P2 3 2 255\n", b"0 1 99", "damaged"),
        (b"P5 3 2 255\n", b"abc", "damaged"),
        (b"P5 3 2 100\n", b"abcd\xff\xfe", "damaged"),
        (b"P3 1 1 255\n", b"-1 2 3", "damaged"),
    ]:
        yield head + data, [head[:2].decode(), word]


NAMES = {1: "none", 5: "LZW", 8: "deflate", 32946: "old deflate", 32773: "PackBits", 34925: "LZMA", 50000: "Zstandard"}
PHOTOMETRIC = {0: "white is zero", 1: "black is zero", 2: "RGB", 3: "palette", 5: "CMYK", 6: "YCbCr", 8: "CIELab", 9: "ICCLab"}
# photometric, channels, bits, sample format, extra samples
TIFF_KINDS = (
    [(p, 1, b, 1, ()) for p in (0, 1) for b in (1, 2, 4, 8, 12, 16, 32)]
    + [(p, 1, b, s, ()) for p in (0, 1) for b, s in ((8, 2), (16, 2), (32, 2), (32, 3), (64, 3), (16, 3))]
    + [(1, 2, 8, 1, (e,)) for e in (0, 1, 2)]
    + [(1, 2, 16, 1, (2,)), (1, 3, 8, 1, (2, 0)), (0, 2, 8, 1, (2,))]
    + [(2, 3, b, 1, ()) for b in (2, 4, 8, 12, 16, 32)]
    + [(2, 3, 8, 2, ()), (2, 3, 32, 3, ()), (2, 3, 16, 3, ()), (2, 3, 16, 2, ())]
    + [(2, 4, b, 1, (e,)) for b in (8, 16) for e in (0, 1, 2)]
    + [(2, 4, 8, 1, ()), (2, 4, 16, 1, ()), (2, 5, 8, 1, (2, 0)), (2, 5, 8, 1, (0, 0)), (2, 6, 8, 1, (1, 0, 0)), (2, 4, 8, 1, (999,))]
    + [(3, 1, b, 1, ()) for b in (1, 2, 4, 8, 16)]
    + [(3, 2, 8, 1, (e,)) for e in (0, 2)]
    + [(5, 4, 8, 1, ()), (5, 4, 16, 1, ()), (5, 5, 8, 1, (0,)), (5, 5, 8, 1, (2,)), (5, 6, 8, 1, (0, 0))]
    + [(6, 3, 8, 1, ()), (8, 3, 8, 1, ()), (8, 3, 16, 1, ()), (8, 1, 8, 1, ()), (9, 3, 8, 1, ())]
)


def tiff_samples(k, c, bits, sample):
    if sample == 3:
        return k.samples(c, 8).astype(np.float32) * k.pick([1, 1, 1 / 255, 1.7]) + (0.25 if k.random.random() < 0.5 else 0)
    a = k.samples(c, bits)
    if k.random.random() < 0.3:
        a = a & 255
    return a - (1 << bits - 1) * (k.random.random() < 0.5) if sample == 2 else a


def tiff_words(photometric, c, bits, sample, extra, how):
    f = [PHOTOMETRIC[photometric], f"{c} x {bits} bits", NAMES[how.get("compression", 1)]]
    f += ["signed"] * (sample == 2) + ["float"] * (sample == 3) + [f"extra samples {' '.join(map(str, extra))}"] * bool(extra)
    words = {"big": "BigTIFF", "tile": "tiles", "rows": "strips"}
    return (
        f
        + [w for key, w in words.items() if how.get(key)]
        + ["big-endian"] * (how["order"] == ">")
        + [
            f"{w} {how[key]}"
            for key, w in {"planar": "planar", "predictor": "predictor", "fill": "fill order", "orientation": "orientation"}.items()
            if how.get(key, 1) != 1
        ]
    )


def tiff_kind(k, photometric, c, bits, sample, extra, **how):
    how.setdefault("order", k.pick("<>"))
    if photometric == 6:
        how |= dict(subsampling=(1, 1), predictor=1, planar=1)
    if photometric == 3:
        how["palette"] = k.palette(1 << min(bits, 8)) if bits <= 8 else np.repeat(k.palette(256), 256, 0)
    return tiff(tiff_samples(k, c, bits, sample), photometric, bits=bits, sample=sample, extra=extra, **how), tiff_words(
        photometric, c, bits, sample, extra, how
    )


def tiffs(k):
    for kind in TIFF_KINDS:
        for order in "<>":
            yield tiff_kind(k, *kind, order=order)
        for _ in range(4):
            how = dict(compression=k.pick([1, 5, 5, 8, 8, 32946, 32773, 34925, 50000]))
            if kind[1] > 1 and k.random.random() < 0.25:
                how["planar"] = 2
            if how["compression"] in (5, 8, 32946, 34925, 50000) and kind[2] in (8, 16, 32) and k.random.random() < 0.5:
                how["predictor"] = 3 if kind[3] == 3 else 2
            if k.random.random() < 0.3:
                how["rows"] = int(k.random.integers(1, 6))
            elif k.random.random() < 0.3:
                how["tile"] = k.pick([(16, 16), (32, 16), (16, 48)])
            if k.random.random() < 0.15:
                how["fill"] = 2
            if k.random.random() < 0.12:
                how["big"] = True
            if k.random.random() < 0.12:
                how["orientation"] = int(k.random.integers(2, 9))
            yield tiff_kind(k, *kind, **how)
    yield from tiffs_odd(k)
    yield from tiffs_by_tools(k)


def tiffs_odd(k):
    """Orientation, pages, YCbCr, tags that are absent or strange."""
    for value in range(0, 10):
        for kind in [(2, 3, 8, 1, ()), (1, 1, 8, 1, ()), (0, 1, 1, 1, ())]:
            b, f = tiff_kind(k, *kind, orientation=value, compression=k.pick([1, 5]))
            yield b, f if value > 1 else [*f, f"orientation {value}"]
    for across, down in [(1, 1), (2, 1), (2, 2), (4, 2), (1, 2)]:
        for compression in [1, 5]:
            b = tiff(k.samples(3, 8), 6, subsampling=(across, down), rows=8, compression=compression)
            yield b, ["YCbCr", f"subsampling {across} {down}", NAMES[compression]]
    for order in "<>":
        for big in [False, True]:
            pages = [tiff_page(k.samples(3, 8), 2, order=order), tiff_page(k.samples(1, 1), 0, 1, order=order)]
            yield tiff_file(order, pages[:: k.pick([1, -1])], big, first=k.pick([None, 40])), ["pages"] + ["BigTIFF"] * big
    rgb = lambda: k.samples(3, 8)
    for word, tags in {
        "ICC": [(34675, UNDEFINED, profile())],
        "XMP": [(700, BYTE, xmp(6))],
        "orientation as LONG": [(274, LONG, [6])],
        "orientation as BYTE": [(274, BYTE, [6])],
        "size as LONG": [(256, LONG, [17]), (257, LONG, [13])],
        "one BitsPerSample": [(258, SHORT, [8])],
        "words": [(270, ASCII, b"a picture\0")],
        "thumbnail": [(254, LONG, [1])],
        "resolution": [(282, RATIONAL, [72, 1]), (283, RATIONAL, [72, 1]), (296, SHORT, [2])],
        "RowsPerStrip of 2^32-1": [(278, LONG, [0xFFFFFFFF])],
        "private tag": [(65000, DOUBLE, [1.5])],
        "DNGVersion": [(50706, BYTE, [1, 4, 0, 0])],
        "strips as SHORT": [(273, SHORT, list), (279, SHORT, [17 * 13 * 3])],
    }.items():
        a = k.samples(3, 8, (17, 13)) if "as LONG" in word or "strips" in word else rgb()
        yield tiff(a, 2, tags=tags), [word]
    for order in "<>":
        for how in [dict(rows=3), dict(rows=2, compression=5), dict(tile=(16, 16)), dict(rows=4, planar=2, compression=8)]:
            tags, strips = tiff_page(rgb(), 2, order=order, **how)
            turned = [(t, n, (lambda places: places[::-1]) if callable(v) else v) for t, n, v in tags]
            yield tiff_file(order, [(turned, strips[::-1])]), ["strips out of order", *[f"{n} {v}" for n, v in how.items()]]
    for word, change in {"too few bytes": -1, "too many bytes": 1}.items():
        for compression in [1, 5, 8, 32773]:
            tags, strips = tiff_page(rgb(), 2, compression=compression)
            tags = [(t, n, [len(strips[0]) + change] if t == 279 else v) for t, n, v in tags]
            yield tiff_file("<", [(tags, strips)]), [f"{word} in a strip", NAMES[compression], "damaged"]
    for word, tag in {
        "no RowsPerStrip": 278,
        "no StripByteCounts": 279,
        "no Compression": 259,
        "no SamplesPerPixel": 277,
        "no Photometric": 262,
        "no BitsPerSample": 258,
    }.items():
        yield tiff(rgb(), 2, leave=[tag]), [word] + ["damaged"] * (tag not in (278, 259))
        yield tiff(k.samples(1, 8), 1, leave=[tag]), [word] + ["damaged"] * (tag not in (278, 259, 277))


def tiffs_by_tools(k):
    for compression in [
        "raw",
        "tiff_lzw",
        "tiff_deflate",
        "tiff_adobe_deflate",
        "packbits",
        "jpeg",
        "lzma",
        "zstd",
        "webp",
        "group3",
        "group4",
        "tiff_ccitt",
    ]:
        for mode in ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "YCbCr", "LAB", "I;16", "I", "F"]:
            m = (
                Image.fromarray(k.samples(1, 16)[:, :, 0].astype({"I;16": np.uint16, "I": np.int32, "F": np.float32}[mode]))
                if mode in ("I;16", "I", "F")
                else k.image(mode)
            )
            try:
                yield saved(m, "TIFF", compression=compression), [f"Pillow {mode}", compression]
            except (OSError, ValueError, KeyError, RuntimeError):
                pass
    fax = [["-c", f"g3:{d}{fill}", *more] for d in ("1d", "2d") for fill in ("", ":fill") for more in ([], ["-f", "lsb2msb"], ["-r", "3"])]
    fax += [["-c", "g4", *more] for more in ([], ["-f", "lsb2msb"], ["-r", "4"], ["-t", "-w", "16", "-l", "16"], ["-B"], ["-8"])] + [["-c", "jbig"]]
    for how in fax:
        for photometric in [0, 1]:
            b = tool(["tiffcp", *how, "IN", "OUT"], tiff(k.samples(1, 1), photometric, bits=1, fill=k.pick([1, 2]), rows=64))
            if b:
                yield (
                    b,
                    [
                        f"tiffcp {how[1]}",
                        PHOTOMETRIC[photometric],
                        *["fill order 2"] * ("lsb2msb" in how),
                        *["tiles"] * ("-t" in how),
                        *["strips"] * ("-r" in how),
                    ],
                )
    more = [[], ["-t", "-w", "16", "-l", "32"], ["-r", "4"], ["-B"], ["-8"], ["-p", "separate"], ["-f", "lsb2msb"]]
    for how in [
        c
        for c in [
            "none",
            "lzw",
            "lzw:2",
            "zip",
            "zip:2",
            "packbits",
            "jpeg",
            "jpeg:r",
            "jpeg:100",
            "lzma",
            "lzma:2",
            "zstd",
            "zstd:2",
            "webp",
            "lerc",
            "sgilog",
        ]
    ]:
        for a, photometric, extra in [
            (k.samples(3, 8), 2, ()),
            (k.samples(1, 8), 1, ()),
            (k.samples(4, 8), 2, (2,)),
            (k.samples(4, 8), 5, ()),
            (k.samples(1, 8), 3, ()),
        ]:
            layout = k.pick(more)
            source = tiff(a, photometric, extra=extra, palette=k.palette(256) if photometric == 3 else None, rows=8)
            b = tool(["tiffcp", "-c", how, *layout, "IN", "OUT"], source)
            if b:
                words = {"-t": "tiles", "-p": "planar 2", "-f": "fill order 2", "-8": "BigTIFF", "-B": "big-endian", "-r": "strips"}
                yield b, [f"tiffcp {how}", PHOTOMETRIC[photometric], *[words[w] for w in layout[:1]]]
    for i in range(24):
        c = k.pick([1, 3, 4])
        a = k.samples(c, 8).astype(k.pick([np.uint8, np.uint8, np.uint16]))
        how = dict(
            photometric="minisblack" if c == 1 else "rgb",
            byteorder=k.pick("<>"),
            bigtiff=k.pick([False, False, True]),
            compression=k.pick([None, "zlib", "lzw", "packbits", "lzma", "zstd"]),
        )
        if k.random.random() < 0.4:
            how["tile"] = (16, 16)
        if how["compression"] not in (None, "packbits"):
            how["predictor"] = k.pick([False, True])
        b = io.BytesIO()
        tifffile.imwrite(b, a[:, :, 0] if c == 1 else a, extrasamples=["unassalpha"] if c == 4 else None, **how)
        yield b.getvalue(), ["tifffile", f"{c} x {8 * a.dtype.itemsize} bits", f"{how['compression']}"]
    for suffix, command in {
        "pnmtotiff": ["pnmtotiff", "-rowsperstrip", "2", "IN"],
        "ppm2tiff": ["ppm2tiff", "-c", "lzw", "IN", "OUT"],
        "convert": ["convert", "IN", "-strip", "-interlace", "plane", "TIFF:OUT"],
    }.items():
        for mode in ["L", "RGB"]:
            b = tool(command, saved(k.image(mode), "PPM"), ".ppm")
            if b:
                yield b, [suffix]


def raw_profile(data):
    """ImageMagick's form of EXIF data in a text chunk."""
    h = data.hex()
    lines = "\n".join(h[i : i + 72] for i in range(0, len(h), 72))
    return b"Raw profile type exif\0\0" + zlib.compress(f"\nexif\n{len(data):8}\n{lines}\n".encode())


def orientations(k):
    """Orientation in EXIF data of every type, place and order of bytes, in XMP, in both."""
    said = [(f"{v}", dict(EXIF=exif(v, order=o))) for v in range(0, 10) for o in "<>"]
    for kind, word in {
        BYTE: "BYTE",
        LONG: "LONG",
        SBYTE: "SBYTE",
        SSHORT: "SSHORT",
        SLONG: "SLONG",
        UNDEFINED: "UNDEFINED",
        ASCII: "ASCII",
        RATIONAL: "RATIONAL",
        SRATIONAL: "SRATIONAL",
        FLOAT: "FLOAT",
        DOUBLE: "DOUBLE",
        LONG8: "LONG8",
    }.items():
        for o in "<>":
            value = b"6\0" if kind == ASCII else b"\6" if kind == UNDEFINED else None
            data = exif(6, kind, o)
            if value:
                data = tiff_file(o, [([(0x0112, kind, value)], [])])
            said.append((f"as {word}", dict(EXIF=data)))
    said += [
        ("two values", dict(EXIF=exif(6, count=2))),
        ("three values", dict(EXIF=exif(6, count=3))),
        ("after bytes", dict(EXIF=exif(8, pad=26))),
        ("after odd bytes", dict(EXIF=exif(8, pad=13))),
        ("in the second directory", dict(EXIF=exif(1, second=6))),
        ("none", dict(EXIF=exif(6, tag=0x0113))),
        ("with Exif prefix", dict(EXIF=b"Exif\0\0" + exif(6))),
        ("large", dict(EXIF=exif(258))),
        ("BigTIFF", dict(EXIF=tiff_file("<", [([(0x0112, SHORT, [6])], [])], big=True))),
    ]
    large = bytearray(exif(6, DOUBLE))
    struct.pack_into("<I", large, 14, 1 << 28)
    said.append(("after a tag that is larger than the file", dict(EXIF=bytes(large))))
    said += [(f"XMP {'element' if e else 'attribute'} {v}", dict(XMP=xmp(v, e))) for v in (0, 1, 3, 5, 6, 9) for e in (False, True)]
    said += [
        ("XMP and EXIF", dict(EXIF=exif(3), XMP=xmp(6))),
        ("XMP and EXIF without", dict(EXIF=exif(3, tag=0x0113), XMP=xmp(6))),
        ("XMP with quotes", dict(XMP=xmp(6).replace(b'="6"', b"='6'"))),
    ]
    for word, data in said:
        f = [f"orientation {word}"] + ["damaged"] * ("larger" in word)
        b = saved(k.image("RGB"), "JPEG")
        parts = [(0xE1, b"Exif\0\0" + data["EXIF"].removeprefix(b"Exif\0\0"))] if "EXIF" in data else []
        parts += [(0xE1, b"http://ns.adobe.com/xap/1.0/\0" + data["XMP"])] if "XMP" in data else []
        yield "JPEG", after_start(b, *parts), f
        chunks = [chunk(b"eXIf", data["EXIF"])] if "EXIF" in data else []
        chunks += [chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + data["XMP"])] if "XMP" in data else []
        yield "PNG", png_plain(k, 2, 3, 8, chunks), [*f, "before the pixels"]
        if k.random.random() < 0.4:
            yield "PNG", png_plain(k, 2, 3, 8, after=chunks), [*f, "after the pixels"]
        if "EXIF" in data:
            kind, text = k.pick(
                [(b"zTXt", raw_profile), (b"zTXt", raw_profile), (b"tEXt", lambda d: raw_profile(d)[:22] + zlib.decompress(raw_profile(d)[23:]))]
            )
            yield (
                "PNG",
                png_plain(k, 2, 3, 8, [chunk(kind, text(b"Exif\0\0" * k.pick([0, 1]) + data["EXIF"].removeprefix(b"Exif\0\0")))]),
                [*f, f"raw profile in {kind.decode()}"],
            )
        size = k.size()
        yield "WebP", webp_with(saved(k.image("RGB", size), "WEBP", lossless=True), size, **data), f
    for v in (3, 6):
        b = saved(k.image("RGB"), "JPEG")
        yield "JPEG", after_start(b, (0xE1, b"Exif\0\0" + exif(v)), (0xE1, b"Exif\0\0" + exif(8))), ["orientation in two segments"]
        yield "JPEG", after_start(b, (0xE1, b"Exif\0\0" + exif(v)[:14])), ["orientation cut off", "damaged"]
        yield "JPEG", after_start(b, (0xE1, b"Exif\0\0")), ["EXIF empty", "damaged"]
        yield "JPEG", after_start(b, (0xFE, b"words"), (0xE1, b"Exif\0\0" + exif(v))), ["orientation after a comment"]
        a = k.samples(1, 4)[:, :, 0]
        packet = xmp(v) + b"\x01" + bytes(range(255, -1, -1)) + b"\0"
        yield "GIF", gif([gif_frame(a, depth=4)], a.shape[1::-1], k.palette(16), extra=b"\x21\xff\x0bXMP DataXMP" + packet), ["orientation in XMP"]
        yield "TIFF", tiff(k.samples(3), 2, orientation=v, tags=[(700, BYTE, xmp(8))]), ["orientation in tag and XMP"]
        yield "TIFF", tiff(k.samples(3), 2, tags=[(700, BYTE, xmp(v))]), ["orientation in XMP"]


FORMATS = {"JPEG": jpegs, "MPO": mpos, "PNG": pngs, "WebP": webps, "GIF": gifs, "BMP": bmps, "TIFF": tiffs, "PNM": pnms}


def kinds(seed, small=False):
    """(format, bytes, features) of the whole corpus."""
    for i, (name, make) in enumerate(FORMATS.items()):
        for data, features in make(Maker([seed, i], small)):
            yield name, data, features
    yield from orientations(Maker([seed, len(FORMATS)], small))


def left_out(k):
    """Small files of formats that are not read, by their extensions."""
    import pillow_heif

    pillow_heif.register_heif_opener()
    rgb = k.image("RGB", (64, 48))
    return {
        "heic": saved(rgb, "HEIF"),
        "avif": saved(rgb, "AVIF"),
        "jp2": saved(rgb, "JPEG2000"),
        "jxl": bytes(imagecodecs.jpegxl_encode(np.asarray(rgb))),
        "dng": tiff(k.samples(1, 16), 1, bits=16, tags=[(50706, BYTE, [1, 4, 0, 0])]),
    }
