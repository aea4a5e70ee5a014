"""Records every place where a PyTorch model bends, and holds onnxprobe's sites against them.

record() watches the operators of ATen that run, below modules and functions: so it sees functional and in-place calls,
and clones what an in-place operator overwrites. Only values that depend on the input count. It shares no code with
onnxprobe and nothing with the ONNX exporters.

A Record has readings, each a list of planes of bits; more than one where two readings are right (the winner of two
values, or one against the other). A plane says for each unit its bit, its distance from the knot and the largest
|value| of the record.

align() pairs sites with records by size and agreement of bits, and says what has no partner.
"""

import collections
import math
from dataclasses import dataclass, field

import numpy as np
import torch
import torch.nn as nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

FAR = 1e-4  # of the largest |value|: a bit that is wrong further from its knot than this is no rounding
ALIKE = 0.95  # the least share of equal bits at which a site is taken for a record


@dataclass
class Plane:
    bits: np.ndarray  # bool [N, units]
    gap: np.ndarray  # float32 [N, units]: distance from the knot, as a share of the largest |value|


@dataclass
class Record:
    op: str
    path: str  # of the innermost module that ran it
    activation: bool  # else something that bends, but is not called so: softmax, norms, pooling, gates
    smooth: bool
    shape: list
    knots: list | None = None
    readings: list = field(default_factory=list)  # none: it has no bits, and can only be named

    def __str__(self):
        return f"{self.path or '(model)'}: {self.op} {self.shape}" + (f" {self.knots}" if self.knots else "")


# What PyTorch calls what bends at fixed places: op -> (word, knots of the call, smooth).
FIXED = {}


def fixed(names, word, at, smooth=False):
    for name in names.split():
        FIXED[name] = FIXED[f"{name}_"] = (word, at, smooth)


def always(*knots):
    return lambda args, kwargs: list(knots)


def option(args, kwargs, place, name, default):
    return args[place] if len(args) > place else kwargs.get(name, default)


def shrink(args, kwargs):
    bound = float(option(args, kwargs, 1, "lambd", 0.5))
    return [-bound, bound]


for ops, word in [("relu", "relu"), ("leaky_relu", "leaky_relu"), ("_prelu_kernel", "prelu"), ("elu", "elu"),
                  ("selu", "selu"), ("celu", "celu"), ("abs", "abs"), ("sign sgn", "sign"),
                  ("rrelu_with_noise rrelu_with_noise_functional", "rrelu"), ("heaviside", "heaviside")]:
    fixed(ops, word, always(0.0))
for ops, word in [("gelu", "gelu"), ("silu", "silu"), ("mish", "mish"), ("softplus", "softplus"), ("tanh", "tanh"),
                  ("erf", "erf"), ("log_sigmoid_forward", "logsigmoid"), ("sigmoid", "sigmoid"), ("exp", "exp"),
                  ("atan", "atan")]:
    fixed(ops, word, always(0.0), smooth=True)
fixed("hardswish", "hardswish", always(-3.0, 3.0))
fixed("hardsigmoid", "hardsigmoid", always(-3.0, 3.0))
fixed("threshold", "threshold", lambda args, kwargs: [float(args[1])])
fixed("hardshrink", "hardshrink", shrink)
fixed("softshrink", "softshrink", shrink)

COMPARE = {"gt": 1, "ge": 1, "lt": -1, "le": -1}
# What turns a mask of a comparison into a bend, and what only carries it on.
MASKED = {"where", "masked_fill", "masked_fill_", "mul", "mul_", "index_put", "index_put_", "_index_put_impl_"}
CARRY = {"bitwise_and", "bitwise_or", "bitwise_not", "logical_and", "logical_or", "logical_not", "_to_copy", "view",
         "unsqueeze", "expand", "squeeze", "alias", "clone", "type_as", "__and__", "__or__"}
