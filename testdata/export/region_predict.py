"""How transformers reads the outputs of detectors and of segmentation networks: golden/predict.json.

    python region_predict.py        needs transformers

detections: logits [N,C+1] and boxes [N,4] as DETR gives them, a threshold, the picture's height and width, and what
DetrImageProcessor.post_process_object_detection makes of them: scores, labels and boxes (xyxy in pixels of the picture).
maps: logits [C,H,W], the picture's height and width, and the labels, row after row, of
SegformerImageProcessor.post_process_semantic_segmentation.
nms: boxes, scores, labels, the most of their union that boxes may share, and the places that torchvision's
batched_nms keeps, best first.
"""

import json
import pathlib

import torch
import torchvision
from transformers import DetrImageProcessor, SegformerImageProcessor
from types import SimpleNamespace

GOLDEN = pathlib.Path(__file__).resolve().parent.parent / "golden"


def rounded(t):
    """A tensor of three decimals, so that the file says exactly what was read."""
    return (t * 1000).round() / 1000


def main():
    torch.manual_seed(0)
    detections, maps, nms = [], [], []
    for n, classes, size in [(6, 3, (40, 60)), (20, 5, (480, 333)), (1, 1, (7, 9))]:
        logits = rounded(3 * torch.randn(1, n, classes + 1))
        boxes = rounded(torch.cat([0.3 + 0.4 * torch.rand(1, n, 2), 0.05 + 0.5 * torch.rand(1, n, 2)], -1))
        got, = DetrImageProcessor().post_process_object_detection(
            SimpleNamespace(logits=logits, pred_boxes=boxes), threshold=0.5, target_sizes=[size])
        detections.append(dict(logits=logits[0].tolist(), boxes=boxes[0].tolist(), threshold=0.5, size=size,
                               want={k: v.tolist() for k, v in got.items()}))
    for shape, size in [((3, 4, 5), (9, 13)), ((4, 6, 3), (6, 3)), ((2, 8, 8), (3, 5)), ((5, 1, 1), (2, 2))]:
        logits = rounded(torch.randn(1, *shape))
        got, = SegformerImageProcessor().post_process_semantic_segmentation(
            SimpleNamespace(logits=logits), target_sizes=[size])
        maps.append(dict(logits=logits[0].tolist(), size=size, want=got.flatten().tolist()))
    for n, most in [(12, 0.3), (40, 0.5)]:
        corner, side = 60 * torch.rand(n, 2), 10 + 30 * torch.rand(n, 2)
        boxes, scores, labels = rounded(torch.cat([corner, corner + side], 1)), rounded(torch.rand(n)), torch.randint(0, 2, (n,))
        kept = torchvision.ops.batched_nms(boxes, scores, labels, most)
        nms.append(dict(boxes=boxes.tolist(), scores=scores.tolist(), labels=labels.tolist(), most=most, want=kept.tolist()))
    text = ",\n".join(f'"{name}": {json.dumps(rows, separators=(",", ":"))}' for name, rows in
                      [("detections", detections), ("maps", maps), ("nms", nms)])
    (GOLDEN / "predict.json").write_text(f"{{{text}}}\n")


if __name__ == "__main__":
    main()
