"""Holds onnxprobe against PyTorch on 60 networks of timm, torchvision and transformers, as exported and as optimized.

    python zoo.py --bin bin/onnxprobe --out benchmarks/results/DATE-zoo.md [--treatments] [--only 'conv*']
                  [--exporter dynamo] [--limit 5] [--keep DIR] [--timeout 900]

needs, beside requirements.txt: pip install onnxruntime==1.32.0 (or onnxruntime-gpu, never both). Networks
have random weights and BatchNorm statistics and small inputs; each is exported with dynamo=True and with dynamo=False.
`onnxprobe codes` of ITEMS inputs is held against the values before each activation that PyTorch itself has, in float32
and float64 (oracle.py): bits that are wrong further than 1e-4 of the largest |value| from their knot, activations that
are neither a site nor named as unwatched, sites that are no activation, and refusals. A network's export runs in a
process of its own, so that a crash is a line of the report.

With --treatments, the marked networks go through what people run over a model before they use it. What keeps float32 is
held against PyTorch's bits. What does not (float16, mixed, quantized) must have the same sites, or name them, and is
held against the values of the treated graph itself, read at every non-linear operator.

Each result is a line of REPORT.jsonl beside the report as soon as it is there: a run that was stopped goes on where it
was. Files are deleted after use. Two cores need about two hours, four with treatments.
"""

import argparse
import collections
import copy
import datetime
import fnmatch
import json
import os
import pathlib
import platform
import shutil
import subprocess
import sys
import tempfile
import time
import traceback
import warnings

import numpy as np
import torch
import torch.nn as nn

import oracle
from exporters import export, reason

ITEMS = 2
EXPORTERS = ["dynamo", "torchscript"]

