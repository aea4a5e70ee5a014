"""Pictures that take the most memory for their files: large ones of one color, and bombs. pictures.py uses it."""

import io
import math
import zlib

import numpy as np
from PIL import Image

import jpeg
from picture_files import ADAM7, LONG, bmp, chunk, tiff_file, tiff_page
from picture_kinds import saved

LIMIT = 178956970  # pixels: what PIL and onnxprobe read at most


def zeros(n):
    """n zero bytes, deflated."""
    z, out = zlib.compressobj(1), []
    for at in range(0, n, 1 << 20):
        out.append(z.compress(bytes(min(1 << 20, n - at))))
    return b"".join(out) + z.flush()


def png(w, h, bits, color, interlace=False, before=()):
    c = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[color]
    passes = ADAM7 if interlace else [(0, 0, 1, 1)]
    sizes = [(-(-(w - x) // dx), -(-(h - y) // dy)) for x, y, dx, dy in passes]
    head = w.to_bytes(4, "big") + h.to_bytes(4, "big") + bytes([bits, color, 0, 0, interlace])
    before = [chunk(b"PLTE", bytes(768)), *before] if color == 3 else before
    data = zeros(sum((1 + -(-pw * c * bits // 8)) * ph for pw, ph in sizes))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + b"".join(before) + chunk(b"IDAT", data) + chunk(b"IEND")


def tiff(w, h, bits, c, photometric, compression, data, **how):
    tags, _ = tiff_page(
        np.zeros((1, 1, c), int),
        photometric,
        bits=bits,
        tags=[(256, LONG, [w]), (257, LONG, [h]), (259, LONG, [compression]), (278, LONG, [h]), (279, LONG, [len(data)])],
        **how,
    )
    return tiff_file("<", [(tags, [data])])


def rows(w, bits):
    return (w * bits + 31) // 32 * 4


def large(share):
    """(name, extension, bytes, size of the file, whose rest is zeros) of pictures with so much of the pixels that may be read."""
    w = h = math.isqrt(int(LIMIT * share))
    for bits, color, name in [
        (1, 0, "gray 1"),
        (8, 0, "gray 8"),
        (16, 0, "gray 16"),
        (8, 3, "palette 8"),
        (8, 2, "RGB 8"),
        (16, 2, "RGB 16"),
        (8, 4, "gray and alpha 8"),
    ]:
        yield f"PNG {name}", "png", png(w, h, bits, color), 0
    for bits in [8, 16]:
        yield f"PNG RGBA {bits}", "png", png(w, h, bits, 6), 0
        yield f"PNG RGBA {bits} Adam7", "png", png(w, h, bits, 6, True), 0
    yield "PNG gray 16 tRNS", "png", png(w, h, 16, 0, before=[chunk(b"tRNS", b"\0\0")]), 0
    yield "PNG RGB 8, one column", "png", png(1, w * h, 8, 2), 0
    yield "PNG RGB 8, one row", "png", png(w * h, 1, 8, 2), 0
    yield "PNG RGB 8, 64 wide", "png", png(64, w * h // 64, 8, 2), 0
    for mode, subsampling in [("L", 0), ("RGB", 0), ("RGB", 2), ("CMYK", 0)]:
        for progressive in [False, True]:
            name = f"JPEG {mode}{' 4:2:0' * (subsampling == 2)}{' progressive' * progressive}"
            yield name, "jpg", saved(Image.new(mode, (w, h)), "JPEG", subsampling=subsampling, progressive=progressive), 0
    yield "GIF", "gif", saved(Image.new("P", (w, h)), "GIF"), 0
    for lossless in [True, False]:
        yield (
            f"WebP {'lossless' if lossless else 'lossy'}",
            "webp",
            saved(Image.new("RGB", (w, h)), "WEBP", lossless=lossless, method=0, quality=0),
            0,
        )
    yield "WebP lossy with alpha", "webp", saved(Image.new("RGBA", (w, h), (9, 9, 9, 9)), "WEBP", method=0, quality=0), 0
    blank = np.broadcast_to(np.zeros(1, int), (h, w))
    for bits in [1, 8, 16, 24, 32]:
        b = bmp(blank, bits, palette=np.zeros((1 << bits, 3)) if bits < 16 else None, data=b"")
        yield f"BMP {bits}", "bmp", b, len(b) + rows(w, bits) * h
    run = (b"\xff\0" * (w // 255) + bytes([w % 255, 0]) + b"\0\0") * h
    yield "BMP RLE8", "bmp", bmp(blank, 8, palette=np.zeros((256, 3)), compression=1, data=run + b"\0\1"), 0
    for bits, c, photometric, name in [
        (8, 1, 1, "gray 8"),
        (16, 1, 1, "gray 16"),
        (8, 3, 2, "RGB 8"),
        (16, 3, 2, "RGB 16"),
        (8, 4, 5, "CMYK 8"),
        (16, 4, 2, "RGBA 16"),
    ]:
        how = dict(extra=(2,)) if photometric == 2 and c == 4 else {}
        yield f"TIFF {name} deflate", "tif", tiff(w, h, bits, c, photometric, 8, zeros(w * h * c * bits // 8), **how), 0
    yield "TIFF RGB 8 PackBits", "tif", tiff(w, h, 8, 3, 2, 32773, b"\x81\0" * (w * h * 3 // 128 + 1)), 0
    yield "TIFF G4", "tif", tiff(w, h, 1, 1, 0, 4, b"\xff" * (h // 8 + 1)), 0
    for kind, top, n in [("P4", 0, -(-w // 8) * h), ("P5", 255, w * h), ("P5", 65535, 2 * w * h), ("P6", 255, 3 * w * h), ("P6", 65535, 6 * w * h)]:
        b = f"{kind} {w} {h}{f' {top}' * (top > 0)}\n".encode()
        yield f"PNM {kind} {top}", "ppm", b, len(b) + n
    yield "PNM P1", "pbm", f"P1 {w} {h}\n".encode() + b"0" * (w * h), 0
    if share < 0.2:
        yield "PNM P3", "ppm", f"P3 {w} {h} 255\n".encode() + b"0 " * (3 * w * h), 0


def bombs():
    """The same of small pictures with much beside them."""
    huge = zeros(1 << 30)
    for name, data in {
        "iCCP": b"name\0\0" + huge,
        "zTXt": b"Comment\0\0" + huge,
        "iTXt": b"Title\0\1\0en\0\0" + huge,
        "XMP": b"XML:com.adobe.xmp\0\1\0\0\0" + huge,
    }.items():
        yield f"PNG with 1 GB in {name}", "png", png(40, 30, 8, 2, before=[chunk(b"iTXt" if name == "XMP" else name.encode(), data)]), 0
    yield "PNG with 1 GB in a raw profile", "png", png(40, 30, 8, 2, before=[chunk(b"zTXt", b"Raw profile type exif\0\0" + huge)]), 0
    whole = png(40, 30, 8, 2)
    yield "PNG with pixels of 1 GB too many", "png", whole[:33] + chunk(b"IDAT", huge) + chunk(b"IEND"), 0
    b = jpeg.encode(jpeg.picture(500, 400, 3, 2), progressive=True)
    last = [at for m, at, _ in jpeg_scans(b)][-1]
    yield "JPEG of 1,000 scans", "jpg", b[:-2] + b[last:-2] * 1000 + b"\xff\xd9", 0
    yield "TIFF of 40 x 30 with 1 GB in its strip", "tif", tiff(40, 30, 8, 3, 2, 8, huge), 0
    n = io.BytesIO()
    np.savez_compressed(n, np.broadcast_to(np.zeros(1, np.uint8), (4, 3, 10000, 10000)))
    yield "npz of 1.2 GB", "npz", n.getvalue(), 0


def jpeg_scans(b):
    """The scans of a JPEG as (marker, at, end of the header)."""
    at = 0
    while (at := b.find(b"\xff\xda", at + 1)) > 0:
        yield 0xDA, at, at + 2 + int.from_bytes(b[at + 2 : at + 4], "big")
