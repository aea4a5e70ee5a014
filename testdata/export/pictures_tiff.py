"""Small TIFF files of many kinds with what Pillow makes of them.

    python pictures_tiff.py          writes ../golden/pictures/tiff

Pixels are seeded noise and stripes. arrays.npz has, under a file's name, the uint8 [H, W, 3] pixels of
Image.open(io.BytesIO(file)).convert("RGB"), which Pillow turns by the orientation. Kinds that Pillow cannot
write are made by write below.
"""

import io
import pathlib
import shutil
import struct
import zlib

import numpy as np
from PIL import Image

OUT = pathlib.Path(__file__).resolve().parent.parent / "golden" / "pictures" / "tiff"
W, H = 19, 6
REVERSED = bytes(int(f"{i:08b}"[::-1], 2) for i in range(256))
random = np.random.default_rng(17)
codecs = {1: bytes, 8: zlib.compress}


def packbits(data):
    """Runs of one byte, and the others in turn."""
    out, i = b"", 0
    while i < len(data):
        n = next((k for k in range(1, min(128, len(data) - i)) if data[i + k] != data[i]), min(128, len(data) - i))
        out += bytes([0, data[i]]) if n == 1 else bytes([257 - n, data[i]])
        i += n
    return out


def old_lzw(data):
    """Codes of 9 bits, one a byte, in the order of bits that libtiff used before TIFF 6."""
    codes = []
    for i, value in enumerate(data):
        if i % 200 == 0:
            codes.append(256)
        codes.append(value)
    codes.append(257)
    bits = "".join(f"{code:09b}"[::-1] for code in codes)
    bits += "0" * (-len(bits) % 8)
    return bytes(int(bits[i : i + 8][::-1], 2) for i in range(0, len(bits), 8))


codecs |= {5: old_lzw, 32773: packbits}


def pack(row, bits, order, kind):
    if bits in (8, 16, 32):
        return row.astype(f"{order}{kind}{bits // 8}").tobytes()
    digits = "".join(f"{value:0{bits}b}" for value in row)
    digits += "0" * (-len(digits) % 8)
    return bytes(int(digits[i : i + 8], 2) for i in range(0, len(digits), 8))


def differences(row, bits, order, kind, together, predictor):
    if predictor == 2:
        row = row.copy()
        row[together:] = row[together:] - row[:-together]
        return pack(row % (1 << bits), bits, order, kind)
    planes = np.frombuffer(row.astype(">f4").tobytes(), np.uint8).reshape(-1, 4).T.reshape(-1).copy()
    planes[1:] = planes[1:] - planes[:-1]
    return planes.tobytes()


def write(
    name,
    pixels,
    bits,
    photometric,
    *,
    order="<",
    kind="u",
    compression=1,
    extra=(),
    planar=False,
    predictor=1,
    fill=1,
    orientation=None,
    tile=None,
    rows=4,
    big=False,
    tags=(),
):
    """A TIFF file of [H, W, samples]."""
    height, width, samples = pixels.shape
    wide, high = tile or (width, rows)
    blocks = []
    for plane in np.split(pixels, samples, 2) if planar else [pixels]:
        for y in range(0, height, high):
            for x in range(0, width, wide):
                block = plane[y : y + high, x : x + wide]
                if tile:
                    block = np.pad(block, ((0, high - block.shape[0]), (0, wide - block.shape[1]), (0, 0)))
                lines = block.reshape(block.shape[0], -1)
                if predictor == 1:
                    data = b"".join(pack(line, bits, order, kind) for line in lines)
                else:
                    data = b"".join(differences(line, bits, order, kind, plane.shape[2], predictor) for line in lines)
                data = codecs[compression](data)
                blocks.append(data.translate(REVERSED) if fill == 2 else data)
    short, long = 3, 16 if big else 4
    fields = {
        256: (short, [width]),
        257: (short, [height]),
        258: (short, [bits] * samples),
        259: (short, [compression]),
        262: (short, [photometric]),
        277: (short, [samples]),
    } | dict(tags)
    fields |= {322: (short, [wide]), 323: (short, [high])} if tile else {278: (short, [high])}
    for tag, given, value in [
        (266, fill != 1, [fill]),
        (274, orientation, [orientation]),
        (284, planar, [2]),
        (317, predictor != 1, [predictor]),
        (338, extra, extra),
        (339, kind != "u", [" uif".index(kind)] * samples),
    ]:
        if given:
            fields[tag] = short, value
    start = 16 if big else 8
    places = [start + sum(map(len, blocks[:i])) for i in range(len(blocks))]
    fields |= {324 if tile else 273: (long, places), 325 if tile else 279: (short, [len(block) for block in blocks])}
    letters, room = {1: "B", 3: "H", 4: "I", 16: "Q"}, 8 if big else 4
    body = b"".join(blocks)
    at = start + len(body) + (8 if big else 2) + len(fields) * (20 if big else 12) + room
    entries = later = b""
    for tag in sorted(fields):
        type, values = fields[tag]
        data = struct.pack(f"{order}{len(values)}{letters[type]}", *values)
        entries += struct.pack(f"{order}HH{'Q' if big else 'I'}", tag, type, len(values))
        if len(data) > room:
            entries += struct.pack(order + ("Q" if big else "I"), at + len(later))
            later += data
        else:
            entries += data.ljust(room, b"\0")
    head = b"II" if order == "<" else b"MM"
    head += struct.pack(order + "HHHQ", 43, 8, 0, start + len(body)) if big else struct.pack(order + "HI", 42, start + len(body))
    count = struct.pack(order + ("Q" if big else "H"), len(fields))
    (OUT / name).write_bytes(head + body + count + entries + bytes(room) + later)