# The list, fixed before the first run, small models of one timm module file each first:
# (name, library, model, image size, options).
NETWORKS = [
    ("resnet", "timm", "resnet10t", 64, {}),
    ("vision_transformer", "timm", "vit_tiny_patch16_224", 64, dict(img_size=64, depth=3)),
    ("swin_transformer", "timm", "swin_tiny_patch4_window7_224", 64,
     dict(img_size=64, window_size=4, embed_dim=48, depths=(2, 2, 2), num_heads=(2, 4, 8))),
    ("convnext", "timm", "convnext_atto", 64, {}),
    ("efficientnet", "timm", "tinynet_e", 64, {}),
    ("mobilenetv3", "timm", "mobilenetv3_small_050", 64, {}),
    ("regnet", "timm", "regnety_002", 64, {}),
    ("densenet", "timm", "densenet121", 64, {}),
    ("vgg", "timm", "vgg11_bn", 224, dict(mlp_ratio=0.02)),
    ("inception_v3", "timm", "inception_v3", 96, {}),
    ("xception_aligned", "timm", "xception41", 64, {}),
    ("ghostnet", "timm", "ghostnet_050", 64, {}),
    ("hrnet", "timm", "hrnet_w18_small", 64, {}),
    ("dla", "timm", "dla46_c", 64, {}),
    ("res2net", "timm", "res2net50_14w_8s", 64, {}),
    ("resnest", "timm", "resnest14d", 64, {}),
    ("sknet", "timm", "skresnet18", 64, {}),
    ("senet", "timm", "legacy_seresnet18", 64, {}),
    ("byobnet", "timm", "repvgg_a0", 64, {}),
    ("repvit", "timm", "repvit_m0_9", 64, {}),
    ("fastvit", "timm", "fastvit_t8", 64, {}),
    ("efficientformer_v2", "timm", "efficientformerv2_s0", 64, dict(img_size=64)),
    ("poolformer", "timm", "poolformer_s12", 64, {}),
    ("metaformer", "timm", "caformer_s18", 64, {}),
    ("xcit", "timm", "xcit_nano_12_p16_224", 64, dict(depth=4)),
    ("cait", "timm", "cait_xxs24_224", 64, dict(img_size=64, depth=4)),
    ("deit", "timm", "deit_tiny_distilled_patch16_224", 64, dict(img_size=64, depth=3)),
    ("beit", "timm", "beit_base_patch16_224", 64, dict(img_size=64, depth=3, embed_dim=96, num_heads=3)),
    ("eva", "timm", "eva02_tiny_patch14_224", 56, dict(img_size=56, depth=3)),
    ("mlp_mixer", "timm", "gmlp_ti16_224", 64, dict(img_size=64)),
    ("levit", "timm", "levit_128s", 224, {}),
    ("mobilevit", "timm", "mobilevit_xxs", 64, {}),
    ("maxxvit", "timm", "coatnet_pico_rw_224", 64, dict(img_size=64)),
    ("coat", "timm", "coat_lite_tiny", 64, dict(img_size=64)),
    ("convit", "timm", "convit_tiny", 64, dict(img_size=64, depth=4)),
    ("edgenext", "timm", "edgenext_xx_small", 64, {}),
    ("gcvit", "timm", "gcvit_xxtiny", 224, {}),
    ("hgnet", "timm", "hgnetv2_b0", 64, {}),
    ("pvt_v2", "timm", "pvt_v2_b0", 64, {}),
    ("rexnet", "timm", "rexnet_100", 64, {}),
    ("starnet", "timm", "starnet_s050", 64, {}),
    ("nfnet", "timm", "nf_regnet_b0", 64, {}),
    ("swiftformer", "timm", "swiftformer_xs", 64, {}),
    ("tiny_vit", "timm", "tiny_vit_5m_224", 64, {}),
    ("sequencer", "timm", "sequencer2d_s", 64, dict(img_size=64, layers=(1, 1, 2, 1))),
    ("efficientvit_mit", "timm", "efficientvit_b0", 64, {}),
    ("pit", "timm", "pit_ti_224", 64, dict(img_size=64)),
    ("tv_mobilenet_v2", "torchvision", "mobilenet_v2", 64, {}),
    ("tv_googlenet", "torchvision", "googlenet", 64, dict(aux_logits=False, init_weights=False)),
    ("tv_shufflenet", "torchvision", "shufflenet_v2_x0_5", 64, {}),
    ("tv_squeezenet", "torchvision", "squeezenet1_1", 64, {}),
    ("tv_mnasnet", "torchvision", "mnasnet0_5", 64, {}),
    ("tf_clip", "transformers", "CLIPVision", 64, dict(hidden_act="quick_gelu")),
    ("tf_dinov2", "transformers", "Dinov2", 56, dict(patch_size=14, use_swiglu_ffn=True)),
    ("tf_siglip", "transformers", "SiglipVision", 64, {}),
    ("tf_beit", "transformers", "Beit", 64, dict(use_relative_position_bias=True)),
    ("tf_vit", "transformers", "ViT", 64, {}),
    ("tf_segformer", "transformers", "Segformer", 64, {}),
    ("tf_convnextv2", "transformers", "ConvNextV2", 64, dict(hidden_sizes=[24, 48, 96, 192], depths=[1, 1, 2, 1])),
    ("tf_mobilevit", "transformers", "MobileViT", 64, {}),
]
TREATED = ["resnet", "vision_transformer", "swin_transformer", "convnext", "efficientnet", "mobilenetv3", "regnet",
           "densenet", "vgg", "ghostnet", "dla", "resnest", "byobnet", "repvit", "fastvit", "efficientformer_v2",
           "poolformer", "metaformer", "cait", "eva", "mlp_mixer", "levit", "mobilevit", "edgenext", "hgnet", "starnet",
           "tv_mobilenet_v2", "tv_shufflenet", "tf_clip", "tf_convnextv2"]


