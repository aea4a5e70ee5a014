"""Makes testdata/golden/jpeg: small JPEGs of every kind, damaged ones too, and the SHA-256
of the pixels that Pillow, which is libjpeg-turbo, gives for them.

    pip install -r testdata/export/requirements.txt
    python testdata/export/jpeg.py --out testdata/golden/jpeg

Pillow writes three kinds of subsampling. Others are made of its files by giving the
frame other factors with as many blocks in a unit: the same blocks, elsewhere.

Damaged pictures come with a part of the warning that is due. Mutated ones are damaged at
random: whoever reads one reads these pixels. For very many of them:

    python testdata/export/jpeg.py --out jpegs --mutated 20000 --most 9999 --seed 1
    JPEG_GOLDENS=$PWD/jpegs/ go test ./engine/internal/jpeg -run IsPillow -v
"""

import argparse
import hashlib
import io
import itertools
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


def encode(m, kind="JPEG", **o):
    b = io.BytesIO()
    m.save(b, kind, **o)
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
    yield "two pictures", encode(rgb, "MPO", save_all=True, append_images=[picture(75, 61, 3, 27)])
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


def pieces(b):
    """What lies between the markers of a file: (marker, its bytes with its codes)."""
    starts, at = [], 0
    while at < len(b):
        starts.append(at)
        m = b[at + 1]
        at += 2 if 0xD0 <= m <= 0xD9 else 2 + int.from_bytes(b[at + 2 : at + 4], "big")
        while at < len(b) and not (b[at] == 0xFF and b[at + 1] != 0):
            at += 1
    return [(b[s + 1], b[s:e]) for s, e in zip(starts, starts[1:] + [len(b)])]


def join(parts):
    return b"".join(p for _, p in parts)


def lacking(b, n, markers=(0xDA,)):
    """b without what follows its first n scans, or restart markers."""
    at = [i for i, (m, _) in enumerate(pieces(b)) if m in markers]
    return join(pieces(b)[: at[n]]) + b"\xff\xd9"


def changed(b, at, *v):
    return b[:at] + bytes(v) + b[at + len(v) :]


def quantised(b, v):
    """b with v for all but the first value of its tables."""
    for m, at, end in segments(b):
        if m == 0xDB:
            for i in range(at + 4, end, 65):
                b = changed(b, i + 2, *[v] * 63)
    return b


LEFTOVER = ["K small 49x33", "411 of four 49x33", "Cr large 49x33"]  # whose codes have more blocks than they show
RESTARTS = range(0xD0, 0xD8)
EARLY, CODES, TURN, STRAY = "ends early", "codes that are none", "out of turn", "belong to nothing"
ORDER, SCANS, GREY, SEQUENTIAL, MARKERS, END = "do not follow", "scans are missing", "without a scan", "in a sequential file", "unknown version", "no end-of-image"


