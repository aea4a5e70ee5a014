"""What pycocotools and torchvision make of annotations: testdata/golden/annotations.json.

polygons: pictures' sizes, COCO polygons (lists of x, y) and the compressed run lengths that pycocotools makes of them.
runs: masks as uncompressed counts and as compressed strings.
boxes: the same boxes as xyxy, xywh and cxcywh (torchvision.ops.box_convert), and the IoU of all pairs (box_iou).

pip install pycocotools torch torchvision
"""

import json
import math
from pathlib import Path

import numpy as np
import torch
from pycocotools import mask as coco
from torchvision.ops import box_convert, box_iou

rng = np.random.default_rng(0)
out = {"polygons": [], "runs": [], "boxes": {}}


def star(w, h, points, spread):
    cx, cy = rng.uniform(0.3, 0.7) * w, rng.uniform(0.3, 0.7) * h
    xy = []
    for k in range(points):
        a = 2 * math.pi * k / points
        r = rng.uniform(0.2, spread)
        xy += [round(cx + r * w * math.cos(a), 2), round(cy + r * h * math.sin(a), 2)]
    return xy


for w, h, points, spread, parts in [(20, 30, 3, 0.4, 1), (64, 48, 7, 0.4, 1), (50, 50, 12, 0.6, 2), (33, 61, 5, 0.9, 1), (7, 5, 4, 0.4, 1), (100, 80, 40, 0.5, 3)]:
    polygons = [star(w, h, points, spread) for _ in range(parts)]
    rle = coco.merge(coco.frPyObjects(polygons, h, w))
    out["polygons"].append({"w": w, "h": h, "polygons": polygons, "counts": rle["counts"].decode(), "area": int(coco.area(rle))})
for polygons in [[[2, 2, 6, 2, 6, 6, 2, 6]], [[2.5, 2.5, 6.5, 2.5, 6.5, 6.5, 2.5, 6.5]], [[0, 0, 10, 0, 10, 8, 0, 8]], [[1, 1, 9, 7, 9, 1, 1, 7]], [[3, 3, 3, 3, 5, 3, 5, 6]]]:
    rle = coco.merge(coco.frPyObjects(polygons, 8, 10))
    out["polygons"].append({"w": 10, "h": 8, "polygons": polygons, "counts": rle["counts"].decode(), "area": int(coco.area(rle))})

for h, w, share in [(4, 5, 0.5), (1, 1, 1.0), (1, 1, 0.0), (30, 40, 0.05), (200, 300, 0.0), (64, 64, 0.9)]:
    m = np.asfortranarray((rng.random((h, w)) < share).astype(np.uint8))
    if h == 200:
        m[20:180, 30:270] = 1
        m[90:100] = 0
    flat, counts, last, n = m.flatten(order="F"), [], 0, 0
    for v in flat:
        if v != last:
            counts.append(n)
            last, n = v, 0
        n += 1
    counts.append(n)
    rle = coco.encode(m)
    assert (coco.decode(coco.frPyObjects({"size": [h, w], "counts": counts}, h, w)) == m).all()
    out["runs"].append({"h": h, "w": w, "list": counts, "string": rle["counts"].decode(), "area": int(m.sum())})

corner = torch.tensor(rng.integers(0, 60, (6, 2)), dtype=torch.float64)
boxes = torch.cat([corner, corner + torch.tensor(rng.integers(1, 60, (6, 2)), dtype=torch.float64) + 0.25], 1)
for to in ["xyxy", "xywh", "cxcywh"]:
    out["boxes"][to] = box_convert(boxes, "xyxy", to).tolist()
out["boxes"]["iou"] = box_iou(boxes, boxes).tolist()

path = Path(__file__).parent.parent / "golden" / "annotations.json"
path.write_text(json.dumps(out) + "\n")
