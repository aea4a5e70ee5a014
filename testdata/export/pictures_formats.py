"""Small PNG, WebP, GIF, BMP and PNM files with the pixels that Pillow gives, for the tests of engine/dataset/picture.

    python testdata/export/pictures_formats.py

writes testdata/golden/pillow/formats.npz. Of each case NAME it has file/NAME (the bytes of the file), rgb/NAME (convert("RGB"), missing
where Pillow refuses the file) and up/NAME (the same after exif_transpose, where that turns it; empty where Pillow fails over it).
The files are written byte by byte where no library writes such, from one seed.
"""

import io
import pathlib
import random
import struct
import warnings
import zlib

import numpy as np
from PIL import Image, ImageOps

warnings.simplefilter("ignore")
RNG = random.Random(17)
CASES = {}


def noise(w, h, mode="RGB"):
    bands = len(Image.new(mode, (1, 1)).getbands())
    return Image.frombytes(mode, (w, h), RNG.randbytes(w * h * bands))


def saved(im, format, **options):
    f = io.BytesIO()
    im.save(f, format, **options)
    return f.getvalue()


# PNG

PASSES = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)]
BANDS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
W, H = 13, 9


def chunk(name, data, crc=None):
    crc = zlib.crc32(name + data) if crc is None else crc
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", crc)