def damaged():
    """Pictures with a fault as (name, file, part of the warning); some are none to libjpeg."""
    rgb, grey, cmyk = picture(41, 35, 3, 30), picture(41, 35, 1, 31), picture(27, 19, 4, 32)
    for name, b in (
        [(f"{n} {s}", encode(m, progressive=True, subsampling=s, quality=q)) for n, m, q in [("colours", rgb, 85), ("flat", picture(40, 56, 3, 33), 40)] for s in range(3)]
        + [("grey", encode(grey, progressive=True)), ("CMYK", encode(cmyk, progressive=True))]
        + [("440", relabelled(encode(picture(64, 48, 3, 25), subsampling=1, progressive=True), 31, 81, [0x12, 0x11, 0x11]))]
        + [("1x4", relabelled(encode(picture(64, 48, 3, 24), subsampling=2, progressive=True), 31, 95, [0x14, 0x11, 0x11]))]
        + [("tiny", encode(picture(9, 17, 3, 34), progressive=True, subsampling=2))]
    ):
        scans = sum(m == 0xDA for m, _ in pieces(b))
        for n in range(1, scans):
            yield f"{name}, {n} scans", lacking(b, n), SCANS
        for n in [1, scans // 2, scans - 1]:
            parts = pieces(b)
            i = [i for i, (m, _) in enumerate(parts) if m == 0xDA][n]
            codes = parts[i][1]
            for share in [1, 3]:
                yield f"{name}, scan {n} cut to {share}/4", join(parts[:i]) + codes[: 10 + (len(codes) - 10) * share // 4] + b"\xff\xd9", None
            yield f"{name}, scan {n} to 9", join(parts[:i]) + changed(codes, 8, 9) + join(parts[i + 1 :]), None
            for v in [0x00, 0x55, 0xB3]:
                worse = codes[:12] + bytes([v]) * (len(codes) - 12)
                yield f"{name}, scan {n} of {v:#x}", join(parts[:i]) + worse + join(parts[i + 1 :]), None
    b = encode(rgb, progressive=True, subsampling=2)
    parts = pieces(b)
    scans = [i for i, (m, _) in enumerate(parts) if m == 0xDA]
    for n, i in enumerate(scans[1:], 1):
        yield f"without scan {n}", join(parts[:i] + parts[i + 1 :]), ORDER if n < 6 else SCANS
    for name, m, o in [("420", rgb, {"subsampling": 2}), ("444", rgb, {"subsampling": 0}), ("grey", grey, {}), ("CMYK", cmyk, {})]:
        b = encode(m, **o)
        scan = find(b, 0xDA)[1]
        for share in [3, 10, 30, 62]:
            yield f"{name} cut at {share}/64", b[: scan + (len(b) - scan) * share // 64] + b"\xff\xd9", EARLY
        yield f"{name}, bytes before a marker", b[: find(b, 0xC0)[0]] + b"\x12\xff\x00\x34" + b[find(b, 0xC0)[0] :], STRAY
        yield f"{name}, bytes at the end", b[:-2] + bytes(40) + b[-2:], STRAY
        yield f"{name}, a comment in place of the end", b[:-1] + b"\xfe\x00\x09not all", END
        yield f"{name}, a marker in the codes", changed(b, scan + 200, 0xFF, 0xD3), EARLY
        yield f"{name}, zeroes", changed(b, scan + 150, *[0] * 60), None
        yield f"{name}, ones", changed(b, scan + 150, *[0xFE] * 60), None
        yield f"{name}, large coefficients", quantised(b, 255), ""
        yield f"{name}, no coefficients", quantised(b, 0), ""
        yield f"{name}, large coefficients and zeroes", quantised(changed(b, scan + 150, *[0] * 60), 255), None
    for progressive in [False, True]:
        b = encode(rgb, restart_marker_blocks=2, subsampling=2, progressive=progressive)
        parts, name = pieces(b), "progressive" * progressive or "sequential"
        at = [i for i, (m, _) in enumerate(parts) if m in RESTARTS]
        for n in [0, 1]:
            i = at[n]
            yield f"{name}, restart {n} lost", join(parts[:i]) + parts[i][1][2:] + join(parts[i + 1 :]), TURN
            yield f"{name}, restart {n} and codes lost", join(parts[:i] + parts[i + 1 :]), TURN
            yield f"{name}, restart {n} twice", join(parts[: i + 1] + parts[i:]), TURN
            for off in range(1, 8):
                m = 0xD0 + (parts[i][0] + off) % 8
                yield f"{name}, restart {n} {off} on", join(parts[:i] + [(m, bytes([0xFF, m]) + parts[i][1][2:])] + parts[i + 1 :]), TURN
            for m, due in [(0x11, TURN), (0xC8, None), (0xFE, END if not progressive else None)]:
                yield f"{name}, marker {m:#x} for restart {n}", join(parts[:i] + [(m, bytes([0xFF, m]) + parts[i][1][2:])] + parts[i + 1 :]), due
            yield f"{name}, bytes before restart {n}", join(parts[:i]) + bytes(30) + join(parts[i:]), STRAY
            yield f"{name}, codes before restart {n} cut", join(parts[:i])[:-3] + join(parts[i:]), None
    for name, factors in {"444": [0x11] * 3, "420": [0x22, 0x11, 0x11]}.items():
        b = scans_apart(37, 29, factors, 80)
        for n in [1, 2]:
            yield f"{name}, {n} of 3 scans", lacking(b, n), GREY
    b = encode(rgb)
    scan = find(b, 0xDA)[0]
    yield "a scan without a band", changed(b, scan + 11, 0, 0, 0), SEQUENTIAL
    yield "JFIF 2", changed(b, find(b, 0xE0)[0] + 9, 2), MARKERS
    yield "Adobe 7", adobe(encode(rgb, keep_rgb=True), 7), MARKERS
    for progressive in [False, True]:
        yield f"unknown transform{' progressive' * progressive}", adobe(encode(cmyk, progressive=progressive), 1), MARKERS
    yield "one name", named(b, b"\x01\x01\x01"), ""
    yield "standard tables", join(p for p in pieces(encode(rgb)) if p[0] != 0xC4), ""
    yield "an unused wrong table", b[:scan] + b"\xff\xc4\x00\x16\x13\x03" + bytes(15) + b"\x01\x02\x03" + b[scan:], ""
    flat = encode(Image.new("L", (64, 16), 90), qtables=[[1] + [1] * 63])
    for v in [255, 200, 37]:
        yield f"flat blocks that overflow by {v}", changed(flat, find(flat, 0xDB)[0] + 5, v), ""
    wave = encode(Image.fromarray(np.tile(np.uint8(127 + 120 * np.cos(np.arange(64))), (16, 1))), qtables=[[1] * 64])
    for v in [255, 90]:
        at = find(wave, 0xDB)[0]
        yield f"rows that overflow by {v}", changed(wave, at + 5, *[v] * 64), ""


def mutated(n, seed, most):
    """Pictures of up to so many bytes with random faults."""
    r = np.random.default_rng(seed)
    sound = [b for _, b in pictures() if len(b) < most]
    for i in range(n):
        parts = pieces(sound[r.integers(len(sound))])
        j, k = r.integers(1, len(parts), 2)
        match r.integers(10):
            case 0:
                parts[j], parts[k] = parts[k], parts[j]
            case 1:
                del parts[j]
            case 2:
                parts.insert(j, parts[k])
            case 3:
                parts = parts[: j + 1] + [(0xD9, b"\xff\xd9")]
            case 4 if parts[j][0] in RESTARTS:
                m = int(r.integers(256))
                parts[j] = (m, bytes([0xFF, m]) + parts[j][1][2:])
        b = bytearray(join(parts))
        scan = max(bytes(b).find(b"\xff\xda"), 2)
        for _ in range(r.integers(0, 4)):
            if len(b) < 20:
                break
            at = int(r.integers(min(scan, len(b) - 1) if r.random() < 0.8 else 2, len(b)))
            match r.integers(8):
                case 0 | 1 | 2:
                    b[at] ^= 1 << int(r.integers(8))
                case 3:
                    del b[at : at + int(r.integers(1, 9))]
                case 4:
                    b[at:at] = r.bytes(int(r.integers(1, 9)))
                case 5:
                    b[at] = 0xFF
                case 6:
                    b[at : at + 20] = bytes(len(b[at : at + 20]))
                case 7:
                    b = b[: max(at, scan + 20)] + b"\xff\xd9"
        yield f"mutated {i}", bytes(b)


def pixels(b):
    try:
        m = Image.open(io.BytesIO(b))
        m = m if m.mode == "L" else m.convert("RGB")
        m.load()
    except (OSError, SyntaxError, Image.DecompressionBombError):
        return {"refused": True}
    return {"width": m.width, "height": m.height, "channels": len(m.getbands()), "sha256": hashlib.sha256(m.tobytes()).hexdigest()}


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--out", type=pathlib.Path, required=True)
    p.add_argument("--mutated", type=int, default=200)
    p.add_argument("--seed", type=int, default=40)
    p.add_argument("--most", type=int, default=700, help="bytes of a picture to mutate")
    o = p.parse_args()
    out = o.out
    out.mkdir(parents=True, exist_ok=True)
    index = []
    with zipfile.ZipFile(out / "pictures.zip", "w", zipfile.ZIP_DEFLATED) as z:
        sound, random = ((n, b, STRAY if n in LEFTOVER else "") for n, b in pictures()), ((n, b, None) for n, b in mutated(o.mutated, o.seed, o.most))
        for name, b, warning in itertools.chain(sound, damaged(), random):
            z.writestr(zipfile.ZipInfo(name + ".jpg"), b)
            due = {"mutated": True} if warning is None else {"warning": warning} if warning else {}
            index.append({"name": name} | due | pixels(b))
    head = {"pillow": Image.__version__, "libjpeg_turbo": features.version("libjpeg_turbo")}
    rows = ",\n".join(json.dumps(e) for e in index)
    (out / "index.json").write_text(json.dumps(head)[:-1] + ', "pictures": [\n' + rows + "\n]}\n")


if __name__ == "__main__":
    main()