# What bends and is not called an activation. It has no bits here.
OTHER = {"_softmax": "softmax", "_log_softmax": "softmax", "native_layer_norm": "layer_norm",
         "_fused_rms_norm": "rms_norm", "native_group_norm": "group_norm",
         "max_pool2d_with_indices": "max_pool", "max_pool3d_with_indices": "max_pool",
         "adaptive_max_pool2d": "max_pool", "_scaled_dot_product_flash_attention_for_cpu": "softmax",
         "_scaled_dot_product_attention_math": "softmax", "topk": "topk", "sort": "sort", "round": "round",
         "floor": "round", "ceil": "round", "trunc": "round", "sin": "sin", "cos": "sin",
         "bernoulli": "random", "rand_like": "random", "randn_like": "random", "native_dropout": "random"}
JUMPS = {"max_pool", "topk", "sort", "round", "random"}
# Takes only the shape of what it is given.
SHAPED = {"zeros_like", "ones_like", "empty_like", "full_like", "new_zeros", "new_ones", "new_empty", "new_full",
          "rand_like", "randn_like"}


class Recorder(TorchDispatchMode):
    def __init__(self, model, items):
        super().__init__()
        self.records, self.items, self.muted = [], items, 0
        self.stack, self.handles = [""], []
        self.alive = {}  # id or storage -> tensor: what is kept cannot be mistaken for another
        self.storages = set()  # of what depends on the input
        self.masks = {}  # id of a mask -> its comparisons, not yet recorded
        self.gates = {}  # id of a sigmoid -> (its record, what it was taken of)
        self.scaled = {}  # id of c * x, c > 0 -> x
        for name, module in model.named_modules():
            self.handles += [module.register_forward_pre_hook(self.enter(name)),
                             module.register_forward_hook(self.leave(), always_call=True)]

    def close(self):
        for handle in self.handles:
            handle.remove()

    def enter(self, name):
        def hook(module, args):
            self.stack.append(name)
            if isinstance(module, nn.RNNBase):
                if not self.muted and any(self.depends(t) for t in tree_leaves(args)):
                    self.records.append(Record(type(module).__name__.lower(), name, False, True, []))
                self.muted += 1
        return hook

    def leave(self):
        def hook(module, args, output):
            self.stack.pop()
            if isinstance(module, nn.RNNBase):
                self.muted -= 1
        return hook

    # Which values depend on the input.

    def mark(self, tree):
        for t in tree_leaves(tree):
            if isinstance(t, torch.Tensor):
                self.keep(t)
                self.storages.add(t.untyped_storage()._cdata)

    def keep(self, t):
        self.alive[id(t)] = t

    def depends(self, t):
        return isinstance(t, torch.Tensor) and t.untyped_storage()._cdata in self.storages

    def live(self, t):
        """A number that depends on the input."""
        return self.depends(t) and t.is_floating_point()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        name = func.overloadpacket.__name__
        if not self.muted:
            self.before(name, args, kwargs)
        out = func(*args, **kwargs)
        if name not in SHAPED and any(self.depends(t) for t in tree_leaves((args, kwargs))):
            self.mark(out)
        if not self.muted:
            self.after(name, args, out)
        return out

    # What bends.

    def add(self, op, value, planes, *, activation=True, smooth=False, knots=None, shape=None, place=None):
        record = Record(op, self.stack[-1], activation, smooth, list((shape or value.shape)[1:]), knots, planes)
        self.records.insert(len(self.records) if place is None else place, record)
        return record

    def rows(self, t):
        """[N, units]: a value whose first axis is items times windows is item by item, too."""
        n = self.items
        if t.dim() and t.shape[0] % n == 0:
            return t.reshape(n, -1)
        axis = next((i for i, size in enumerate(t.shape) if size == n), None)
        return t.reshape(1, -1).expand(n, -1) if axis is None else t.movedim(axis, 0).reshape(n, -1)

    def plane(self, distance, scale):
        d = self.rows(distance.detach())
        return Plane((d > 0).numpy(), (d.abs() / max(float(scale), 1e-300)).float().numpy())

    def against(self, value, bounds):
        """One plane a bound: a number, or a tensor that broadcasts."""
        return [self.plane(value - torch.as_tensor(b).to(value.dtype), value.abs().max()) for b in bounds]

    def winner(self, candidates, least=False):
        """Planes of the index of the largest along the last axis."""
        scale, k = candidates.abs().max(), candidates.shape[-1]
        candidates = -candidates if least else candidates
        # argmax may give any of equal ones: ONNX and onnxprobe take the first.
        top = candidates.topk(2, -1).values
        index = (candidates == top[..., :1]).to(torch.uint8).argmax(-1)
        gap = (self.rows(top[..., 0] - top[..., 1]) / max(float(scale), 1e-300)).float().numpy()
        return [Plane((self.rows(index) >> i & 1).bool().numpy(), gap) for i in range(math.ceil(math.log2(k)))]

    def before(self, name, args, kwargs):
        x = args[0] if args else None
        if name == "adaptive_max_pool2d" and self.live(x) and set(args[1]) == {1}:
            flat = x.flatten(-2)
            self.add("max_pool", flat, [self.winner(flat)] if flat.shape[-1] > 1 else [], activation=False,
                     shape=x.shape[:-2])
        elif name in OTHER:
            if any(self.live(t) for t in tree_leaves(args)):
                self.add(OTHER[name], x, [], activation=False, smooth=OTHER[name] not in JUMPS)
        elif name in FIXED:
            if self.live(x):
                word, at, smooth = FIXED[name]
                if word == "tanh" and self.scaled.get(id(x)) is self.softplus_of:
                    return  # of a softplus: the pair is Mish, which the softplus stands for
                knots = at(args, kwargs)
                readings = [self.against(x, knots)]
                if word == "exp":
                    readings.append(self.against(-x, knots))  # x / (1 + exp(-x)) is a SiLU of x
                record = self.add(word, x, readings, smooth=smooth, knots=knots,
                                  activation=word not in ("sigmoid", "exp"))
                if word == "sigmoid":
                    self.gate = record, self.scaled.get(id(x), x), x.clone()
        elif name in ("clamp", "clamp_", "clamp_min", "clamp_min_", "clamp_max", "clamp_max_", "hardtanh", "hardtanh_"):
            self.clamp(name, args, kwargs)
        elif name in ("maximum", "minimum", "fmax", "fmin"):
            self.extremum(name, *args)
        elif name in ("amax", "amin", "max", "min") and self.live(x):
            self.reduce(name, args, kwargs)
        elif name == "glu" and self.live(x):
            gate = x.chunk(2, option(args, kwargs, 1, "dim", -1))[1]
            self.add("glu", gate, [self.against(gate, [0.0])], smooth=True, knots=[0.0])
        elif name in ("linalg_vector_norm", "norm") and self.live(x) and option(args, kwargs, 1, "ord", 2) == 1:
            self.add("norm", x, [self.against(x, [0.0])], knots=[0.0])
        elif name in COMPARE and any(self.live(t) for t in args):
            self.comparison = self.compared(name, *args)
        elif name in MASKED or name == "_to_copy" and getattr(kwargs.get("dtype"), "is_floating_point", False):
            self.masked(name, args)

    softplus_of = object()  # a mark in scaled, for what a softplus gave

    def clamp(self, name, args, kwargs):
        x = args[0]
        if not self.live(x):
            return
        low, high = option(args, kwargs, 1, "min", None), option(args, kwargs, 2, "max", None)
        if name.startswith("clamp_max"):
            low, high = None, option(args, kwargs, 1, "max", None)
        if name.startswith("hardtanh"):
            low, high = option(args, kwargs, 1, "min_val", -1.0), option(args, kwargs, 2, "max_val", 1.0)
        bounds = [b for b in (low, high) if b is not None and not (isinstance(b, float) and abs(b) > 3e38)]
        single = all(not isinstance(b, torch.Tensor) or b.numel() == 1 and not self.live(b) for b in bounds)
        if bounds:
            knots = [float(b) for b in bounds] if single else None
            self.add("clamp" if "clamp" in name else "hardtanh", x, [self.against(x, bounds)], knots=knots)

    def extremum(self, name, a, b):
        if self.live(a) and self.live(b):
            a, b = torch.broadcast_tensors(a, b)
            scale = max(a.abs().max(), b.abs().max())
            pair = self.winner(torch.stack([a, b], -1), least=name.endswith("min"))
            self.add(name, a, [pair, [self.plane(a - b, scale)], [self.plane(b - a, scale)]])
        elif self.live(a) or self.live(b):
            value, bound = (a, b) if self.live(a) else (b, a)
            knots = [float(bound)] if bound.numel() == 1 else None
            value, bound = torch.broadcast_tensors(value, bound)
            self.add(name, value, [self.against(value, [bound])], knots=knots)

    def reduce(self, name, args, kwargs):
        x = args[0]
        dims = option(args, kwargs, 1, "dim", [])
        dims = [dims] if isinstance(dims, int) else list(dims) or list(range(x.dim()))
        dims = sorted(d % x.dim() for d in dims)
        if 0 in dims and x.shape[0] % self.items == 0 and x.shape[0] >= self.items > 1:
            return self.add(name, x, [], activation=False)  # over the items
        moved = x.movedim(dims, list(range(-len(dims), 0))).flatten(-len(dims))
        if moved.shape[-1] > 1:
            self.add("amax" if "max" in name else "amin", moved, [self.winner(moved, least="min" in name)],
                     shape=moved.shape[:-1])

    def compared(self, name, a, b):
        """The bend that a comparison may become: the side on which a is, of b."""
        if not self.live(a):
            a, b, sign = b, a, -COMPARE[name]
        else:
            sign = COMPARE[name]
        if not isinstance(b, torch.Tensor):
            b = torch.tensor(float(b))
        knots = [float(b)] if b.numel() == 1 and not self.live(b) else None
        shape = torch.broadcast_shapes(a.shape, b.shape)
        a, b = a.expand(shape), b.expand(shape)
        scale = max(a.abs().max(), b.abs().max())
        readings = [[self.plane(a - b.to(a.dtype), scale)], [self.plane(b.to(a.dtype) - a, scale)]]
        return dict(value=a, planes=readings, knots=knots, path=self.stack[-1], place=len(self.records))

    def masked(self, name, args):
        for t in tree_leaves(args):
            for comparison in self.masks.get(id(t), []):
                if not comparison.get("done"):
                    comparison["done"] = True
                    # At the place of the consumer, as a module that it may lie in is the one that bends.
                    self.add(name.strip("_"), comparison["value"], comparison["planes"], knots=comparison["knots"])
        if name in ("mul", "mul_") and len(args) == 2:
            for i in (0, 1):
                gate = self.gates.get(id(args[i]))
                if gate and args[1 - i] is gate[1]:
                    gate[0].activation, gate[0].op = True, "silu"

    def after(self, name, args, out):
        if not isinstance(out, torch.Tensor):
            return
        self.keep(out)
        if name in COMPARE and getattr(self, "comparison", None):
            self.masks[id(out)] = [self.comparison]
            self.comparison = None
        elif name in CARRY:
            carried = [c for t in tree_leaves(args) for c in self.masks.get(id(t), [])]
            if carried:
                self.masks[id(out)] = carried
        elif name in ("sigmoid", "sigmoid_") and getattr(self, "gate", None):
            self.gates[id(out)] = self.gate
            self.gate = None
        elif name == "softplus":
            self.scaled[id(out)] = self.softplus_of
        elif name == "mul":
            for value, factor in (args, args[::-1]):
                if self.live(value) and not self.depends(factor) and (torch.as_tensor(factor) > 0).all():
                    self.scaled[id(out)] = value