class Vision(nn.Module):
    """A vision encoder of transformers as a function of its pictures, to its pooler: all that it computes is used."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, x):
        out = self.model(pixel_values=x)
        pooled = getattr(out, "pooler_output", None)
        return out.last_hidden_state if pooled is None else pooled


def build(library, name, size, options):
    """Returns (model, input): random weights, such that every layer says something."""
    torch.manual_seed(0)
    if library == "timm":
        import timm
        model = timm.create_model(name, pretrained=False, num_classes=10, **options)
    elif library == "torchvision":
        import torchvision
        model = getattr(torchvision.models, name)(weights=None, num_classes=10, **options)
    else:
        import transformers
        small = dict(image_size=size, hidden_size=64, num_hidden_layers=2, num_attention_heads=4, intermediate_size=128)
        if name in ("Segformer", "ConvNextV2", "MobileViT"):
            small = dict(image_size=size)
        config = getattr(transformers, f"{name}Config")(**{**small, **options})
        model = Vision(getattr(transformers, f"{name}Model")(config))
    spread(model.eval(), size)
    return model.eval(), torch.randn(ITEMS, 3, size, size)


@torch.no_grad()
def spread(model, size):
    """Random scales and statistics for norms; and numbers for what a library starts at zero or at one tiny value."""
    for name, p in model.named_parameters():
        if p.numel() > 1 and (p.abs().max() < 2e-4 or p.max() == p.min()):
            scale = any(word in name for word in ("gamma", "layer_scale", "ls1", "ls2", "scale"))
            p.copy_(torch.rand_like(p) * 0.4 + 0.1 if scale else torch.randn_like(p) * 0.05)
    batch_norms = (nn.BatchNorm1d, nn.BatchNorm2d)
    for m in model.modules():
        if isinstance(m, (*batch_norms, nn.LayerNorm, nn.GroupNorm)) and m.weight is not None:
            m.weight.uniform_(0.5, 1.5)
            if m.bias is not None:
                m.bias.normal_(0, 0.2)
    norms = [m for m in model.modules() if isinstance(m, batch_norms)]
    momenta = [m.momentum for m in norms]
    for m in norms:
        m.momentum = 1.0
        m.train()
    if norms:
        model(torch.randn(4, 3, size, size))
    for m, momentum in zip(norms, momenta):
        m.momentum = momentum
        m.eval()


# Treatments: functions from one file to another. The first six keep float32.


def onnxsim(source, target):
    import onnx
    import onnxsim
    model, _ = onnxsim.simplify(onnx.load(source))
    onnx.save(model, target)


def onnxslim(source, target):
    import onnx
    import onnxslim
    onnx.save(onnxslim.slim(onnx.load(source)), target)


def saved_by_ort(level):
    def treat(source, target):
        import onnxruntime as ort
        options = ort.SessionOptions()
        options.graph_optimization_level = getattr(ort.GraphOptimizationLevel, level)
        options.optimized_model_filepath = str(target)
        options.log_severity_level, options.intra_op_num_threads = 3, 1
        ort.InferenceSession(str(source), options, providers=["CPUExecutionProvider"])
    return treat


def transformers_optimizer(source, target):
    from onnxruntime.transformers import optimizer
    optimizer.optimize_model(str(source), model_type="vit", num_heads=0, hidden_size=0, opt_level=0).save_model_to_file(
        str(target))


def version_converter(source, target):
    import onnx
    from onnx import version_converter
    model = onnx.load(source)
    version = next(o.version for o in model.opset_import if o.domain in ("", "ai.onnx"))
    onnx.save(version_converter.convert_version(model, 21 if version < 21 else 22), target)


def float16(source, target, **options):
    import onnx
    from onnxruntime.transformers.float16 import convert_float_to_float16
    onnx.save(convert_float_to_float16(onnx.load(source), keep_io_types=True, **options), target)


def mixed(source, target):
    """As people do where float16 overflows: norms, softmax and what leads to them stay float32."""
    from onnxruntime.transformers.float16 import DEFAULT_OP_BLOCK_LIST
    kept = ["Softmax", "LayerNormalization", "ReduceMean", "Pow", "Sqrt", "Div", "Erf", "Gelu", "Sigmoid", "Exp"]
    float16(source, target, op_block_list=[*DEFAULT_OP_BLOCK_LIST, *kept])


def quantize_dynamic(source, target):
    from onnxruntime.quantization import QuantType, quantize_dynamic
    quantize_dynamic(str(source), str(target), weight_type=QuantType.QUInt8)


def quantize_static(source, target):
    import onnx
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, quantize_static
    shape = [d.dim_value or ITEMS for d in onnx.load(source).graph.input[0].type.tensor_type.shape.dim]
    batches = iter(np.random.default_rng(1).standard_normal((4, *shape)).astype(np.float32))

    class Reader(CalibrationDataReader):
        def get_next(self):
            batch = next(batches, None)
            return None if batch is None else {"input": batch}

    quantize_static(str(source), str(target), Reader(), quant_format=QuantFormat.QDQ, per_channel=True)


FLOAT32 = {"onnxsim": onnxsim, "onnxslim": onnxslim, "ort basic": saved_by_ort("ORT_ENABLE_BASIC"),
           "ort extended": saved_by_ort("ORT_ENABLE_EXTENDED"), "transformers.optimizer": transformers_optimizer,
           "version converter": version_converter}
LOSSY = {"float16": float16, "mixed": mixed, "quantize_dynamic": quantize_dynamic, "QDQ": quantize_static}
TREATMENTS = {**FLOAT32, **LOSSY}
# float16 has 11 bits, and a dot product loses some; a fused integer kernel may round to the next of 255 steps.
LOSSY_FAR = {"float16": 4e-3, "mixed": 4e-3, "quantize_dynamic": 2e-2, "QDQ": 2e-2}


def treat(name, source, target):
    """Runs a treatment in a process of its own: some crash."""
    command = [sys.executable, __file__, "--treat", name, str(source), str(target)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600)
    if done.returncode or not target.exists():
        raise RuntimeError(last_line(done.stderr) or f"exit {done.returncode}")
    import onnxruntime as ort
    try:  # what is made has to be a model
        ort.InferenceSession(str(target), providers=["CPUExecutionProvider"])
    except Exception as error:
        raise RuntimeError(f"ONNX Runtime does not load what it made: {last_line(str(error))}") from error


# The values of a graph, where it is not PyTorch's any more.


def constants(graph):
    from onnx import numpy_helper
    found = {t.name: t for t in graph.initializer}
    found.update({n.output[0]: a.t for n in graph.node if n.op_type == "Constant" for a in n.attribute
                  if a.name == "value"})
    return lambda name: numpy_helper.to_array(found[name]).astype(np.float64) if name in found else None


def non_linear(graph):
    """Yields (node, inputs to read, knots or None for the second against the first, smooth)."""
    value = constants(graph)
    from onnx import helper
    plain = {op: [0.0] for op in ("Relu", "LeakyRelu", "PRelu", "Elu", "Selu", "Celu", "Abs", "Sign")}
    plain["HardSwish"] = [-3.0, 3.0]
    smooth = {"Gelu", "FastGelu", "QuickGelu", "Sigmoid", "Tanh", "Erf", "Softplus", "Mish", "Softsign", "Swish"}
    for n in graph.node:
        options = {a.name: helper.get_attribute_value(a) for a in n.attribute}
        if n.op_type in plain:
            yield n, n.input[:1], plain[n.op_type], False
        elif n.op_type in smooth:
            yield n, n.input[:1], [0.0], True
        elif n.op_type == "HardSigmoid":
            a, b = options.get("alpha", 0.2), options.get("beta", 0.5)
            yield n, n.input[:1], sorted([-b / a, (1 - b) / a]), False
        elif n.op_type == "Clip":
            bounds = [value(i) for i in n.input[1:] if i]
            if all(b is not None and b.size == 1 for b in bounds):
                yield n, n.input[:1], [b.item() for b in bounds if abs(b.item()) < 6e4], False
        elif n.op_type in ("Max", "Min", "Greater", "Less", "GreaterOrEqual", "LessOrEqual") and len(n.input) == 2:
            got = [value(i) for i in n.input]
            for k in (0, 1):
                if got[k] is not None and got[k].size == 1 and got[1 - k] is None:
                    yield n, [n.input[1 - k]], [got[k].item()], False
            if got[0] is None and got[1] is None:
                yield n, n.input[:2], None, False


def graph_records(path, x, alone):
    """Records, as oracle.py has them, of a graph's own values, with the optimizations of ONNX Runtime off; of items run
    alone where what a quantizer makes of one depends on the others."""
    import onnx
    import onnxruntime as ort
    model = onnx.load(path)
    found = [q for q in non_linear(model.graph) if q[2] is None or q[2]]
    names = list(dict.fromkeys(i for q in found for i in q[1]))
    known = {v.name for v in (*model.graph.output, *model.graph.input)}
    model.graph.output.extend(onnx.helper.make_empty_tensor_value_info(n) for n in names if n not in known)
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level, options.intra_op_num_threads = 3, 1
    session = ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    wanted = [n for n in names if n not in {i.name for i in model.graph.input}]
    runs = [session.run(wanted, {"input": item}) for item in (x[i:i + 1] for i in range(len(x)))] if alone else [
        session.run(wanted, {"input": x})]
    values = dict(zip(wanted, (np.concatenate(v) if v[0].ndim else v[0] for v in zip(*runs))), input=x)
    reader, records = oracle.Recorder(nn.Identity(), len(x)), []
    for node, inputs, knots, smooth in found:
        got = [torch.from_numpy(np.asarray(values[i])) for i in inputs]
        if not all(t.is_floating_point() for t in got) or got[0].numel() % len(x):
            continue
        if knots is None:
            a, b = torch.broadcast_tensors(*got)
            readings = [reader.against(a, [b]), reader.against(b, [a])]
        else:
            a, readings = got[0], [reader.against(got[0], knots)]
        records.append(oracle.Record(node.op_type, node.name, True, smooth, list(a.shape[1:]), knots, readings))
    return records


# One network.


def probe(binary, path, x_path, folder, optimize="all"):
    """Returns (sites, unwatched, codes, inspect's JSON) of a model; raises with onnxprobe's words."""
    def run(*command):
        done = subprocess.run([str(c) for c in command], capture_output=True, text=True, timeout=600)
        if done.returncode:
            raise RuntimeError(f"{command[1]}: exit {done.returncode}: {done.stderr.strip()[:400]}")
        return done.stdout

    about = json.loads(run(binary, "inspect", path, "--json"))
    if not about["sites"]:
        return [], about.get("unwatched") or [], np.zeros((ITEMS, 0), np.uint8), about
    out = folder / "codes.npy"
    run(binary, "codes", path, x_path, "--preprocess", "none", "--backend", "ort", "--threads", "1", "--quiet",
        "--force", "--optimize", optimize, "-o", out)
    manifest = json.loads(pathlib.Path(f"{out}.manifest.json").read_text())
    return manifest["sites"], about.get("unwatched") or [], np.load(out), about


def kinds(sites):
    return collections.Counter(s["op"] for s in sites)


def told(report, unwatched):
    return dict(
        sites=len(report["pairs"]) + len(report["spurious"]), unwatched=len(unwatched),
        kinds=dict(collections.Counter(e.get("kind", "") for e in unwatched)),
        bits=report["bits"], near=report["near"], far=report["far"], far_sites=report["far_sites"],
        spurious=[f"{s['name']}: {s['op']} {s['shape']} {s.get('knots')}" for s in report["spurious"]],
        missed=[str(r) for r in report["missed"]], unnamed=[str(r) for r in report["unnamed"]],
        smooth=[s["name"] for s, r in report["pairs"] if bool(s.get("smooth")) != r.smooth])


def one(name, exporter, forms, args):
    """Builds, exports, treats and compares one network; gives each result to args.emit."""
    _, library, model_name, size, options = next(n for n in NETWORKS if n[0] == name)
    started = time.time()
    model, x = build(library, model_name, size, options)
    _, records = oracle.record(model, x)
    double = False
    try:
        _, others = oracle.record(copy.deepcopy(model).double(), x.double())
        double = oracle.confirm(records, others)
        del others
    except Exception as error:
        print(f"{name}: no float64: {error}", file=sys.stderr)
    finite = all(np.isfinite(p.gap).all() for r in records for planes in r.readings for p in planes)
    common = dict(activations=sum(r.activation for r in records), float64=double, finite=finite)
    folder = args.folder
    np.save(folder / "x.npy", x.numpy())
    path = folder / f"{name}_{exporter}.onnx"
    try:
        batch = save(model, x, exporter, path)
    except Exception as error:
        for form in forms:
            args.emit(dict(network=name, model=model_name, exporter=exporter, form=form, stage="export",
                           refused=reason(error)))
        return
    common.update(batch=batch, export_s=round(time.time() - started, 1))
    del model
    before = None  # the plain file's sites
    for form in forms:
        result, started = dict(common), time.time()
        file = path if form == "plain" else folder / f"{name}_{exporter}_{form.replace(' ', '_')}.onnx"
        stage = "treatment"
        try:
            if form != "plain":
                treat(form, path, file)
            stage = "onnxprobe"
            lossy = form in LOSSY
            # Quantized graphs are held against their own values, of kernels that are not fused.
            sites, unwatched, codes, _ = probe(args.bin, file, folder / "x.npy", folder, "none" if form in ("quantize_dynamic", "QDQ") else "all")
            stage = "comparison"
            report = oracle.align(sites, codes, records, unwatched, alike=0.75 if lossy else oracle.ALIKE)
            result.update(told(report, unwatched))
            if lossy:  # the bits are those of the treated graph
                own = oracle.align(sites, codes, graph_records(file, x.numpy(), form == "quantize_dynamic"), alike=0.9, far=LOSSY_FAR[form])
                kept = told(own, unwatched)
                result.update({key: kept[key] for key in ("bits", "near", "far", "far_sites", "spurious")})
                # Deep in a network of few bits PyTorch's own bits are others: as many sites of the kind as without
                # the treatment are the same.
                if before is None:
                    before = probe(args.bin, path, folder / "x.npy", folder)[0]
                kept = {op.lower() for op, n in kinds(before).items() if kinds(sites)[op] == n}
                result["missed"] = [str(r) for r in report["missed"] if not oracle.words(r.op) & kept]
            if form == "plain":
                before = sites
        except Exception as error:
            result.update(stage=stage, refused=str(error)[-500:] or type(error).__name__)
            if stage == "comparison":
                result["refused"] = traceback.format_exc()[-800:]
        result["seconds"] = round(time.time() - started, 1)
        args.emit(dict(network=name, model=model_name, exporter=exporter, form=form, **result))
        if form != "plain" and not args.keep:
            for left in folder.glob(f"{file.name}*"):
                left.unlink()


def save(model, x, exporter, path):
    """Exports with an open batch, or, where PyTorch refuses that, with the batch of x; says which."""
    import onnx
    try:
        onnx.save(export(model, x, exporter), path)
        return "open"
    except Exception:
        onnx.save(export(model, x, exporter, dynamic=False), path)
        return "fixed"


# The run.


def last_line(text):
    lines = [line.strip() for line in (text or "").splitlines() if line.strip()]
    return lines[-1][:300] if lines else ""


def read_lines(path):
    if not path.exists():
        return []
    lines = []
    for line in path.read_text().splitlines():
        try:
            lines.append(json.loads(line))
        except json.JSONDecodeError:
            pass  # cut off when a run was stopped
    return lines


def run_one(name, exporter, forms, args, lines):
    folder = pathlib.Path(args.keep or tempfile.mkdtemp(prefix="zoo-"))
    folder.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, __file__, "--one", name, "--exporter", exporter, "--forms", ",".join(forms),
               "--bin", args.bin, "--lines", str(lines), "--folder", str(folder)]
    if args.keep:
        command += ["--keep", args.keep]
    try:
        done = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
                              timeout=args.timeout * (1 if forms == ["plain"] else 4))
        why = "" if not done.returncode else last_line(done.stderr) or f"exit {done.returncode}"
        if done.returncode < 0:
            why = f"signal {-done.returncode}"
    except subprocess.TimeoutExpired:
        why = f"no result in {args.timeout} s"
    finally:
        if not args.keep:
            shutil.rmtree(folder)
    have = {(r["network"], r["exporter"], r["form"]) for r in read_lines(lines)}
    with open(lines, "a") as out:
        for form in forms:
            if (name, exporter, form) not in have:
                out.write(json.dumps(dict(network=name, exporter=exporter, form=form, stage="export",
                                          refused=why or "no result")) + "\n")


def table(head, rows):
    return ["| " + " | ".join(head) + " |", "|" + "---|" * len(head),
            *("| " + " | ".join(str(c) for c in row) + " |" for row in rows), ""]


def clean(text):
    return " ".join(str(text).split()).replace("|", "\\|")[:200]


def write_report(results, args):
    import onnx
    plain = [r for r in results if r["form"] == "plain"]
    treated = [r for r in results if r["form"] != "plain"]
    lines = ["# onnxprobe on the zoo", "",
             f"{datetime.date.today()}, {version(args.bin)}, PyTorch {torch.__version__}, onnx {onnx.__version__}, "
             f"{packages()}, {platform.machine()}. Made by `testdata/export/zoo.py`, which says what is compared.", ""]
    for title, some in [("As exported", plain), ("Treated, float32", [r for r in treated if r["form"] in FLOAT32]),
                        ("Treated, not float32", [r for r in treated if r["form"] in LOSSY])]:
        if some:
            lines += [f"**{title}.** {summary(some)}", ""]
    by_network = collections.defaultdict(dict)
    for r in plain:
        by_network[r["network"]][r["exporter"]] = r
    rows = []
    for name, *_ in NETWORKS:
        for exporter, r in sorted(by_network.get(name, {}).items()):
            if "refused" in r:
                rows.append([name, exporter, r.get("activations", ""), "refused", "", "", "", "", "", ""])
            else:
                rows.append([name, exporter, r["activations"], r["sites"], r["unwatched"], f"{r['bits']:,}", r["near"],
                             r["far"], len(r["missed"]), len(r["spurious"])])
    lines += ["## As exported", ""] + table(
        ["Network", "Exporter", "Activations", "Sites", "Unwatched", "Bits", "Wrong, near", "Wrong, far", "Missed",
         "No activation"], rows)
    if treated:
        rows = []
        base = {(r["network"], r["exporter"]): r for r in plain if "refused" not in r}
        for form in TREATMENTS:
            some = [r for r in treated if r["form"] == form]
            good = [r for r in some if "refused" not in r]
            fewer = sum(max(0, base[r["network"], r["exporter"]]["sites"] - r["sites"]) for r in good
                        if (r["network"], r["exporter"]) in base)
            rows.append([form, len(some), sum(r.get("stage") in ("treatment", "export") for r in some),
                         sum(r.get("stage") in ("onnxprobe", "comparison") for r in some),
                         sum(r["sites"] for r in good), fewer, f"{sum(r['bits'] for r in good):,}",
                         sum(r["near"] for r in good), sum(r["far"] for r in good),
                         sum(len(r["missed"]) for r in good), sum(len(r["spurious"]) for r in good)])
        lines += ["## Treated", ""] + table(
            ["Treatment", "Models", "Not made", "Refused", "Sites", "Fewer than plain", "Bits", "Wrong, near",
             "Wrong, far", "Missed", "No activation"], rows)
    refused = [r for r in results if "refused" in r]
    if refused:
        lines += ["## Refused", ""]
        lines += [f"- {of(r)}, by {r['stage']}: {clean(r['refused'])}" for r in refused] + [""]
    for key, title in [("far_sites", "Bits wrong, far from their knot"),
                       ("missed", "Activations neither a site nor named"),
                       ("spurious", "Sites that are no activation"),
                       ("smooth", "Sites whose `smooth` is not PyTorch's"),
                       ("unnamed", "What bends otherwise (norms, softmax, pooling, gates), neither a site nor named")]:
        some = [r for r in results if r.get(key)]
        if some:
            lines += [f"## {title}", ""]
            for r in some:
                more = [f"and {len(r[key]) - 6} more"] if len(r[key]) > 6 else []
                lines.append(f"- {of(r)}: " + "; ".join([clean(v) for v in r[key][:6]] + more))
            lines.append("")
    args.out.write_text("\n".join(lines))


def of(r):
    return f"{r['network']}, {r['exporter']}, {r['form']}"


def summary(some):
    good = [r for r in some if "refused" not in r]
    own = [r for r in some if r.get("stage") in ("onnxprobe", "comparison")]
    asked = [r for r in some if r.get("stage") not in ("export", "treatment")]
    share = 100 * len(own) / max(1, len(asked))
    return (f"{len({r['network'] for r in some})} networks, {len(some)} models, {len(some) - len(asked)} not made, "
            f"{len(own)} refused ({share:.1f} %). {sum(r['sites'] for r in good):,} sites, "
            f"{sum(r['bits'] for r in good):,} bits: {sum(r['far'] for r in good):,} wrong far from their knot, "
            f"{sum(r['near'] for r in good):,} wrong near it. {sum(len(r['missed']) for r in good)} activations "
            f"neither a site nor named, {sum(len(r['spurious']) for r in good)} sites that are no activation.")


def version(binary):
    done = subprocess.run([binary, "version"], capture_output=True, text=True)
    return last_line(done.stdout) or "onnxprobe"


def packages():
    import importlib.metadata as metadata
    return ", ".join(f"{p} {metadata.version(p)}" for p in ("timm", "torchvision", "transformers", "onnxruntime"))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", default="bin/onnxprobe")
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path("zoo.md"))
    parser.add_argument("--only", default="*", help="networks whose names match")
    parser.add_argument("--exporter", choices=EXPORTERS)
    parser.add_argument("--treatments", action="store_true")
    parser.add_argument("--limit", type=int, help="so many networks")
    parser.add_argument("--keep", help="a folder for the models, which are else deleted")
    parser.add_argument("--timeout", type=int, default=900, help="seconds for one export and its comparison")
    for inner in ("--one", "--forms", "--lines", "--folder"):
        parser.add_argument(inner, help=argparse.SUPPRESS)
    parser.add_argument("--treat", nargs=3, help=argparse.SUPPRESS)
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    if args.treat:
        name, source, target = args.treat
        return TREATMENTS[name](pathlib.Path(source), pathlib.Path(target))
    if args.one:
        args.folder = pathlib.Path(args.folder)

        def emit(result):
            with open(args.lines, "a") as out:
                out.write(json.dumps(result) + "\n")
        args.emit = emit
        return one(args.one, args.exporter, args.forms.split(","), args)
    args.bin = os.path.abspath(args.bin)
    lines = args.out.with_suffix(".jsonl")
    chosen = [n[0] for n in NETWORKS if fnmatch.fnmatch(n[0], args.only)][:args.limit]
    if not chosen:
        raise SystemExit(f"no network matches {args.only!r}; there are {[n[0] for n in NETWORKS]}")
    for name in chosen:
        for exporter in [args.exporter] if args.exporter else EXPORTERS:
            have = {(r["network"], r["exporter"], r["form"]) for r in read_lines(lines)}
            forms = ["plain"] + (list(TREATMENTS) if args.treatments and name in TREATED else [])
            left = [form for form in forms if (name, exporter, form) not in have]
            if left:
                run_one(name, exporter, left, args, lines)
            for r in read_lines(lines):
                if (r["network"], r["exporter"]) == (name, exporter) and r["form"] in left:
                    words = clean(r["refused"]) if "refused" in r else (
                        f"{r['activations']} activations, {r['sites']} sites, {r['bits']:,} bits, {r['near']} near, "
                        f"{r['far']} far, {len(r['missed'])} missed, {len(r['spurious'])} spurious")
                    print(f"{name} {exporter} {r['form']}: {words}", flush=True)
            write_report(read_lines(lines), args)


if __name__ == "__main__":
    main()
