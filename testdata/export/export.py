"""Trains the test networks, exports them by both exporters of PyTorch, and writes golden numbers and pictures.

    python export.py          everything again: ../models, ../golden, ../images (about two minutes on two cores)

Data: the handwritten digits of scikit-learn (UCI "Optical Recognition of Handwritten Digits", CC BY 4.0), 8x8, one
channel. A pixel is round(value / 16 * 255), the network's input is pixel / 255, so the PNG files of images/digits
give exactly the inputs of the golden files. All goldens come from PyTorch on the CPU, never from an ONNX runtime.

golden/NAME.npz:
    input         float32 [N, 1, 8, 8]
    logits        float32 [N, 10]
    code          uint8 [N, bytes]: sites in execution order; in a site one plane of bits per knot, lowest knot first,
                  a plane in row-major order; numpy.packbits (most significant bit first); each site ends on a byte
    near          uint8, laid out like code: 1 where |value - knot| <= tolerance * scale of the site, scale being the
                  largest |value| there over the golden inputs. Rounding may flip these bits, and no others
    frame         float32 [P, d]: orthonormal rows
    radii         float64 [R]; vertices are x + float32(r) * q in float32 (mlp_half: all in float16)
    lc            int64 [R, points, sites]: local complexity of the first inputs, that is the number of units with a
                  bit that is not the same at all vertices x + r*q_p, x - r*q_p
    lc_sign3      the same with sign(value - knot) in {-1, 0, 1} instead of the bit
    lc_ambiguous  the number of units with |value - knot| <= tolerance * scale at some vertex
golden/NAME.json: sites, accuracy, the pictures that are the inputs, the models that must give these numbers.
mlp_half takes and returns float16; its arrays are stored as float32.

Training again on another machine gives other weights, as sums round differently, so commit models and goldens together.
"""

import json
import pathlib
import warnings

import numpy as np
import onnx
import torch
import torch.nn.functional as F
from onnx import TensorProto, helper, numpy_helper
from PIL import Image
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from exporters import export
from models import NETWORKS
from probe import Probe

TESTDATA = pathlib.Path(__file__).resolve().parent.parent
MODELS, GOLDEN, IMAGES = TESTDATA / "models", TESTDATA / "golden", TESTDATA / "images" / "digits"
INPUTS = 16
POINTS, DIRECTIONS, RADII = 6, 8, [0.01, 0.1, 0.5]
TOLERANCE = 1e-4
HALF_TOLERANCE = 4e-3  # float16 has 11 bits; a dot product of 64 terms loses two or three
EPOCHS = {"mlp": 40, "cnn": 40, "resnet_basic": 25, "resnet_bottleneck": 40, "mobilenet": 50, "vit": 80}


def digits():
    """Returns (train x, train y, test x, test y, test ids): x is float32 [N, 1, 8, 8] in [0, 1]."""
    values, labels = load_digits(return_X_y=True)
    pixels = np.round(values / 16 * 255).astype(np.uint8).reshape(-1, 1, 8, 8)
    train, test = train_test_split(np.arange(len(labels)), test_size=0.25, random_state=0, stratify=labels)
    x = torch.from_numpy(pixels.astype(np.float32) / np.float32(255))
    y = torch.from_numpy(labels)
    return x[train], y[train], x[test], y[test], test