def record(model, *args, items=None, **kwargs):
    """Runs model; returns (output, [Record]) in the order of execution. items is the size of the batch."""
    tensors = [t for t in tree_leaves((args, kwargs)) if isinstance(t, torch.Tensor)]
    recorder = Recorder(model, items or tensors[0].shape[0])
    recorder.mark(tensors)
    try:
        with torch.no_grad(), recorder:
            return model(*args, **kwargs), recorder.records
    finally:
        recorder.close()


def confirm(single, double):
    """Takes from a float64 run how far values are from their knots; False if the two runs are not alike.

    A bit on which the two precisions differ, or that either puts close to its knot, is close to it.
    """
    if [(r.op, r.path, r.shape) for r in single] != [(r.op, r.path, r.shape) for r in double]:
        return False
    for a, b in zip(single, double):
        for planes, others in zip(a.readings, b.readings):
            for p, q in zip(planes, others):
                p.gap = np.where(p.bits == q.bits, np.minimum(p.gap, q.gap), 0).astype(np.float32)
    return True


# Sites against records.


def site_planes(site, codes):
    """[N, planes, units] of a site of a manifest, from the packed codes."""
    count = site.get("planes") or max(1, len(site.get("knots") or [0]))
    bits = np.unpackbits(codes[:, site["offset"]:site["offset"] + site["bytes"]], axis=1)
    return bits[:, :count * site["units"]].reshape(len(codes), count, site["units"]).astype(bool)


