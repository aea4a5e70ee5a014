"""Writes picture files byte by byte, for the kinds that no encoder makes. pictures.py uses it."""

import struct
import zlib

import imagecodecs
import numpy as np


def packed(a, bits, order=">"):
    """The rows of samples [h, w, c] as bytes [h, n], the first sample in the highest bits."""
    h = a.shape[0]
    if bits % 8 == 0 and bits != 24:
        kind = a.dtype.kind if a.dtype.kind in "if" else "u"
        return np.frombuffer(np.ascontiguousarray(a).astype(f"{order}{kind}{bits // 8}").tobytes(), np.uint8).reshape(h, -1)
    a = a.reshape(h, -1, 1).astype(np.int64)
    return np.packbits((a >> np.arange(bits - 1, -1, -1) & 1).astype(np.uint8).reshape(h, -1), axis=1)


def mirrored(b):
    """b with the bits of each byte the other way round."""
    return np.packbits(np.unpackbits(np.frombuffer(b, np.uint8)).reshape(-1, 8)[:, ::-1]).tobytes()


# PNG

ADAM7 = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)]  # x, y and their steps


def chunk(kind, data=b""):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def paeth(left, up, corner):
    a, b, c = np.abs(up - corner), np.abs(left - corner), np.abs(left + up - 2 * corner)
    return np.where((a <= b) & (a <= c), left, np.where(b <= c, up, corner))


