"""Makes testdata/golden/jpeg: small JPEGs of every kind and the SHA-256 of the pixels
that Pillow, which is libjpeg-turbo, gives for them.

    pip install -r testdata/export/requirements.txt
    python testdata/export/jpeg.py --out testdata/golden/jpeg

Pillow writes three kinds of subsampling. Others are made of its files by giving the
frame other factors with as many blocks in a unit: the same blocks, elsewhere.
"""

import argparse
import hashlib
import io
import json
import pathlib
import zipfile

import numpy as np
from PIL import Image, features

SIZES = [(1, 1), (2, 3), (3, 2), (5, 40), (7, 7), (8, 8), (9, 17), (15, 16), (16, 9), (17, 31), (33, 18), (64, 48), (75, 61)]


def picture(w, h, channels, seed):
    """Areas, edges, grain, and colours that clip."""
    r = np.random.default_rng(seed)
    y, x = np.mgrid[0:h, 0:w]
    a = np.stack([127 + 140 * np.sin(x / r.uniform(2, 30) + y / r.uniform(2, 30) + r.uniform(0, 6)) for _ in range(channels)], 2)
    a[h // 3 :, w // 2 :] = r.integers(0, 256, channels)
    a += r.normal(0, 12, a.shape)
    a = a.clip(0, 255).astype(np.uint8)
    return Image.fromarray(a[:, :, 0] if channels == 1 else a, {1: "L", 3: "RGB", 4: "CMYK"}[channels])


def encode(m, **o):
    b = io.BytesIO()
    m.save(b, "JPEG", **o)
    return b.getvalue()


def segments(b):
    """The markers before a file's first scan as (marker, at, end)."""
    at = 2
    while b[at + 1] != 0xDA:
        n = int.from_bytes(b[at + 2 : at + 4], "big")
        yield b[at + 1], at, at + 2 + n
        at += 2 + n
    yield 0xDA, at, at + 2 + int.from_bytes(b[at + 2 : at + 4], "big")


def find(b, marker):
    return next((at, end) for m, at, end in segments(b) if m == marker)


def frame(b):
    return find(b, 0xC2 if any(m == 0xC2 for m, _, _ in segments(b)) else 0xC0)[0]


def relabelled(b, w, h, factors):
    """b with another size and other sampling factors."""
    b, at = bytearray(b), frame(b)
    b[at + 5 : at + 9] = h.to_bytes(2, "big") + w.to_bytes(2, "big")
    for i, f in enumerate(factors):
        b[at + 11 + 3 * i] = f
    return bytes(b)


def without(b, marker):
    at, end = find(b, marker)
    return b[:at] + b[end:]


def adobe(b, transform):
    b, (at, _) = bytearray(b), find(b, 0xEE)
    b[at + 15] = transform
    return bytes(b)


def named(b, ids):
    """b with other identifiers of its components."""
    b, at, (scan, _) = bytearray(b), frame(b), find(b, 0xDA)
    for i, c in enumerate(ids):
        b[at + 10 + 3 * i] = b[scan + 5 + 2 * i] = c
    return bytes(b)


def filled(b):
    """b with fill bytes before its markers."""
    for _, at, _ in reversed(list(segments(b))):
        b = b[:at] + b"\xff\xff\xff" + b[at:]
    return b[:-2] + b"\xff\xff" + b[-2:]


def scans_apart(w, h, factors, quality, **o):
    """A sequential file with a scan for each component, each made as a grey file."""
    whole = encode(picture(w, h, 3, 5), quality=quality, subsampling=0)
    at, end = find(whole, 0xC0)
    hm, vm = max(f >> 4 for f in factors), max(f & 15 for f in factors)
    out = b""
    for i, f in enumerate(factors):
        grey = encode(picture(-(-w * (f >> 4) // hm), -(-h * (f & 15) // vm), 1, 7 + i), quality=quality, **o)
        scan, after = find(grey, 0xDA)
        if i == 0:
            a, e = find(grey, 0xC0)
            head = bytearray(grey[:a] + whole[at:end] + grey[e:scan])
            for j, g in enumerate(factors):
                head[a + 11 + 3 * j], head[a + 12 + 3 * j] = g, 0
            out = bytes(head)
        tables = b"".join(grey[s:t] for m, s, t in segments(grey) if m in (0xC4, 0xDD))
        out += tables + b"\xff\xda\x00\x08\x01" + bytes([i + 1, 0]) + b"\x00\x3f\x00" + grey[after:-2]
    return out + b"\xff\xd9"


def pictures():
    for i, (w, h) in enumerate(SIZES):
        rgb, q = picture(w, h, 3, i), [30, 75, 90, 100][i % 4]
        for s, name in enumerate(["444", "422", "420"]):
            for progressive in [False, True]:
                yield f"{name} {w}x{h}{' progressive' * progressive}", encode(rgb, quality=q, subsampling=s, progressive=progressive, optimize=i % 2 == 0)
        yield f"grey {w}x{h}", encode(picture(w, h, 1, i), quality=q, progressive=i % 3 == 0)
    rgb, cmyk = picture(75, 61, 3, 20), picture(45, 37, 4, 21)
    for q in [1, 5, 50, 95, 100]:
        for s in range(3):
            yield f"quality {q} subsampling {s}", encode(rgb, quality=q, subsampling=s)
    for restart in [1, 3, 16]:
        for progressive in [False, True]:
            yield f"restart {restart}{' progressive' * progressive}", encode(rgb, restart_marker_blocks=restart, progressive=progressive, subsampling=2)
    yield "restart rows", encode(rgb, restart_marker_rows=1)
    yield "wide tables", encode(rgb, qtables=[[16 + 9 * i for i in range(64)], [3 + 17 * i for i in range(64)]], subsampling=2)
    yield "fill bytes", filled(encode(rgb))
    yield "trailing bytes", encode(rgb) + b"\xff\xda\x00\x02 and more"
    yield "no JFIF", without(encode(rgb), 0xE0)
    yield "RGB by Adobe", encode(rgb, keep_rgb=True)
    yield "RGB by name subsampled", named(without(encode(rgb, subsampling=2), 0xE0), b"RGB")
    yield "RGB by name", named(without(encode(rgb), 0xE0), b"RGB")
    yield "RGB by name with JFIF", named(encode(rgb), b"RGB")
    yield "strange names", named(without(encode(rgb), 0xE0), b"\x00\x09\xff")
    for progressive in [False, True]:
        four = encode(cmyk, quality=85, progressive=progressive)
        yield f"CMYK{' progressive' * progressive}", four
        yield f"YCCK{' progressive' * progressive}", adobe(four, 2)
        yield f"unknown transform{' progressive' * progressive}", adobe(four, 1)
    yield "CMYK without Adobe", without(encode(cmyk), 0xEE)
    sub = encode(cmyk, subsampling=2)
    yield "YCCK subsampled", adobe(sub, 2)
    six, four = encode(picture(64, 48, 3, 22), subsampling=2), encode(picture(64, 48, 3, 23), subsampling=1)
    late = encode(picture(64, 48, 3, 24), subsampling=2, progressive=True)
    for n, (w, h) in enumerate([(128, 24), (127, 23), (97, 17)]):
        yield f"411 {w}x{h}", relabelled(six, w, h, [0x41, 0x11, 0x11])
        yield f"1x4 {w}x{h}", relabelled(six, [32, 25, 31][n], [96, 95, 65][n], [0x14, 0x11, 0x11])
    for n, (w, h) in enumerate([(32, 96), (31, 95), (25, 81)]):
        yield f"440 {w}x{h}", relabelled(four, w, h, [0x12, 0x11, 0x11])
    # The components of four have the same code tables, so that blocks can change places.
    seven, five = (adobe(encode(picture(64, 48, 4, 26), subsampling=s), 2) for s in [2, 1])
    for w, h in [(64, 48), (63, 47), (49, 33)]:
        yield f"Cb large {w}x{h}", relabelled(seven, w, h, [0x11, 0x22, 0x11, 0x11])
        yield f"K small {w}x{h}", relabelled(seven, w, h // 2, [0x21, 0x21, 0x21, 0x11])
        yield f"two ways {w}x{h}", relabelled(seven, w, h, [0x12, 0x21, 0x12, 0x11])
        yield f"411 of four {w}x{h}", relabelled(seven, 2 * w, h // 2, [0x41, 0x11, 0x11, 0x11])
        yield f"Cr large {w}x{h}", relabelled(five, w // 2, 2 * h, [0x11, 0x11, 0x12, 0x11])
    yield "411 progressive", relabelled(late, 128, 24, [0x41, 0x11, 0x11])
    yield "440 progressive", relabelled(encode(picture(64, 48, 3, 25), subsampling=1, progressive=True), 32, 96, [0x12, 0x11, 0x11])
    for name, factors in {"444": [0x11] * 3, "420": [0x22, 0x11, 0x11], "440": [0x12, 0x11, 0x11], "421": [0x42, 0x21, 0x11]}.items():
        for w, h in [(37, 29), (40, 16)]:
            yield f"scans apart {name} {w}x{h}", scans_apart(w, h, factors, 80)
    yield "scans apart, restarts", scans_apart(37, 29, [0x22, 0x11, 0x11], 80, restart_marker_blocks=2)


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--out", type=pathlib.Path, required=True)
    out = p.parse_args().out
    out.mkdir(parents=True, exist_ok=True)
    index = []
    with zipfile.ZipFile(out / "pictures.zip", "w", zipfile.ZIP_DEFLATED) as z:
        for i, (name, b) in enumerate(pictures()):
            m = Image.open(io.BytesIO(b))
            m = m if m.mode == "L" else m.convert("RGB")
            m.load()
            z.writestr(zipfile.ZipInfo(name + ".jpg"), b)
            index.append({"name": name, "width": m.width, "height": m.height, "channels": len(m.getbands()), "sha256": hashlib.sha256(m.tobytes()).hexdigest()})
    head = {"pillow": Image.__version__, "libjpeg_turbo": features.version("libjpeg_turbo")}
    rows = ",\n".join(json.dumps(e) for e in index)
    (out / "index.json").write_text(json.dumps(head)[:-1] + ', "pictures": [\n' + rows + "\n]}\n")


if __name__ == "__main__":
    main()