# What an entry of "unwatched" may call an operator of PyTorch, beside its own word. All in lower case, without _.
COMPARED = "where greater less greaterorequal lessorequal cast mul"
WORDS = {
    "amax": "reducemax max maxpool globalmaxpool topk", "amin": "reducemin min", "clamp": "clip max min quantizelinear",
    "erf": "gelu biasgelu", "gelu": "erf tanh fastgelu biasgelu quickgelu", "glu": "sigmoid",
    "groupnorm": "groupnormalization instancenormalization sqrt", "hardshrink": "shrink where", "hardsigmoid": "clip",
    "hardswish": "hardsigmoid clip", "hardtanh": "clip max min relu6 quantizelinear", "indexput": COMPARED,
    "layernorm": "layernormalization skiplayernormalization sqrt pow reciprocal", "logsigmoid": "sigmoid softplus log",
    "maskedfill": COMPARED, "maximum": "max clip", "maxpool": "globalmaxpool reducemax", "minimum": "min clip",
    "mish": "softplus tanh", "mul": COMPARED, "norm": "reducel1 abs lpnormalization",
    "relu": "quantizelinear", "relu6": "quantizelinear clip",
    "random": "randomuniformlike randomnormallike dropout bernoulli",
    "rmsnorm": "rmsnormalization simplifiedlayernormalization layernormalization sqrt pow reciprocal",
    "round": "floor ceil cast", "rrelu": "leakyrelu", "sigmoid": "silu swish logistic",
    "silu": "sigmoid swish quickgelu", "sin": "cos", "softmax": "attention multiheadattention logsoftmax",
    "softplus": "log exp mish", "softshrink": "shrink where", "sort": "topk", "tanh": "gelu fastgelu",
    "threshold": "where", "where": COMPARED,
}