def write_images(x, y, ids):
    """Writes the first ten held-out digits of each class; returns the rows of one golden batch and their paths."""
    rows = {}
    for label in range(10):
        for row in (y == label).nonzero().flatten()[:10].tolist():
            path = IMAGES / str(label) / f"{ids[row]:04d}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(np.round(x[row, 0].numpy() * 255).astype(np.uint8)).save(path, optimize=True)
            rows.setdefault(label, []).append((row, path.relative_to(TESTDATA).as_posix()))
    batch = [rows[i % 10][i // 10] for i in range(INPUTS)]
    return [row for row, _ in batch], [path for _, path in batch]


def train(name, x, y):
    torch.manual_seed(0)
    model = NETWORKS[name]()
    if name == "acts":
        model.spread(x)
        return model.eval()
    epochs = EPOCHS[name]
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3, weight_decay=1e-2)
    steps = -(-len(x) // 64)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 6e-3, epochs * steps)
    model.train()
    for _ in range(epochs):
        for rows in torch.randperm(len(x)).split(64):
            loss = F.cross_entropy(model(x[rows]), y[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    return model.eval()


def over_knots(value, knots):
    """Returns value - knot in float64 as [N, knots, units]: exact, so that its sign is that of the comparison."""
    flat = value.double().flatten(1)
    # A knot is the float of the model's own precision, as the activation's comparison sees it.
    return torch.stack([flat - torch.tensor(knot, dtype=value.dtype).double() for knot in knots], 1)


def pack(planes):
    """Packs [N, knots, units] booleans of each site into one row of bytes an input."""
    return np.concatenate([np.packbits(p.flatten(1).numpy(), axis=1) for p in planes], 1)


def frame(d):
    q, r = np.linalg.qr(np.random.default_rng(0).standard_normal((d, DIRECTIONS)))
    return (q * np.sign(np.diag(r))).T.astype(np.float32)


def golden(name, model, x, *, models, images, accuracy, tolerance=TOLERANCE):
    probe = Probe(model)
    logits, sites = probe.run(x)
    scales = [value.abs().max().double().item() for _, value in sites]
    bends = [over_knots(value, site["knots"]) for site, value in sites]
    arrays = {
        "input": x.float().numpy(), "logits": logits.float().numpy(),
        "code": pack([b > 0 for b in bends]),
        "near": pack([b.abs() <= tolerance * scale for b, scale in zip(bends, scales)]),
    }
    q = frame(x[0].numel())
    directions = torch.from_numpy(q).to(x.dtype).reshape(DIRECTIONS, *x.shape[1:])
    counts = {key: np.zeros((len(RADII), POINTS, len(sites)), np.int64) for key in ("lc", "lc_sign3", "lc_ambiguous")}
    for i, radius in enumerate(RADII):
        for j in range(POINTS):
            step = directions * torch.tensor(radius, dtype=x.dtype)
            _, at = probe.run(torch.cat([x[j] + step, x[j] - step]))
            for k, (site, value) in enumerate(at):
                bend = over_knots(value, site["knots"])
                bit, sign = bend > 0, bend.sign()
                counts["lc"][i, j, k] = (bit != bit[:1]).any(0).any(0).sum()
                counts["lc_sign3"][i, j, k] = (sign != sign[:1]).any(0).any(0).sum()
                counts["lc_ambiguous"][i, j, k] = (bend.abs() <= tolerance * scales[k]).any(0).any(0).sum()
    probe.close()
    arrays.update(counts, frame=q, radii=np.array(RADII))
    np.savez_compressed(GOLDEN / f"{name}.npz", **arrays)
    about = {
        "script": "testdata/export/export.py", "torch": torch.__version__, "models": models, "images": images,
        "accuracy": accuracy, "tolerance": tolerance, "sites": [site for site, _ in sites]}
    (GOLDEN / f"{name}.json").write_text(json.dumps(about, indent=1) + "\n")
    near = np.unpackbits(arrays["near"]).sum()
    units = sum(site["units"] for site, _ in sites)
    print(f"{name}: accuracy {accuracy}, {len(sites)} sites, {units} units, {near} near bits, "
          f"lc {counts['lc'].sum((1, 2)).tolist()} ambiguous {counts['lc_ambiguous'].sum((1, 2)).tolist()}", flush=True)


def accuracy_of(model, x, y):
    with torch.no_grad():
        return round((model(x).argmax(1) == y).float().mean().item(), 4)


def variants(name):
    """Yields (file stem, exporter, options) of the models that share one golden."""
    yield f"{name}_dynamo", "dynamo", {}
    yield f"{name}_torchscript", "torchscript", {}
    if name in ("resnet_basic", "vit"):
        yield f"{name}_dynamo_fixed", "dynamo", {"dynamic": False}
        yield f"{name}_torchscript_fixed", "torchscript", {"dynamic": False}
    if name in ("cnn", "mobilenet"):
        yield f"{name}_torchscript_opset11", "torchscript", {"opset": 11}
    if name == "acts":
        yield f"{name}_torchscript_opset13", "torchscript", {"opset": 13}  # CELU needs 12, HardSwish is not yet an op
        yield f"{name}_dynamo_opset18", "dynamo", {"opset": 18}


def store_weights_as(model, dtype):
    """Rewrites float initializers in a 16-bit type, each followed by a Cast to float."""
    to = {TensorProto.FLOAT16: np.float16, TensorProto.BFLOAT16: helper.tensor_dtype_to_np_dtype(TensorProto.BFLOAT16)}
    casts = []
    for tensor in model.graph.initializer:
        if tensor.data_type != TensorProto.FLOAT:
            continue
        name = tensor.name
        tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor).astype(to[dtype]), f"{name}_stored"))
        casts.append(helper.make_node("Cast", [f"{name}_stored"], [name], f"{name}_cast", to=TensorProto.FLOAT))
    nodes = list(model.graph.node)
    del model.graph.node[:]
    model.graph.node.extend(casts + nodes)
    onnx.checker.check_model(model)
    return model


def rounded(model, dtype):
    """Returns the float32 network with its weights rounded to dtype."""
    copy = NETWORKS["mlp"]().eval()
    copy.load_state_dict({key: value.to(dtype).float() for key, value in model.state_dict().items()})
    return copy


def main():
    warnings.simplefilter("ignore")
    torch.set_num_threads(2)
    torch.use_deterministic_algorithms(True)
    for folder in (MODELS, GOLDEN, IMAGES):
        folder.mkdir(parents=True, exist_ok=True)
    train_x, train_y, test_x, test_y, ids = digits()
    rows, images = write_images(test_x, test_y, ids)
    x = test_x[rows]
    for name in NETWORKS:
        model = train(name, train_x, train_y)
        accuracy = None if name == "acts" else accuracy_of(model, test_x, test_y)
        files = []
        for stem, exporter, options in variants(name):
            batch = x[:2] if options.get("dynamic", True) else x[:1]
            onnx.save(export(model, batch, exporter, **options), MODELS / f"{stem}.onnx")
            files.append(f"{stem}.onnx")
        if name == "cnn":
            (MODELS / "cnn_external.onnx.data").unlink(missing_ok=True)  # onnx.save appends
            onnx.save(export(model, x[:2], "dynamo"), MODELS / "cnn_external.onnx", save_as_external_data=True,
                      location="cnn_external.onnx.data", size_threshold=256)
            (MODELS / "cnn_external.onnx.data").chmod(0o644)
            files.append("cnn_external.onnx")
        golden(name, model, x, models=files, images=images, accuracy=accuracy)
        if name == "mlp":
            for suffix, dtype, onnx_dtype in [("fp16", torch.float16, TensorProto.FLOAT16),
                                              ("bf16", torch.bfloat16, TensorProto.BFLOAT16)]:
                copy = rounded(model, dtype)
                stored = store_weights_as(export(copy, x[:2], "dynamo"), onnx_dtype)
                onnx.save(stored, MODELS / f"mlp_{suffix}.onnx")
                golden(f"mlp_{suffix}", copy, x, models=[f"mlp_{suffix}.onnx"], images=images,
                       accuracy=accuracy_of(copy, test_x, test_y))
            half = rounded(model, torch.float16).half()  # float16 throughout, input and output as well
            onnx.save(export(half, x[:2].half(), "dynamo"), MODELS / "mlp_half.onnx")
            golden("mlp_half", half, x.half(), models=["mlp_half.onnx"], images=images,
                   accuracy=accuracy_of(half, test_x.half(), test_y), tolerance=HALF_TOLERANCE)


if __name__ == "__main__":
    main()