def rows(kind, depth, interlaced):
    bits, data = BANDS[kind] * depth, b""
    for x0, y0, dx, dy in PASSES if interlaced else [(0, 0, 1, 1)]:
        w, h = len(range(x0, W, dx)), len(range(y0, H, dy))
        for _ in range(h if w else 0):
            data += bytes([RNG.randrange(5)]) + RNG.randbytes((w * bits + 7) // 8)
    return data


def png():
    end = chunk(b"IEND", b"")
    for kind, depths in {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}.items():
        for depth in depths:
            for interlaced in (0, 1):
                name = f"png/{kind}_{depth}_{interlaced}"
                raw = rows(kind, depth, interlaced)
                z = zlib.compress(raw)
                head = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", W, H, depth, kind, 0, 0, interlaced))
                palette = chunk(b"PLTE", RNG.randbytes(3 << depth)) if kind == 3 else b""
                idat = chunk(b"IDAT", z)
                CASES[name] = head + palette + idat + end
                t = {0: 2, 2: 6, 3: 2}.get(kind)
                if t:
                    CASES[name + "_trns"] = head + palette + chunk(b"tRNS", RNG.randbytes(t)) + idat + end
    control = lambda n, w, h, x=0: chunk(b"fcTL", struct.pack(">IIIIIHHBB", n, w, h, x, 0, 1, 10, 0, 0))
    animation = chunk(b"acTL", struct.pack(">II", 2, 0))
    text = lambda size: chunk(b"zTXt", b"key\0\0" + zlib.compress(bytes(size)))
    CASES.update(
        {  # of the last: 16 bits and alpha, interlaced
            "png/no_end": head + idat,
            "png/no_checksum": head + idat[:-8],
            "png/wrong_checksum": head + chunk(b"IDAT", z, crc=1) + end,
            "png/wrong_adler": head + chunk(b"IDAT", z[:-4] + b"abcd") + end,
            "png/too_much": head + chunk(b"IDAT", zlib.compress(raw + bytes(99))) + end,
            "png/cut": head + idat[: len(idat) // 2],
            "png/split": head + b"".join(chunk(b"IDAT", z[i : i + 9]) for i in range(0, len(z), 9)) + end + b"junk",
            "png/wrong_text": head + chunk(b"tEXt", b"a\0b", crc=1) + idat + end,
            "png/gamma": head + chunk(b"gAMA", struct.pack(">I", 100000)) + chunk(b"sBIT", b"\5\5\5\5") + idat + end,
            "png/texts": head + text(9999) + chunk(b"iCCP", b"a\0\0" + zlib.compress(bytes(99))) + idat + text(9999) + end,
            "png/text_bomb": head + text(2 << 20) + idat + end,
            "png/late_bomb": head + idat + text(2 << 20) + end,
            "png/profile_bomb": head + chunk(b"iCCP", b"a\0\0" + zlib.compress(bytes(2 << 20))) + idat + end,
            "png/animated": head + animation + control(0, W, H) + idat + control(1, W, H) + chunk(b"fdAT", bytes([0, 0, 0, 2]) + z) + end,
            "png/animated_default": head + animation + idat + control(0, W, H) + chunk(b"fdAT", bytes([0, 0, 0, 1]) + z) + end,
            "png/animated_part": head + animation + control(0, W - 1, H, 1) + idat + end,
        }
    )
    head = head[:8] + chunk(b"IHDR", struct.pack(">IIBBBBB", W, H, 4, 3, 0, 0, 0))
    idat = chunk(b"IDAT", zlib.compress(rows(3, 4, 0)))
    for name, palette in {"none": None, "short": RNG.randbytes(9), "odd": RNG.randbytes(47), "long": RNG.randbytes(96)}.items():
        CASES[f"png/palette_{name}"] = head + (b"" if palette is None else chunk(b"PLTE", palette)) + idat + end


# WebP


def webp():
    for mode in ("RGB", "RGBA"):
        for lossless in (True, False):
            name = f"webp/{mode}_{'lossless' if lossless else 'lossy'}"
            CASES[name] = saved(noise(17, 11, mode), "WEBP", lossless=lossless, quality=60)
            CASES[name + "_profile"] = saved(noise(17, 11, mode), "WEBP", lossless=lossless, icc_profile=bytes(99))
            more = [noise(17, 11, mode) for _ in range(2)]
            CASES[name + "_animated"] = saved(more[0], "WEBP", save_all=True, append_images=more[1:], lossless=lossless)
            still = saved(noise(5, 3), "WEBP", lossless=lossless)[12:]  # a frame at 4, 2 on a canvas of 12 x 8, red behind
            u24 = lambda v: struct.pack("<I", v)[:3]
            riff = lambda n, d: n + struct.pack("<I", len(d)) + d + bytes(len(d) % 2)
            frame = riff(b"ANMF", u24(2) + u24(1) + u24(4) + u24(2) + u24(100) + b"\0" + still)
            body = riff(b"VP8X", b"\2\0\0\0" + u24(11) + u24(7)) + riff(b"ANIM", b"\0\0\xff\xff\0\0") + frame
            CASES[name + "_part"] = riff(b"RIFF", b"WEBP" + body)
    CASES["webp/cut"] = CASES["webp/RGB_lossy"][:-30]


# GIF


def lzw(pixels):  # codes of 9 bits, cleared before they grow
    codes = []
    for i, v in enumerate(pixels):
        codes += ([256] if i % 200 == 0 else []) + [v]
    bits = sum(c << 9 * i for i, c in enumerate(codes + [257]))
    data = bits.to_bytes((9 * len(codes) + 9 + 7) // 8, "little")
    return b"\x08" + b"".join(bytes([len(data[i : i + 255])]) + data[i : i + 255] for i in range(0, len(data), 255)) + b"\0"


def gif_file(canvas, frame, palette=b"", own=b"", transparent=None, interlaced=False, colors=256, end=b";"):
    size = lambda p: 0x80 | (len(p) // 3).bit_length() - 2 if p else 0
    x, y, w, h = frame
    control = b"" if transparent is None else b"!\xf9\x04" + bytes([9, 1, 0, transparent, 0])
    head = b"GIF89a" + struct.pack("<HHBBB", *canvas, size(palette), 1, 0) + palette + b"!\xfe\x02hi\0" + control
    descriptor = b"," + struct.pack("<HHHHB", x, y, w, h, size(own) | 0x40 * interlaced) + own
    return head + descriptor + lzw(RNG.randrange(colors) for _ in range(w * h)) + end


def gif():
    whole, part = (0, 0, 12, 9), (3, 2, 5, 6)
    color, few = RNG.randbytes(768), RNG.randbytes(12)
    gray, steps = bytes(i // 3 for i in range(48)), bytes(17 * (i // 3) for i in range(48))
    for name, options in {
        "color": dict(palette=color),
        "few": dict(palette=few),
        "gray": dict(palette=gray),
        "steps": dict(palette=steps),
        "none": {},
        "own": dict(palette=few, own=color),
        "own_gray": dict(palette=color, own=gray),
        "own_alone": dict(own=few),
        "transparent": dict(palette=color, transparent=7),
        "past": dict(palette=few, transparent=99),
        "gray_transparent": dict(palette=gray, transparent=5),
        "gray_past": dict(palette=gray, transparent=200),
        "interlaced": dict(palette=color, interlaced=True),
        "no_end": dict(palette=color, end=b""),
    }.items():
        CASES[f"gif/{name}"] = gif_file((12, 9), whole, **options)
        CASES[f"gif/{name}_part"] = gif_file((12, 9), part, **options)
    CASES["gif/outside"] = gif_file((6, 4), part, palette=color)
    CASES["gif/cut"] = CASES["gif/color"][:-60]
    more = [noise(9, 9).quantize(9) for _ in range(3)]
    CASES["gif/animated"] = saved(more[0], "GIF", save_all=True, append_images=more[1:], disposal=2)


# BMP


def bmp_file(bits, compression=0, header=40, down=False, masks=(), palette=None, colors=0, data=None, gap=0, w=7, h=5):
    if palette is None:
        palette = RNG.randbytes((3 if header == 12 else 4) << bits) if bits <= 8 else b""
    if header == 12:
        head = struct.pack("<IHHHH", 12, w, h, 1, bits)
    else:
        head = struct.pack("<IiiHHIIiiII", header, w, -h if down else h, 1, bits, compression, 0, 2835, 2835, colors, 0)
        fields = struct.pack(f"<{len(masks)}I", *masks)
        head += fields[:12] if header == 40 else fields[: header - 40].ljust(header - 40, b"\0")
    data = RNG.randbytes((w * bits + 31) // 32 * 4 * h) if data is None else data
    at = 14 + len(head) + len(palette) + gap
    return b"BM" + struct.pack("<IHHI", at + len(data), 0, 0, at) + head + palette + bytes(gap) + data


def bmp():
    for bits in (1, 2, 4, 8, 16, 24, 32):
        for header in (12, 40, 52, 56, 64, 108, 124):
            CASES[f"bmp/{bits}_{header}"] = bmp_file(bits, header=header, down=header == 52)
    layouts = {
        32: [
            (0xFF0000, 0xFF00, 0xFF, 0),
            (0xFF000000, 0xFF0000, 0xFF00, 0),
            (0xFF000000, 0xFF00, 0xFF, 0),
            (0xFF000000, 0xFF0000, 0xFF00, 0xFF),
            (0xFF, 0xFF00, 0xFF0000, 0xFF000000),
            (0xFF0000, 0xFF00, 0xFF, 0xFF000000),
            (0xFF000000, 0xFF00, 0xFF, 0xFF0000),
            (0, 0, 0, 0),
            (0x3FF, 0xFFC00, 0x3FF00000, 0),
        ],
        24: [(0xFF0000, 0xFF00, 0xFF, 0), (0xFF, 0xFF00, 0xFF0000, 0)],
        16: [(0xF800, 0x7E0, 0x1F, 0), (0x7C00, 0x3E0, 0x1F, 0), (0xF00, 0xF0, 0xF, 0)],
    }
    for bits, all in layouts.items():
        for i, masks in enumerate(all):
            for header in (40, 52, 124):
                CASES[f"bmp/fields_{bits}_{i}_{header}"] = bmp_file(bits, 3, header, masks=masks)
    ramp = lambda n, step=1: b"".join(bytes([i * step] * 3 + [0]) for i in range(n))
    CASES["bmp/gray_8"] = bmp_file(8, palette=ramp(256))
    CASES["bmp/gray_1"] = bmp_file(1, palette=ramp(2, 255))
    CASES["bmp/gray_4"] = bmp_file(4, palette=ramp(16))
    CASES["bmp/steps_4"] = bmp_file(4, palette=ramp(16, 17))
    CASES["bmp/white_black"] = bmp_file(1, palette=ramp(2, 255)[::-1][1:] + b"\0")
    CASES["bmp/few_8"] = bmp_file(8, palette=RNG.randbytes(12), colors=3)
    CASES["bmp/black_white_8"] = bmp_file(8, palette=ramp(2, 255), colors=2)
    CASES["bmp/gap"] = bmp_file(24, gap=5)
    CASES["bmp/cut"] = bmp_file(24)[:-9]
    rle8 = b"\3\7\4\x09\0\0\0\5abcde\0\2\xc8\0\0\0\2\2\1\5\1\0\0\7\2\0\0\x09\3\0\1"
    rle4 = b"\3\x12\4\x34\0\0\0\5\x12\x34\x50\0\2\x56\0\0\0\2\2\1\5\x7b\0\0\7\x2f\0\0\x09\x3d\0\1"
    for name, data in {"whole": 0, "odd": 1, "no_end": -2, "cut": -9}.items():
        for bits, compression, stream in ((8, 1, rle8), (4, 2, rle4)):
            stream = stream[: data or None] if data < 0 else stream
            CASES[f"bmp/rle{bits}_{name}"] = bmp_file(bits, compression, data=stream, gap=max(data, 0))
    CASES["bmp/rle8_gray"] = bmp_file(8, 1, data=rle8, palette=ramp(256))
    CASES["bmp/rle8_24"] = bmp_file(24, 1, data=rle8)
    for compression in (4, 5, 11):
        CASES[f"bmp/compression_{compression}"] = bmp_file(8, compression)


# PBM, PGM, PPM


def pnm():
    w, h = 5, 4
    for most in (1, 15, 254, 255, 256, 1000, 65534, 65535, 0, 65536):
        for kind, bands in ((2, 1), (3, 3), (5, 1), (6, 3)):
            values = [RNG.randrange(min(most, 700) + 1) if i % 3 else RNG.randrange(most + 1) for i in range(w * h * bands)]
            head = b"P%d\n# made\n%d %d\t%d\n" % (kind, w, h, most)
            if kind < 4:
                data = b" ".join(b"%d" % v for v in values)
            else:
                data = b"".join(struct.pack(">H" if most > 255 else ">B", v % (65536 if most > 255 else 256)) for v in values)
            CASES[f"pnm/{kind}_{most}"] = head + data
    CASES["pnm/1"] = b"P1 5 4\n" + bytes(RNG.choice(b"01") for _ in range(20))
    CASES["pnm/1_spaces"] = b"P1\n5 4\n# c\n" + b" ".join(bytes([RNG.choice(b"01")]) for _ in range(20)) + b"\n"
    CASES["pnm/4"] = b"P4 13 4\n" + RNG.randbytes(8)
    CASES["pnm/4_cut"] = b"P4 13 4\n" + RNG.randbytes(7)
    for i, b in enumerate(
        (
            b"P6 3 1 255\n" + b"1" * 9,
            b"P6\n3 1 255#c\n" + b"1" * 9,
            b"P6\n3 1 25#c\n5\n" + b"1" * 9,
            b"P2 2 1 9\n1#c\n2 3",
            b"P2 2 1 9\n1#c 2 3",
            b"P2 1 1 99\n0009",
            b"P2 1 1 99\n00000000009",
            b"P2 1 1 9\n10",
            b"P2 1 1 9\n-1",
            b"P5 -1 1 9\n1",
            b"P5 1 1 00255\n1",
            b"P5 1 1 255",
            b"P5 1 1 \x0b255\x0ca",
            b"P5#c\n1 1 255 a",
            b"P1 2 1 1 #\n 0",
        )
    ):
        CASES[f"pnm/head_{i}"] = b


# Orientation


def exif(value, kind=3, big=False, before=b"", count=1):
    e = ">" if big else "<"
    form = {1: "B", 3: "H", 4: "I", 5: "II", 6: "b", 7: "B", 8: "h", 9: "i", 11: "f", 12: "d", 16: "Q"}[kind]
    data = struct.pack(e + form, *([2 * value, 2] if kind == 5 else [value])) * count
    inline = data.ljust(4, b"\0") if len(data) <= 4 else struct.pack(e + "I", 26)
    return (b"MM\0*" if big else b"II*\0") + struct.pack(e + "IHHHI", 8, 1, 0x112, kind, count) + inline + bytes(4) + data


def orientation():
    head = b"Exif\0\0"
    jpeg, plain, web = saved(noise(16, 8), "JPEG"), saved(noise(7, 4), "PNG"), saved(noise(7, 4), "WEBP", lossless=True)[12:]

    def in_jpeg(*segments, unit=0):
        app1 = b"".join(b"\xff\xe1" + struct.pack(">H", len(s) + 2) + s for s in segments)
        return jpeg[:13] + bytes([unit]) + jpeg[14:20] + app1 + jpeg[20:]

    def in_png(*chunks, late=False):
        at = len(plain) - 12 if late else 33
        return plain[:at] + b"".join(chunk(n, d) for n, d in chunks) + plain[at:]

    def in_webp(*chunks, flags=12):
        body = b"WEBPVP8X\x0a\0\0\0" + bytes([flags, 0, 0, 0, 6, 0, 0, 3, 0, 0]) + web
        body += b"".join(n + struct.pack("<I", len(d)) + d + bytes(len(d) % 2) for n, d in chunks)
        return b"RIFF" + struct.pack("<I", len(body)) + body

    kinds = {f"value_{v}": exif(v) for v in range(10)}
    kinds |= {f"kind_{k}{'_big' if big else ''}": exif(6, k, big) for k in (1, 3, 4, 5, 6, 7, 8, 9, 11, 12, 16) for big in (False, True)}
    kinds |= {
        "twice": exif(6, count=2),
        "thrice": exif(6, count=3),
        "head": head + exif(6),
        "zeros": b"\0\0" + exif(6),
        "ff": b"\0\xff" + exif(6),
        "cut": exif(6)[:20],
        "empty": b"",
        "junk": b"not a TIFF",
    }
    xmp = {f"attribute_{v}": b'<x tiff:Orientation="%d"/>' % v for v in (1, 3, 6, 9)}
    xmp |= {"element": b"<tiff:Orientation>6</tiff:Orientation>", "quotes": b"<x tiff:Orientation='6'/>", "latin": b'\xff tiff:Orientation="6"'}
    raw = lambda d: b"\nexif\n%8d\n" % len(d) + d.hex().encode() + b"\n"
    adobe, key, profile = b"http://ns.adobe.com/xap/1.0/\0", b"XML:com.adobe.xmp\0", b"Raw profile type exif\0"
    for name, d in kinds.items():
        CASES[f"up/jpeg_{name}"] = in_jpeg(head + d)
        CASES[f"up/png_{name}"] = in_png((b"eXIf", d))
        CASES[f"up/webp_{name}"] = in_webp((b"EXIF", d))
    for name in ("value_6", "head", "zeros", "junk"):
        d = kinds[name]
        CASES[f"up/jpeg_dots_{name}"] = in_jpeg(head + d, unit=1)
        CASES[f"up/png_late_{name}"] = in_png((b"eXIf", d), late=True)
        CASES[f"up/png_raw_{name}"] = in_png((b"zTXt", profile + b"\0" + zlib.compress(raw(head + d))))
        CASES[f"up/webp_flag_{name}"] = in_webp((b"EXIF", d), flags=4)
    for name, d in xmp.items():
        CASES[f"up/jpeg_xmp_{name}"] = in_jpeg(adobe + d)
        CASES[f"up/png_xmp_{name}"] = in_png((b"iTXt", key + b"\0\0\0\0" + d))
        CASES[f"up/webp_xmp_{name}"] = in_webp((b"XMP ", d))
    six = xmp["attribute_6"]
    CASES["up/jpeg_both"] = in_jpeg(adobe + six, head + exif(3))
    CASES["up/jpeg_both_byte"] = in_jpeg(adobe + six, head + exif(3, 1))
    CASES["up/jpeg_xmp_junk"] = in_jpeg(adobe + six, head + b"junk of 10")
    CASES["up/jpeg_two"] = in_jpeg(head + exif(6)[:20], head + exif(6)[20:])
    CASES["up/jpeg_not"] = in_jpeg(b"Exif\0\xff" + exif(6))
    CASES["up/png_xmp_packed"] = in_png((b"iTXt", key + b"\1\0en\0key\0" + zlib.compress(six)), late=True)
    CASES["up/png_both"] = in_png((b"iTXt", key + b"\0\0\0\0" + six), (b"eXIf", exif(3)))


def main():
    for make in (png, webp, gif, bmp, pnm, orientation):
        make()
    arrays = {}
    for name, b in CASES.items():
        arrays["file/" + name] = np.frombuffer(b, np.uint8)
        try:
            im = Image.open(io.BytesIO(b))
            rgb = np.asarray(im.convert("RGB"))
        except Exception:
            continue
        arrays["rgb/" + name] = rgb
        try:
            up = np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(b))).convert("RGB"))
        except Exception:
            up = np.zeros((0, 0, 3), np.uint8)
        if up.shape != rgb.shape or (up != rgb).any():
            arrays["up/" + name] = up
    out = pathlib.Path(__file__).parent.parent / "golden" / "pillow" / "formats.npz"
    np.savez_compressed(out, **arrays)
    print(f"{len(CASES)} files, {sum(k.startswith('rgb/') for k in arrays)} of which Pillow reads; {out.stat().st_size} bytes")


main()