def words(op):
    own = op.replace("_", "").lower()
    return {own, *WORDS.get(own, "").split()}


def same_place(entry, r):
    """Whether an unwatched entry lies in the record's module. Names may lose what is not an identifier."""
    place = entry.get("module") or entry.get("name") or ""
    return place == r.path or place.startswith(r.path + ".") and r.path != ""


def take_named(records, unwatched):
    """Splits records into (named, not named): by operator and module, then by operator as far as entries go."""
    entries = [dict(e, left=True) for e in unwatched]
    rest = list(records)
    for by_place in (True, False):
        kept = []
        for r in rest:
            hit = next((e for e in entries if e["left"] and e.get("op", "").rpartition(".")[2].replace("_", "").lower() in words(r.op)
                        and (not by_place or same_place(e, r))), None)
            if hit:
                hit["left"] = False
            else:
                kept.append(r)
        rest = kept
    return [r for r in records if all(r is not q for q in rest)], rest


def align(sites, codes, records, unwatched=(), *, alike=ALIKE, far=FAR):
    """Holds the sites of a manifest, and their codes [N, bytes], against the records of the same items.

    A site is paired with the record of its size whose bits agree most: first all planes at once, then, for what is
    left, plane by plane (two clamps may be one site, one clamp two). Returns a dict:
    pairs         [(site, Record)]
    bits, near, far     how many were compared; wrong within, and beyond `far` of the record's largest |value|
    far_sites     [(name, op, far)]
    spurious      sites that are no record
    missed        activations that are neither a site nor named
    unnamed       what bends otherwise and is neither
    """
    result = {"pairs": [], "bits": 0, "near": 0, "far": 0, "far_sites": [], "spurious": []}
    candidates = [(i, r, planes) for i, r in enumerate(records) for planes in r.readings]
    by_size = collections.defaultdict(list)
    for i, r, planes in candidates:
        by_size[planes[0].bits.shape[1], len(planes)].append((i, r, planes))
    used, met = set(), collections.defaultdict(set)  # records with a site; planes of records that have one
    counts = collections.Counter()
    left = []

    def count(site, bits, plane):
        off = bits != plane.bits
        result["bits"] += bits.size
        if off.any():
            beyond = int((off & (plane.gap > far)).sum())
            result["far"] += beyond
            result["near"] += int(off.sum()) - beyond
            counts[site["name"], site["op"]] += beyond

    for site in sites:
        got, best = site_planes(site, codes), None
        for i, r, planes in by_size[site["units"], got.shape[1]]:
            if i in used:
                continue
            # The name decides between records that agree alike, as planes may be constant; then the order.
            agree = float(np.mean([(got[:, k] == p.bits).mean() for k, p in enumerate(planes)]))
            rank = (round(agree, 6), site["name"].startswith(r.path) and r.path != "")
            if best is None or rank > best[0]:
                best = rank, i, r, planes
            if rank == (1.0, True):
                break
        if best is None or best[0][0] < alike:
            left.append((site, got))
            continue
        _, i, r, planes = best
        used.add(i)
        met[i] = set(range(len(planes)))
        result["pairs"].append((site, r))
        for k, p in enumerate(planes):
            count(site, got[:, k], p)
    for site, got in left:
        found = False
        for k in range(got.shape[1]):
            best = None
            for i, r, planes in candidates:
                for j, p in enumerate(planes):
                    if i in used and j in met[i] or p.bits.shape[1] != site["units"]:
                        continue
                    agree = float((got[:, k] == p.bits).mean())
                    if best is None or agree > best[0]:
                        best = agree, i, j, r, p
            if best and best[0] >= alike:
                _, i, j, r, p = best
                used.add(i)
                met[i].add(j)
                found = True
                count(site, got[:, k], p)
                if k == 0:
                    result["pairs"].append((site, r))
        if not found:
            result["spurious"].append(site)
    result["far_sites"] = [(name, op, n) for (name, op), n in counts.items() if n]
    without = [r for i, r in enumerate(records)
               if not any(met[i] >= set(range(len(planes))) for planes in r.readings)]
    _, unnamed = take_named(without, unwatched)
    result["missed"] = [r for r in unnamed if r.activation]
    result["unnamed"] = [r for r in unnamed if not r.activation]
    return result