def png_rows(a, bits, filters):
    """Filtered rows: a filter of 0 to 4, or 5 for all in turn."""
    if a.size == 0:
        return b""
    rows, step, out = packed(a, bits).astype(np.int32), max(1, a.shape[2] * bits // 8), b""
    up, none = np.zeros_like(rows[0]), np.zeros(step, np.int32)
    for y, row in enumerate(rows):
        left, corner = (np.concatenate([none, r])[: len(row)] for r in (row, up))
        f = filters if filters < 5 else y % 5
        guess = [0, left, up, (left + up) // 2, paeth(left, up, corner)][f]
        out += bytes([f]) + (row - guess & 255).astype(np.uint8).tobytes()
        up = row
    return out


def png_data(a, bits, interlace=False, filters=0, level=6, strategy=0, window=15):
    passes = ADAM7 if interlace else [(0, 0, 1, 1)]
    z = zlib.compressobj(level, zlib.DEFLATED, window, 9, strategy)
    return z.compress(b"".join(png_rows(a[y::dy, x::dx], bits, filters) for x, y, dx, dy in passes)) + z.flush()


def png(a, bits, color, before=(), after=(), pieces=1, end=True, interlace=False, **how):
    """before and after are chunks on either side of the pixels, which lie in so many pieces."""
    data = png_data(a, bits, interlace, **how)
    cuts = [len(data) * i // pieces for i in range(pieces + 1)]
    head = struct.pack(">IIBBBBB", a.shape[1], a.shape[0], bits, color, 0, 0, interlace)
    idat = b"".join(chunk(b"IDAT", data[s:e]) for s, e in zip(cuts, cuts[1:]))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + b"".join(before) + idat + b"".join(after) + (chunk(b"IEND") if end else b"")


# GIF


def lzw(indices, depth, clear=None):
    """GIF's LZW; a code to clear comes after so many codes, else when the table is full, never with clear=0."""
    bits, value, out = 0, 0, bytearray()

    def put(code, width):
        nonlocal bits, value
        value |= code << bits
        bits += width
        while bits >= 8:
            out.append(value & 255)
            value >>= 8
            bits -= 8

    stop = (1 << depth) + 1
    width, table, n = depth + 1, {}, 0
    put(stop - 1, width)
    word = None
    for i in indices:
        if word is None:
            word = i
        elif (word, i) in table:
            word = table[word, i]
        else:
            put(word, width)
            n += 1
            after = stop + 1 + len(table)
            if clear and n % clear == 0 or clear is None and after == 4096:
                put(stop - 1, width)
                width, table = depth + 1, {}
            elif after < 4096:
                table[word, i] = after
                width += after == 1 << width and width < 12
            word = i
    put(word, width)
    put(stop, width + (stop + 1 + len(table) == 1 << width and width < 12))
    put(0, 7)
    return bytes(out)


def blocks(data):
    return b"".join(bytes([len(data[i : i + 255])]) + data[i : i + 255] for i in range(0, len(data), 255)) + b"\0"


def gif_table(palette):
    """A color table and the bits that say its size."""
    n = max(1, (len(palette) - 1).bit_length())
    return palette.astype(np.uint8).tobytes().ljust(3 << n, b"\0"), n - 1


def gif_frame(a, at=(0, 0), palette=None, interlace=False, transparent=None, disposal=0, depth=8, clear=None, control=True):
    flags, table = interlace << 6, b""
    if palette is not None:
        table, n = gif_table(palette)
        flags |= 0x80 | n
    out = b""
    if control:
        out = b"\x21\xf9\x04" + struct.pack("<BHB", disposal << 2 | (transparent is not None), 10, transparent or 0) + b"\0"
    out += b"\x2c" + struct.pack("<4HB", *at, a.shape[1], a.shape[0], flags) + table
    if interlace:
        a = np.concatenate([a[0::8], a[4::8], a[2::4], a[1::2]])
    return out + bytes([depth]) + blocks(lzw(a.ravel().tolist(), depth, clear))


def gif(frames, size, palette=None, background=0, version=b"89a", extra=b"", trailer=b"\x3b"):
    flags, table = 0x70, b""
    if palette is not None:
        table, n = gif_table(palette)
        flags |= 0x80 | n
    return b"GIF" + version + struct.pack("<2H3B", *size, flags, background, 0) + table + extra + b"".join(frames) + trailer


# BMP


def bmp(a, bits, header=40, palette=None, masks=None, compression=0, top_down=False, gap=0, colors=0, data=None):
    """a is [h, w] of indices or of pixels as numbers of so many bits; data are the pixels, encoded."""
    h, w = a.shape
    if data is None:
        wide = packed(a[:, :, None], bits, "<") if bits != 24 else (a[:, :, None] >> np.array([0, 8, 16]) & 255).astype(np.uint8).reshape(h, -1)
        rows = [row.tobytes().ljust((w * bits + 31) // 32 * 4, b"\0") for row in wide]
        data = b"".join(rows if top_down else rows[::-1])
    table = b""
    if palette is not None:
        p = palette.astype(np.uint8)[:, ::-1]
        table = p.tobytes() if header == 12 else np.pad(p, [(0, 0), (0, 1)]).tobytes()
    if header == 12:
        info = struct.pack("<I4H", 12, w, h, 1, bits)
    else:
        info = struct.pack("<IiiHHIIiiII", 40, w, -h if top_down else h, 1, bits, compression, len(data), 2835, 2835, colors, 0)
        fields = struct.pack("<4I", *masks, *[0] * (4 - len(masks))) if masks else bytes(16)
        if header == 40:
            info += fields[:12] if masks else b""
        else:
            info = (info + (bytes(24) if header == 64 else fields)).ljust(header, b"\0")[:header]
            info = struct.pack("<I", header) + info[4:]
    at = 14 + len(info) + len(table) + gap
    return b"BM" + struct.pack("<IHHI", at + len(data), 0, 0, at) + info + table + bytes(gap) + data


def bmp_rle(a, bits, random, skips=False):
    """RLE8 or RLE4 of indices: runs, literal stretches, and with skips places that are left out."""
    out = b""
    for row in a[::-1].tolist():
        x = 0
        while x < len(row):
            n = min(int(random.integers(1, 9)), len(row) - x)
            part = row[x : x + n]
            if skips and random.random() < 0.15 and n < len(row) - x:
                out += bytes([0, 2, n, 0])
            elif n >= 3 and random.random() < 0.5:
                literal = bytes(part) if bits == 8 else bytes(hi << 4 | lo for hi, lo in zip(part[::2], part[1::2] + [0]))
                out += bytes([0, n]) + literal + bytes(len(literal) % 2)
            else:
                second = part[1] if bits == 4 and n > 1 else part[0]
                n = next((i for i, v in enumerate(part) if v != (second if i % 2 else part[0])), n)
                out += bytes([n, part[0] if bits == 8 else part[0] << 4 | second])
            x += n
        out += b"\0\0"
    return out[:-2] + b"\0\1"


# TIFF and EXIF

BYTE, ASCII, SHORT, LONG, RATIONAL, SBYTE, UNDEFINED, SSHORT, SLONG, SRATIONAL, FLOAT, DOUBLE, LONG8 = 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 16
CODES = {1: "B", 2: "B", 3: "H", 4: "I", 5: "I", 6: "b", 7: "B", 8: "h", 9: "i", 10: "i", 11: "f", 12: "d", 16: "Q"}


def tiff_file(order, pages, big=False, first=None):
    """pages are lists of (tag, type, values) and of strips of bytes: a directory each. Values may be a function of where the strips lie."""
    size, count, offset, inline = (20, "Q", "Q", 8) if big else (12, "H", "I", 4)
    out = bytearray(b"II" if order == "<" else b"MM")
    out += struct.pack(order + "HHHQ", 43, 8, 0, 0) if big else struct.pack(order + "HI", 42, 0)
    link = len(out) - inline
    out += bytes((first or len(out)) - len(out))
    for tags, strips in pages:
        places = []
        for s in strips:
            places.append(len(out))
            out += s + bytes(len(s) % 2)
        directory, tail = b"", b""
        tags = sorted((t, k, v(places) if callable(v) else v) for t, k, v in tags)
        at = len(out) + struct.calcsize(order + count) + size * len(tags) + inline
        for tag, kind, values in tags:
            data = bytes(values) if isinstance(values, (bytes, bytearray)) else struct.pack(f"{order}{len(values)}{CODES[kind]}", *values)
            n = len(values) // 2 if kind in (RATIONAL, SRATIONAL) else len(values)
            directory += struct.pack(order + "HH" + offset, tag, kind, n)
            if len(data) > inline:
                directory += struct.pack(order + offset, at + len(tail))
                tail += data + bytes(len(data) % 2)
            else:
                directory += data.ljust(inline, b"\0")
        struct.pack_into(order + offset, out, link, len(out))
        out += struct.pack(order + count, len(tags)) + directory
        link = len(out)
        out += bytes(inline) + tail
    return bytes(out)


def exif(value, kind=SHORT, order="<", count=1, pad=0, tag=0x0112, second=None):
    """EXIF data of one orientation, after so many bytes; second is what the second directory says."""
    values = [value, 1] if kind in (RATIONAL, SRATIONAL) else [value] * count
    pages = [([(0x010F, ASCII, b"maker\0"), (tag, kind, values)], [])]
    if second:
        pages.append(([(0x0112, SHORT, [second])], []))
    return tiff_file(order, pages, first=8 + pad)


def predicted(a, bits, predictor, order):
    """The rows of a strip [h, w, c], each sample less the one before."""
    if predictor == 2:
        d = a.astype(np.int64)
        d[:, 1:] -= a.astype(np.int64)[:, :-1]
        return packed((d & (1 << bits) - 1).astype(np.uint64), bits, order)
    f = packed(a, bits, ">").reshape(a.shape[0], -1, bits // 8).transpose(0, 2, 1).reshape(a.shape[0], -1).astype(np.int32)
    f[:, a.shape[2] :] -= f[:, : -a.shape[2]].copy()
    return (f & 255).astype(np.uint8)


def squeezed(rows, compression):
    raw = rows.tobytes()
    match compression:
        case 1:
            return raw
        case 5:
            return bytes(imagecodecs.lzw_encode(raw))
        case 8 | 32946:
            return zlib.compress(raw)
        case 32773:
            return b"".join(bytes(imagecodecs.packbits_encode(row.tobytes())) for row in rows)
        case 34925:
            return bytes(imagecodecs.lzma_encode(raw))
        case 50000:
            return bytes(imagecodecs.zstd_encode(raw))
    raise ValueError(compression)


def subsampled(a, across, down):
    """YCbCr [h, w, 3] as TIFF keeps it: across x down of Y, then Cb and Cr."""
    h, w, _ = a.shape
    a = np.pad(a, [(0, -h % down), (0, -w % across), (0, 0)], mode="edge")
    y = (
        a[:, :, 0]
        .reshape(a.shape[0] // down, down, a.shape[1] // across, across)
        .transpose(0, 2, 1, 3)
        .reshape(a.shape[0] // down, -1, across * down)
    )
    return np.concatenate([y, a[::down, ::across, 1:]], 2).reshape(y.shape[0], -1)


def tiff_page(
    a,
    photometric,
    bits=8,
    order="<",
    compression=1,
    predictor=1,
    planar=1,
    rows=None,
    tile=None,
    fill=1,
    extra=(),
    sample=1,
    orientation=None,
    palette=None,
    subsampling=None,
    tags=(),
    leave=(),
):
    """A page for tiff_file. a is [h, w, c]; tags are more of them, leave those to leave out."""
    h, w, c = a.shape
    rows = min(rows or h, h)
    parts = [a[:, :, i : i + 1] for i in range(c)] if planar == 2 else [a]
    if tile:
        tw, th = tile
        cut = [
            np.pad(p, [(0, -h % th), (0, -w % tw), (0, 0)], mode="edge")[y : y + th, x : x + tw]
            for p in parts
            for y in range(0, h, th)
            for x in range(0, w, tw)
        ]
    else:
        cut = [p[y : y + rows] for p in parts for y in range(0, h, rows)]
    strips = []
    for s in cut:
        data = subsampled(s, *subsampling) if subsampling else packed(s, bits, order) if predictor == 1 else predicted(s, bits, predictor, order)
        data = squeezed(data, compression)
        strips.append(mirrored(data) if fill == 2 else data)
    all_tags = [
        (256, SHORT, [w]),
        (257, SHORT, [h]),
        (258, SHORT, [bits] * c),
        (259, SHORT, [compression]),
        (262, SHORT, [photometric]),
        (277, SHORT, [c]),
    ]
    all_tags += (
        [(322, SHORT, [tile[0]]), (323, SHORT, [tile[1]]), (324, LONG, list), (325, LONG, [len(s) for s in strips])]
        if tile
        else [(273, LONG, list), (278, SHORT, [rows]), (279, LONG, [len(s) for s in strips])]
    )
    optional = {266: (fill, 1), 274: (orientation, None), 284: (planar, 1), 317: (predictor, 1)}
    all_tags += [(t, SHORT, [v]) for t, (v, usual) in optional.items() if v != usual]
    if extra:
        all_tags.append((338, SHORT, list(extra)))
    if sample != 1:
        all_tags.append((339, SHORT, [sample] * c))
    if palette is not None:
        all_tags.append((320, SHORT, (palette.astype(int) * 257).T.ravel().tolist()))
    if subsampling:
        all_tags.append((530, SHORT, list(subsampling)))
    more = {t for t, _, _ in tags} | set(leave)
    return [t for t in all_tags if t[0] not in more] + list(tags), strips


def tiff(a, photometric, order="<", big=False, first=None, **how):
    return tiff_file(order, [tiff_page(a, photometric, order=order, **how)], big, first)


# WebP


def riff(chunks):
    body = b"WEBP" + b"".join(k + struct.pack("<I", len(d)) + d + bytes(len(d) % 2) for k, d in chunks)
    return b"RIFF" + struct.pack("<I", len(body)) + body


def riff_chunks(b):
    at, out = 12, []
    while at + 8 <= len(b):
        n = struct.unpack_from("<I", b, at + 4)[0]
        out.append((b[at : at + 4], b[at + 8 : at + 8 + n]))
        at += 8 + n + n % 2
    return out