def pixels(samples, top):
    y, x = np.mgrid[:H, :W]
    value = random.integers(0, top, (H, W, samples))
    value[x // 3 % 2 == 0] = (y * 40 + x)[x // 3 % 2 == 0][:, None] % top
    return value


def main():
    shutil.rmtree(OUT, ignore_errors=True)
    OUT.mkdir(parents=True)
    bits, gray, rgb, rgba = pixels(1, 2), pixels(1, 256), pixels(3, 256), pixels(4, 256)
    deep, colors = pixels(1, 400), {320: (3, random.integers(0, 65536, 48).tolist())}
    for photometric in (0, 1):
        write(f"bits_{photometric}.tif", bits, 1, photometric)
        write(f"bits_{photometric}_fill2.tif", bits, 1, photometric, fill=2, rows=H)
        write(f"gray2_{photometric}.tif", gray // 64, 2, photometric, order=">")
        write(f"gray4_{photometric}.tif", gray // 16, 4, photometric, compression=8)
        write(f"gray8_{photometric}.tif", gray, 8, photometric, compression=32773)
    page = Image.fromarray((bits[..., 0] * 255).astype(np.uint8)).convert("1")
    for name, compression, info in [
        ("rle", "tiff_ccitt", {}),
        ("g3", "group3", {}),
        ("g3_2d", "group3", {292: 1}),
        ("g3_fill", "group3", {292: 5}),
        ("g4", "group4", {}),
        ("g4_fill2", "group4", {266: 2}),
        ("g3_2d_fill2", "group3", {292: 1, 266: 2}),
    ]:
        for photometric in (0, 1):
            page.save(OUT / f"{name}_{photometric}.tif", compression=compression, tiffinfo=info | {262: photometric})
    for orientation in range(1, 9):
        write(f"turned{orientation}.tif", rgb[:5, :7], 8, 2, orientation=orientation)
    write("turned6_tiles.tif", pixels(3, 9), 8, 2, orientation=6, tile=(16, 16), compression=8)
    write("turned8_gray.tif", gray, 8, 1, orientation=8, rows=H)
    write("turned_xmp.tif", rgb[:5, :7], 8, 2, tags={700: (1, b'<rdf:Description tiff:Orientation="3"/>')}.items())
    for extra, name in [((0,), "unspecified"), ((1,), "associated"), ((2,), "alpha"), ((), "undeclared")]:
        write(f"rgba_{name}.tif", rgba, 8, 2, extra=extra)
    write("rgba_extra.tif", pixels(5, 256), 8, 2, extra=(1, 0))
    write("rgba16_associated.tif", pixels(4, 65536), 16, 2, extra=(1,), order=">", predictor=2, compression=8)
    write("rgb16.tif", pixels(3, 65536), 16, 2, compression=8, predictor=2)
    write("gray_alpha.tif", pixels(2, 256), 8, 1, extra=(2,))
    write("gray_signed.tif", pixels(1, 256) - 128, 8, 1, kind="i")
    write("gray12.tif", deep, 12, 1)
    write("gray16.tif", deep, 16, 1, order=">")
    write("gray16_white.tif", deep, 16, 0)
    write("gray16_signed.tif", deep - 100, 16, 1, kind="i")
    write("gray32.tif", deep, 32, 1, predictor=2, compression=8)
    write("gray_float.tif", deep - 50.25, 32, 1, kind="f", order=">")
    write("gray_float_predictor.tif", deep - 50.25, 32, 1, kind="f", predictor=3, compression=8)
    write("palette.tif", gray // 16, 4, 3, tags=colors.items())
    write("cmyk.tif", rgba, 8, 5, compression=8, tile=(16, 16))
    write("cmyk16.tif", pixels(4, 65536), 16, 5, order=">")
    write("planar.tif", rgb, 8, 2, planar=True)
    write("planar_alpha.tif", rgba, 8, 2, planar=True, extra=(1,), compression=8, predictor=2)
    write("planar16.tif", pixels(3, 65536), 16, 2, planar=True, compression=8)
    write("big.tif", rgb, 8, 2, big=True)
    write("lzw_old.tif", gray, 8, 1, compression=5, predictor=2)
    color = Image.fromarray(rgb.astype(np.uint8))
    for name, compression in [("lzw", "tiff_lzw"), ("jpeg", "jpeg"), ("zstd", "zstd")]:
        color.save(OUT / f"{name}.tif", compression=compression)
    color.convert("YCbCr").save(OUT / "jpeg_ycbcr.tif", compression="jpeg")
    color.save(OUT / "pages.tif", save_all=True, append_images=[page])

    arrays = {}
    for path in sorted(OUT.iterdir()):
        arrays[path.name] = np.asarray(Image.open(io.BytesIO(path.read_bytes())).convert("RGB"))
    np.savez_compressed(OUT / "arrays.npz", **arrays)
    print(len(arrays), "files,", sum(path.stat().st_size for path in OUT.iterdir()), "bytes")


if __name__ == "__main__":
    main()
