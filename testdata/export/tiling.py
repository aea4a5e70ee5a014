"""Dynamic tiling as InternVL's processing describes it, with Pillow: testdata/golden/tiling.json and .npz.

A picture is resized, whatever its proportions, to the grid of 1 to `most` square tiles whose proportions are nearest to
its own, and cut row by row; a picture of several tiles gets itself, resized to one tile, as the last. Grids are tried
from few tiles to many; of two that are as near, a later one is taken where the picture has more than half its pixels.

tiling.json: grids, rows of [width, height, size of a tile, most, rows, columns, rows of the tiles' corners in pixels of
the resized picture]; pictures, rows of [file, width, height, size, most, array], where the
picture is cropped to width and height from its corner first and the arrays in tiling.npz are uint8 [tiles, size, size, 3].
"""

import itertools
import json
from pathlib import Path

import numpy as np
from PIL import Image

TESTDATA = Path(__file__).parents[1]
GOLDEN = TESTDATA / "golden"
SIZES = [(448, 448), (640, 480), (480, 640), (1920, 1080), (1080, 1920), (1, 1), (3, 7), (4000, 300), (300, 4000),
         (640, 512), (512, 640), (1000, 1000), (100, 100), (333, 500), (800, 600), (1280, 1024), (900, 400), (450, 200),
         (1050, 700), (2100, 1400), (336, 224), (500, 200), (1792, 1344), (13, 12), (1120, 448), (224, 560), (2500, 1000)]


def nearest_grid(width, height, size, most):
    ratios = {(c, r) for c, r in itertools.product(range(1, most + 1), repeat=2) if c * r <= most}
    best, least = (1, 1), float("inf")
    for c, r in sorted(ratios, key=lambda grid: grid[0] * grid[1]):
        difference = abs(width / height - c / r)
        if difference < least:
            best, least = (c, r), difference
        elif difference == least and width * height > 0.5 * size * size * c * r:
            best = (c, r)
    return best


def corners(width, height, size, most):
    columns, rows = nearest_grid(width, height, size, most)
    return rows, columns, [(i % columns * size, i // columns * size) for i in range(rows * columns)]


def tiles(picture, size, most):
    rows, columns, places = corners(*picture.size, size, most)
    whole = picture.resize((columns * size, rows * size), Image.BICUBIC)
    cut = [whole.crop((x, y, x + size, y + size)) for x, y in places]
    return cut + [picture.resize((size, size), Image.BICUBIC)] if len(cut) > 1 else cut


def main():
    grids = [[w, h, size, most, *corners(w, h, size, most)]
             for (w, h), (size, most) in itertools.product(SIZES, [(448, 12), (448, 6), (224, 4), (448, 1), (14, 24)])]
    grids += [[w, h, 448, 12, *corners(w, h, 448, 12)] for w, h in np.random.default_rng(0).integers(1, 3000, (300, 2)).tolist()]
    pictures, arrays = [], {}
    for file in sorted((GOLDEN / "pillow").glob("*.png")):
        with Image.open(file) as picture:
            if min(picture.size) < 5:
                continue
            picture = picture.convert("RGB")
        for (w, h), size, most in [(picture.size, 14, 12), ((picture.width, 5), 9, 12), ((4, picture.height), 8, 6)]:
            name = f"{file.stem}_{size}_{most}"
            arrays[name] = np.stack([np.asarray(t) for t in tiles(picture.crop((0, 0, w, h)), size, most)])
            pictures.append([file.name, w, h, size, most, name])
    text = ",\n".join(json.dumps(g, separators=(",", ":")) for g in grids)
    (GOLDEN / "tiling.json").write_text(f'{{"grids": [\n{text}\n],\n"pictures": {json.dumps(pictures)}}}\n')
    np.savez_compressed(GOLDEN / "tiling.npz", **arrays)


if __name__ == "__main__":
    main()
