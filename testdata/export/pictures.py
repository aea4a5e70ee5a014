"""Makes pictures of every kind, and says what Pillow makes of each.

    pip install -r testdata/export/requirements.txt
    apt-get install libtiff-tools netpbm webp libjpeg-turbo-progs    # kinds of tools that are absent are left out
    python testdata/export/pictures.py DIR [--seed S]                # all, some 2,300
    python testdata/export/pictures.py DIR --mutate 5000             # so many damaged files of each format
    python testdata/export/pictures.py testdata/golden/pictures --small
    python testdata/export/pictures.py DIR --left-out 40             # files of formats that are not read, to go beside
    python testdata/export/pictures.py DIR --large                   # the largest of every kind, and bombs: for their memory

A folder holds FORMAT/NUMBER.EXT and index.jsonl, a line for each file: its format and
features, and of Pillow's picture after convert("RGB") the size and the first 16 bytes of the
SHA-256 of its bytes (w, h, rgb), the same after exif_transpose where that differs (exif),
and of a file that Pillow opens by its name where that differs (named: Pillow then maps some
into memory), the share of pixels that the conversion clips (clips), whether they are numbers of 0 to 1 that
all become black (dark), or Pillow's error. --small writes the
smallest files that show every feature into one archive, pictures.zip, with its index.
"""

import argparse
import collections
import hashlib
import io
import json
import os
import pathlib
import resource
import signal
import struct
import subprocess
import sys
import tempfile
import threading
import warnings
import zipfile

import numpy as np
from PIL import Image, ImageOps

import jpeg
from picture_files import chunk, riff, riff_chunks
from picture_kinds import FORMATS, Maker, kinds, left_out
from picture_large import bombs, large

EXTENSIONS = {"JPEG": "jpg", "MPO": "mpo", "PNG": "png", "WebP": "webp", "GIF": "gif", "BMP": "bmp", "TIFF": "tif", "PNM": "ppm"}
SHARES = [1, 0.99, 0.83, 0.62, 0.31, 0.15, None]  # of the pixels, near limits of 5, 6, 8 and 16 bytes each; bombs
SECONDS, MEMORY = 20, 4 << 30  # what Pillow may take for a file


def digest(m):
    return {"w": m.width, "h": m.height, "rgb": hashlib.sha256(m.tobytes()).hexdigest()[:32]}


def clipped(m):
    """The share of pixels outside 0 to 255."""
    if not m.mode.startswith(("I", "F")):
        return 0
    a = np.asarray(m)
    return float(np.mean(~((a >= 0) & (a < 256))))


def shown(file, path, turn=lambda m: m):
    """What Pillow shows of an open file or a path."""
    try:
        with Image.open(file) as m:
            return digest(turn(m).convert("RGB"))
    except Exception as e:
        return {"error": f"{type(e).__name__}: {e}".replace(str(path), "FILE").split("<_io")[0][:200]}


def pillow(path):
    """What Pillow makes of a file in memory."""
    data = pathlib.Path(path).read_bytes()
    lying = shown(io.BytesIO(data), path)
    more = {"exif": shown(io.BytesIO(data), path, ImageOps.exif_transpose), "named": shown(path, path)}
    said = lying | {n: v for n, v in more.items() if v != lying and "rgb" in {**lying, **v}}
    if "rgb" in lying:
        with Image.open(io.BytesIO(data)) as m:
            if clips := clipped(m):
                said["clips"] = round(clips, 6)
            if m.mode == "F" and 0 < np.asarray(m).max() <= 1:
                said["dark"] = True
    return said


def judge():
    """Answers each path on standard input with a line, and dies of a file that takes too much."""
    warnings.simplefilter("ignore")
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what libraries print
    for path in sys.stdin:
        signal.alarm(SECONDS)
        print(json.dumps(pillow(path.rstrip("\n"))), file=out, flush=True)


