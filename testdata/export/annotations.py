"""What pycocotools and torchvision make of annotations: testdata/golden/annotations.json.

polygons: pictures' sizes, COCO polygons (lists of x, y) and the compressed run lengths that pycocotools makes of them.
runs: masks as uncompressed counts and as compressed strings, and the box that toBbox puts around them.
results: a COCO file, lists of its results, and the box and area that COCO.loadRes gives each.
crowds: true boxes, some of them crowds, boxes found, and what COCOeval.evaluateImg counts of them at some IoUs.
boxes: the same boxes as xyxy, xywh and cxcywh (torchvision.ops.box_convert), and the IoU of all pairs (box_iou).

pip install pycocotools torch torchvision
"""

import contextlib
import io
import json
import math
import tempfile
from pathlib import Path

import numpy as np
import torch
from pycocotools import mask as coco
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval
from torchvision.ops import box_convert, box_iou

rng = np.random.default_rng(0)
out = {"polygons": [], "runs": [], "results": {}, "crowds": [], "boxes": {}}


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

extra = np.random.default_rng(1)
for _ in range(60):  # small ones, whose edges lie on halves of pixels, cross, and reach beyond the picture
    w, h, points = int(extra.integers(1, 20)), int(extra.integers(1, 20)), int(extra.integers(3, 9))
    xy = np.round(extra.uniform(-3, max(w, h) + 3, 2 * points) * 2) / 2
    keep = [float(min(max(v, -(w if i % 2 == 0 else h)), 2 * (w if i % 2 == 0 else h))) for i, v in enumerate(xy)]
    rle = coco.merge(coco.frPyObjects([keep], h, w))
    out["polygons"].append({"w": w, "h": h, "polygons": [keep], "counts": rle["counts"].decode(), "area": int(coco.area(rle))})

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
    out["runs"].append({"h": h, "w": w, "list": counts, "string": rle["counts"].decode(), "area": int(m.sum()), "box": coco.toBbox(rle).tolist()})


def quietly(use, *args):
    with contextlib.redirect_stdout(io.StringIO()):
        return use(*args)


def loaded(data):
    with tempfile.NamedTemporaryFile("w", suffix=".json") as f:
        json.dump(data, f)
        f.flush()
        return quietly(COCO, f.name)


images = [{"id": 7, "file_name": "a.jpg", "width": 200, "height": 100}]
cats = [{"id": 1, "name": "cat"}, {"id": 2, "name": "dog"}]
square = coco.encode(np.asfortranarray(np.pad(np.ones((5, 9), np.uint8), ((20, 75), (30, 161)))))
square["counts"] = square["counts"].decode()
lists = {
    "boxes": [{"image_id": 7, "category_id": 1, "bbox": [1.5, 2, 30, 40.25], "score": 0.5}],
    "masks": [{"image_id": 7, "category_id": 2, "segmentation": square, "score": 0.25}],
    "points": [{"image_id": 7, "category_id": 1, "keypoints": [10, 20, 2, 0, 0, 0, 35.5, 18, 1], "score": 0.75}],
}
truth = {"images": images, "annotations": [], "categories": cats}
out["results"] = {"truth": truth, "lists": lists, "want": {}}
for kind, found in lists.items():
    res = quietly(loaded(truth).loadRes, json.loads(json.dumps(found)))
    out["results"]["want"][kind] = [{"bbox": list(map(float, a["bbox"])), "area": float(a["area"])} for a in res.dataset["annotations"]]

for _ in range(6):  # true boxes apart, crowds over what is near them
    gts, dts = [], []
    for i in range(12):
        x, y = 50.0 * (i % 4), 40.0 * (i // 4)
        box = [x + float(extra.integers(0, 4)), y + float(extra.integers(0, 4)), 20.0, 16.0]
        crowd = int(extra.random() < 0.3)
        gts.append({"id": i + 1, "image_id": 7, "category_id": 1, "bbox": box, "iscrowd": crowd, "area": box[2] * box[3]})
        for _ in range(int(extra.integers(0, 4))):
            d = [float(np.round(v + extra.uniform(-6, 6) * (0.2 if j > 1 else 1), 2)) for j, v in enumerate(box)]
            dts.append({"image_id": 7, "category_id": 1, "bbox": d, "score": float(np.round(extra.random(), 3))})
    gt = loaded({**truth, "annotations": gts})
    e = COCOeval(gt, quietly(gt.loadRes, json.loads(json.dumps(dts))), "bbox")
    e.params.iouThrs = np.array([0.3, 0.5, 0.75])
    quietly(e.evaluate)
    r = next(v for v in e.evalImgs if v is not None and v["aRng"] == [0, 1e10])
    matched = ((r["dtMatches"] > 0) & ~r["dtIgnore"]).sum(1)
    out["crowds"].append({
        "truth": gts, "found": dts, "iou": e.params.iouThrs.tolist(), "counted": int((np.array(r["gtIgnore"]) == 0).sum()),
        "kept": (~r["dtIgnore"]).sum(1).tolist(), "matched": matched.tolist(),
    })

corner = torch.tensor(rng.integers(0, 60, (6, 2)), dtype=torch.float64)
boxes = torch.cat([corner, corner + torch.tensor(rng.integers(1, 60, (6, 2)), dtype=torch.float64) + 0.25], 1)
for to in ["xyxy", "xywh", "cxcywh"]:
    out["boxes"][to] = box_convert(boxes, "xyxy", to).tolist()
out["boxes"]["iou"] = box_iou(boxes, boxes).tolist()

path = Path(__file__).parent.parent / "golden" / "annotations.json"
path.write_text(json.dumps(out) + "\n")
