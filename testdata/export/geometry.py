"""Where torchvision's Resize and CenterCrop put the pixels of pictures of many sizes: testdata/golden/geometry.json.

Each row: width, height, resize (null, one edge, or [height, width]), crop (null, an edge or [height, width]), and the
corners of what comes out in the coordinates of the resized picture, found by cropping a picture whose pixels say where
they are: width and height of the resized picture, x and y of the crop's first pixel (negative in the border that
CenterCrop adds), width and height of the input.
"""

import json
from pathlib import Path

import numpy as np
from PIL import Image
from torchvision.transforms import CenterCrop, Resize

SIZES = [(224, 224), (500, 375), (375, 500), (333, 500), (1, 1), (3, 7), (640, 427), (427, 641), (257, 255), (225, 1023), (97, 1000), (31, 17)]
STEPS = [(256, 224), (232, 224), (None, None), (None, 32), (None, [33, 20]), ([64, 48], None), ([65, 47], [50, 30]), (255, 224), (33, None), (20, 29)]


def where(size, crop):
    """The picture's own coordinates, 1-based so that border is 0, where the crop has them."""
    w, h = size
    ys, xs = np.mgrid[1 : h + 1, 1 : w + 1].astype(np.int32)
    xs, ys = (np.asarray(crop(Image.fromarray(v, "I"))) if crop else v for v in (xs, ys))
    y, x = np.argwhere(xs > 0)[0]
    return int(xs[y, x]) - 1 - int(x), int(ys[y, x]) - 1 - int(y), xs.shape[1], xs.shape[0]


rows = []
for w, h in SIZES:
    for resize, crop in STEPS:
        size = Resize(resize)(Image.new("L", (w, h))).size if resize else (w, h)
        rows.append([w, h, resize, crop, *size, *where(size, CenterCrop(crop) if crop else None)])
out = Path(__file__).parents[1] / "golden" / "geometry.json"
out.write_text("[\n" + ",\n".join(json.dumps(r) for r in rows) + "\n]\n")