def verdicts(paths):
    """pillow of each path, from processes that may die of one."""
    said, workers = [None] * len(paths), os.cpu_count()

    def work(mine):
        while mine:
            with tempfile.TemporaryFile("w+") as names:
                names.writelines(f"{paths[i]}\n" for i in mine)
                names.seek(0)
                with subprocess.Popen(
                    [sys.executable, __file__, "--judge"], stdin=names, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
                ) as p:
                    for line in p.stdout:
                        said[mine.pop(0)] = json.loads(line)
            if mine:
                said[mine.pop(0)] = {"error": f"Pillow ended with {p.returncode}"}

    threads = [threading.Thread(target=work, args=(list(range(i, len(paths), workers)),)) for i in range(workers)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    return said


def put(out, files):
    """Writes files (format, bytes, what is said of them) and gives their lines of the index."""
    lines, count = [], collections.Counter()
    for kind, data, more in files:
        count[kind] += 1
        ext = {b"P1": "pbm", b"P4": "pbm", b"P2": "pgm", b"P5": "pgm"}.get(data[:2], EXTENSIONS[kind])
        name = f"{kind}/{count[kind]:05d}.{ext}"
        (out / kind).mkdir(parents=True, exist_ok=True)
        (out / name).write_bytes(data)
        lines.append({"file": name, "format": kind, **more})
    return lines


def judged(out, files):
    lines = put(out, files)
    for line, said in zip(lines, verdicts([out / line["file"] for line in lines])):
        line.update(said)
    return lines


def write(path, lines):
    path.write_text("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines))


# Damage


def parts(kind, b):
    """A file as the pieces that it is made of: chunks, segments, else stretches of 8 bytes."""
    if kind in ("JPEG", "MPO"):
        cuts = [at for _, at, _ in jpeg.segments(b)]
        return [b[:2]] + [b[s:e] for s, e in zip(cuts, cuts[1:] + [len(b)])]
    if kind == "PNG":
        out, at = [b[:8]], 8
        while at + 8 <= len(b):
            n = struct.unpack_from(">I", b, at)[0] + 12
            out.append(b[at : at + n])
            at += n
        return out
    if kind == "WebP":
        return [b[:12]] + [riff([c])[12:] for c in riff_chunks(b)]
    return [b[i : i + 8] for i in range(0, len(b), 8)]


def resealed(b):
    """A PNG with its checksums right again."""
    whole = parts("PNG", b)
    return whole[0] + b"".join(chunk(c[4:8], c[8:-4]) if len(c) >= 12 else c for c in whole[1:])


WAYS = "bits,bits,bits,byte,byte,bytes,field,field,delete,insert,repeat,truncate,swap,part dropped,part twice,parts swapped".split(",")


def mutated(kind, b, r):
    """b with one to three kinds of damage, and their names."""
    names = []
    for _ in range(int(r.choice([1, 1, 1, 1, 2, 3]))):
        b, n = bytearray(b), max(len(b), 1)
        at, more = int(r.integers(n)), int(r.integers(1, 20))
        way = str(r.choice(WAYS))
        if way == "bits":
            for i in r.integers(n * 8, size=int(r.integers(1, 4))):
                b[i // 8 : i // 8 + 1] = bytes([b[i // 8] ^ 1 << i % 8]) if i // 8 < len(b) else b""
        elif way in ("byte", "bytes"):
            more = 1 if way == "byte" else more
            b[at : at + more] = r.integers(0, 256, more).astype(np.uint8).tobytes()
        elif way == "field":
            at, width = int(r.integers(min(n, 128))), int(r.choice([1, 2, 4]))
            value = int(r.choice([0, 1, 2, 3, 4, 7, 8, 15, 16, 17, 255, 256, 32767, 65535, 1 << 31, (1 << 32) - 1, int(r.integers(1 << 32))]))
            b[at : at + width] = (value & (1 << 8 * width) - 1).to_bytes(width, str(r.choice(["little", "big"])))
        elif way == "delete":
            del b[at : at + more]
        elif way == "insert":
            b[at:at] = r.integers(0, 256, more).astype(np.uint8).tobytes()
        elif way == "repeat":
            b[at:at] = b[at : at + more]
        elif way == "truncate":
            del b[at:]
        elif way == "swap":
            to = int(r.integers(n))
            b[at : at + more], b[to : to + more] = b[to : to + more], b[at : at + more]
        else:
            try:
                p = parts(kind, bytes(b))
                i, j = (int(v) for v in r.integers(1, max(2, len(p)), 2))
                p[i : i + 1] = {"part dropped": [], "part twice": [p[i], p[i]], "parts swapped": [p[j]]}[way]
                if way == "parts swapped":
                    p[j] = parts(kind, bytes(b))[i]
                b = b"".join(p)
            except (IndexError, StopIteration, struct.error):
                continue
        names.append(way)
    b = bytes(b)
    if kind == "PNG" and r.random() < 0.8:
        b, names = resealed(b), [*names, "right checksums"]
    return b, names


def damaged(seed, n):
    """n damaged files of each format, made of small sound ones."""
    r = np.random.default_rng([seed, 1000])
    sound = collections.defaultdict(list)
    for kind, data, features in kinds(seed, small=True):
        if len(data) < 20000:
            sound[kind].append((data, features))
    for kind, files in sound.items():
        made = 0
        while made < n:
            data, features = files[int(r.integers(len(files)))]
            b, names = mutated(kind, data, r)
            if b != data:
                made += 1
                yield kind, b, {"features": sorted(set(names)), "of": features}


def smallest(lines, sizes, each):
    """The files that show every feature of their formats within so many bytes each: the most new features a byte first."""
    chosen, spent, seen = [], collections.Counter(), set()
    new = lambda line: (
        {(line["format"], f) for f in [*line["features"], line.get("error", "")[:20], "turned" * ("exif" in line), "clips" * ("clips" in line)]}
        - seen
    )
    rest = list(lines)
    while rest:
        rest = [line for line in rest if new(line) and spent[line["format"]] + sizes[line["file"]] <= each]
        if rest:
            best = max(rest, key=lambda line: len(new(line)) / (sizes[line["file"]] + 100))
            chosen.append(best)
            seen |= new(best)
            spent[best["format"]] += sizes[best["file"]]
    return sorted(chosen, key=lambda line: line["file"])


def archive(out, lines, each=8000):
    """Puts the smallest files of a folder into one archive."""
    lines = smallest(lines, {line["file"]: (out / line["file"]).stat().st_size for line in lines}, each)
    with zipfile.ZipFile(out / "pictures.zip", "w", zipfile.ZIP_DEFLATED, compresslevel=9) as z:
        index = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
        for name, data in [("index.jsonl", index.encode())] + [(line["file"], (out / line["file"]).read_bytes()) for line in lines]:
            z.writestr(zipfile.ZipInfo(name), data, zipfile.ZIP_DEFLATED)
    return lines


def write_large(out):
    """Writes NAME/SHARE.EXT for shares of the most pixels, and bombs; files of zeros are sparse."""
    for share in SHARES:
        for name, ext, data, size in large(share) if share else bombs():
            path = out / name / f"{share or 0:.2f}.{ext}"
            path.parent.mkdir(exist_ok=True)
            with open(path, "wb") as f:
                f.write(data)
                f.truncate(max(size, len(data)))


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("out", type=pathlib.Path, nargs="?")
    p.add_argument("--seed", type=int, default=1)
    p.add_argument("--small", action="store_true")
    p.add_argument("--mutate", type=int, metavar="N")
    p.add_argument("--left-out", type=int, metavar="N")
    p.add_argument("--large", action="store_true")
    p.add_argument("--judge", action="store_true", help=argparse.SUPPRESS)
    o = p.parse_args()
    if o.judge:
        return judge()
    if o.out is None:
        p.error("which folder?")
    o.out.mkdir(parents=True, exist_ok=True)
    if o.large:
        return write_large(o.out)
    if o.left_out:
        for i in range(o.left_out):
            for ext, data in left_out(Maker([o.seed, 2000, i])).items():
                (o.out / f"{ext}{i}.{ext}").write_bytes(data)
        return
    files = (
        damaged(o.seed, o.mutate) if o.mutate else ((kind, data, {"features": list(dict.fromkeys(f))}) for kind, data, f in kinds(o.seed, o.small))
    )
    lines = judged(o.out, files)
    if o.small:
        lines = archive(o.out, lines)
    else:
        write(o.out / "index.jsonl", lines)
    for kind in FORMATS:
        of = [line for line in lines if line["format"] == kind]
        print(f"{kind:5} {len(of):6} files, {sum('error' in line for line in of):5} that Pillow does not read")


if __name__ == "__main__":
    main()
