"""The spellings of every kind of bend that bends.py exports, in groups: one kind a group.

A row is one spelling: a module or a function, and by hand what bends in it, so that the bits do not hang on any tool
that reads a model.
"""

import math
from dataclasses import dataclass, field
from typing import Any, Callable

import torch
import torch.nn as nn
import torch.nn.functional as F

EXPORTERS = ["dynamo", "torchscript"]
CHANNELS = 4
INPUTS = {"image": (3, 6, 6), "vector": (12,), "tokens": (5, 6)}


# What a row of the tables says.


@dataclass
class Bend:
    """One place where a spelling bends. value and other take (the spelling's module, the value that enters it)."""

    op: str
    kind: str = "none"
    value: Callable | None = None
    knots: list | None = None
    other: Callable | None = None  # the tensor that a value is held against
    smooth: bool = False
    watch: str = "site"
    named: list = field(default_factory=list)  # kinds that it may be named as
    leaf: str | None = None  # the module below the spelling, if not its `act`
    also: list = field(default_factory=list)
    least: bool = False  # a winner is the smallest


def entry(m, x):
    return x


def knots(op, *at, value=entry, **options):
    return Bend(op, "knots", value, list(at), **options)


def smooth(op, value=entry, **options):
    return Bend(op, "knots", value, [0.0], smooth=True, **options)


def tensor(op, other, value=entry, **options):
    return Bend(op, "tensor", value, other=other, **options)


def winner(op, candidates, **options):
    """candidates gives [N, ..., choices]: the last axis is what the operator reduces."""
    return Bend(op, "winner", candidates, **options)


def named(op, *kinds, **options):
    return Bend(op, watch="named", named=list(kinds), **options)


@dataclass
class Row:
    """A spelling: act is a module, or a function of the value (and of the submodule, where it has parameters)."""

    name: str
    act: Any
    bends: list
    params: dict = field(default_factory=dict)
    modules: dict = field(default_factory=dict)
    std: float = 1.0
    mean: float = 0.0
    width: int = CHANNELS
    exporters: tuple = tuple(EXPORTERS)


class Spelling(nn.Module):
    def __init__(self, row, source):
        super().__init__()
        self.pre = nn.Conv2d(3, row.width, 1) if source == "image" else nn.Linear(INPUTS[source][-1], row.width)
        for name, value in row.params.items():
            self.register_parameter(name, nn.Parameter(torch.as_tensor(value, dtype=torch.float32)))
        for name, module in row.modules.items():
            self.add_module(name, module)
        self.function = None
        if isinstance(row.act, nn.Module):
            self.act = row.act
        else:
            self.function = row.act
        self.takes_self = bool(row.params or row.modules)

    def forward(self, x):
        x = self.pre(x)
        if self.function is None:
            return self.act(x)
        return self.function(x, self) if self.takes_self else self.function(x)


class Group(nn.Module):
    def __init__(self, spellings):
        super().__init__()
        for name, spelling in spellings.items():
            self.add_module(name, spelling)
        self.names = list(spellings)
        self.head = nn.Linear(len(spellings), 2)

    def forward(self, x):
        return self.head(torch.cat([self.get_submodule(n)(x).flatten(1).mean(1, True) for n in self.names], 1))


# The tables: a group is a name, the input, and its rows.


def rows(*bends, std=1.0, mean=0.0, **spellings):
    """Rows that share their bends; a function or module each."""
    return [Row(name, act, list(bends), std=std, mean=mean) for name, act in spellings.items()]


def channel(*values):
    return torch.tensor(values).reshape(-1, 1, 1)


def masked_in_place(x):
    x[x < 0] = 0.0
    return x


def halves(x):
    return x.chunk(2, 1)


def last_halves(x):
    return x.chunk(2, -1)


def first(m, x):
    return halves(x)[0]


def second(m, x):
    return halves(x)[1]


def stacked(*parts):
    return torch.stack(parts, -1)


def grouped(x, pieces):
    """[N, C, H, W] as maxout sees it: `pieces` neighbouring channels compete."""
    return x.unflatten(1, (-1, pieces))


def pooled(m, x):
    return x.flatten(2)


def relu6_swish(x):
    return x * F.relu6(x + 3) / 6


def gelu_erf(x):
    return x * 0.5 * (1.0 + torch.erf(x / math.sqrt(2.0)))


def gelu_tanh(x):
    return 0.5 * x * (1.0 + torch.tanh(math.sqrt(2.0 / math.pi) * (x + 0.044715 * torch.pow(x, 3.0))))


def acon(x, m):
    d = (m.p1 - m.p2) * x
    return d * torch.sigmoid(m.beta * d) + m.p2 * x


def frelu(x, m):
    return torch.max(x, m.norm(m.conv(x)))


def attention(x):
    return F.scaled_dot_product_attention(x, x, x)


def squeeze_excite(x, m):
    return x * torch.sigmoid(m.fc(x.mean((2, 3), keepdim=True)))


ZERO = knots("relu", 0.0)


GROUPS = {
    "relu": ("image", [
        *rows(ZERO, module=nn.ReLU(), module_inplace=nn.ReLU(inplace=True), functional=F.relu, torch_relu=torch.relu,
              method=lambda x: x.relu(), inplace=F.relu_, method_inplace=lambda x: x.relu_(),
              squared=lambda x: F.relu(x) ** 2, square=lambda x: F.relu(x).square()),
        *rows(knots("relu", 0.0, value=lambda m, x: -x), negated=lambda x: F.relu(-x), flipped=lambda x: -F.relu(-x)),
        *rows(knots("clamp", 0.0), clamp=lambda x: x.clamp(min=0), clamp_min=lambda x: x.clamp_min(0),
              clamp_inplace=lambda x: x.clamp_(min=0), clamp_residual=lambda x: x - x.clamp(max=0)),
        *rows(knots("maximum", 0.0), maximum=lambda x: torch.maximum(x, torch.zeros(())),
              maximum_like=lambda x: torch.maximum(x, torch.zeros_like(x)),
              max_other=lambda x: torch.max(x, torch.zeros(1))),
        *rows(knots("minimum", 0.0, value=lambda m, x: -x), minimum=lambda x: -torch.minimum(-x, torch.zeros(1))),
        *rows(knots("abs", 0.0), half_abs=lambda x: (x + x.abs()) / 2),
        Row("crelu", lambda x: torch.cat([F.relu(x), F.relu(-x)], 1),
            [knots("relu", 0.0), knots("relu", 0.0, value=lambda m, x: -x)]),
        Row("star", lambda x, m: m.scale * F.relu(x) ** 2 + m.bias, [ZERO], params=dict(scale=[0.9], bias=[-0.4])),
        Row("star_module", lambda x, m: m.scale * m.relu(x) ** 2 + m.bias, [knots("relu", 0.0, leaf="relu")],
            params=dict(scale=[0.9], bias=[-0.4]), modules=dict(relu=nn.ReLU())),
    ]),
    "masks": ("image", [
        *rows(knots("where", 0.0), where_gt=lambda x: torch.where(x > 0, x, 0.0),
              where_ge=lambda x: torch.where(x >= 0, x, torch.zeros_like(x)),
              where_lt=lambda x: torch.where(x < 0, 0.0, x),
              where_le=lambda x: torch.where(x <= 0, torch.zeros(()), x),
              where_not=lambda x: torch.where(~(x > 0), 0.0, x),
              where_method=lambda x: x.where(x > 0, torch.zeros(())),
              where_flipped=lambda x: torch.where(torch.zeros(()) < x, x, 0.0)),
        *rows(knots("masked_fill", 0.0), masked_fill=lambda x: x.masked_fill(x < 0, 0.0),
              masked_fill_le=lambda x: x.masked_fill(x <= 0, 0.0),
              masked_fill_inplace=lambda x: x.masked_fill_(x < 0, 0.0),
              index_put=masked_in_place),
        *rows(knots("mul", 0.0), mask=lambda x: x * (x > 0), mask_float=lambda x: x * (x > 0).float(),
              mask_ge=lambda x: x * (x >= 0), mask_left=lambda x: (x > 0) * x,
              mask_type=lambda x: x.mul(x.gt(0).type_as(x)), mask_lt=lambda x: x - x * (x < 0)),
        *rows(knots("gt", 0.0, watch="either"), step=lambda x: (x > 0).float()),
        *rows(knots("heaviside", 0.0, watch="either"), heaviside=lambda x: torch.heaviside(x, torch.zeros_like(x))),
        *rows(knots("mul", -0.6, 0.7, watch="either"), window=lambda x: x * ((x > -0.6) & (x < 0.7)),
              outside=lambda x: x * ((x < -0.6) | (x > 0.7))),
    ]),
    "where": ("image", [
        *rows(knots("where", 0.25), jump=lambda x: torch.where(x > 0.25, x, -1.0),
              pieces=lambda x: torch.where(x >= 0.25, 2 * x, 0.5 * x + 0.375),
              curve=lambda x: torch.where(x < 0.25, torch.exp(x), x * x),
              elsewhere=lambda x: torch.where(x > 0.25, x.mean(1, keepdim=True), x)),
        Row("channel", lambda x, m: torch.where(x > m.at, x, 0.1 * x), [tensor("where", lambda m, x: m.at)],
            params=dict(at=channel(-0.3, 0.1, 0.4, 0.2))),
        *rows(tensor("where", lambda m, x: x.mean((2, 3), keepdim=True)),
              computed=lambda x: torch.where(x > x.mean((2, 3), keepdim=True), x, 0.0)),
        *rows(tensor("where", second, value=first), pair=lambda x: torch.where(halves(x)[0] > halves(x)[1], *halves(x)),
              pair_lt=lambda x: torch.where(halves(x)[0] < halves(x)[1], x[:, :2] * 2, x[:, 2:])),
        *rows(knots("abs", 0.0, watch="either"),
              knots("where", 0.5, value=lambda m, x: x.abs(), also=[knots("where", -0.5, 0.5)]),
              huber=lambda x: torch.where(x.abs() < 0.5, 0.5 * x * x, 0.5 * x.abs() - 0.125)),
    ]),
    "leaky_relu": ("image", [
        *rows(knots("leaky_relu", 0.0), module=nn.LeakyReLU(0.1), inplace=nn.LeakyReLU(0.2, inplace=True),
              functional=lambda x: F.leaky_relu(x, 0.3), functional_inplace=lambda x: F.leaky_relu_(x, 0.05),
              negative=nn.LeakyReLU(-0.3), steep=nn.LeakyReLU(1.5)),
        *rows(knots("where", 0.0), where=lambda x: torch.where(x > 0, x, 0.1 * x),
              where_lt=lambda x: torch.where(x < 0, 0.2 * x, x)),
        *rows(winner("maximum", lambda m, x: stacked(x, 0.1 * x), also=[knots("maximum", 0.0)]),
              maximum=lambda x: torch.maximum(x, 0.1 * x)),
        Row("two_relus", lambda x: F.relu(x) - 0.1 * F.relu(-x),
            [knots("relu", 0.0), knots("relu", 0.0, value=lambda m, x: -x)]),
    ]),
    "prelu": ("image", [
        *rows(knots("prelu", 0.0), module=nn.PReLU(), channels=nn.PReLU(CHANNELS, init=0.3),
              negative=nn.PReLU(CHANNELS, init=-0.4)),
        Row("functional", lambda x, m: F.prelu(x, m.slope), [knots("prelu", 0.0)],
            params=dict(slope=[0.1, -0.2, 0.3, 1.4])),
        Row("where", lambda x, m: torch.where(x > 0, x, m.slope * x), [knots("where", 0.0)],
            params=dict(slope=channel(0.1, 0.2, 0.3, 0.4))),
        *rows(knots("rrelu", 0.0), rrelu=nn.RReLU(), rrelu_functional=lambda x: F.rrelu(x, 0.1, 0.4)),
    ]),
    "elu": ("image", [
        *rows(knots("elu", 0.0), module=nn.ELU(0.7), inplace=nn.ELU(inplace=True), functional=F.elu,
              negative=nn.ELU(-0.7)),
        *rows(knots("selu", 0.0), selu=nn.SELU(), selu_functional=F.selu),
        *rows(knots("celu", 0.0), celu=nn.CELU(0.5), celu_functional=lambda x: F.celu(x, 1.3)),
        *rows(knots("where", 0.0), where=lambda x: torch.where(x > 0, x, torch.exp(x) - 1),
              where_expm1=lambda x: torch.where(x < 0, 0.6 * torch.expm1(x), x)),
        Row("relu_clamp", lambda x: F.relu(x) + (torch.exp(x) - 1).clamp(max=0),
            [knots("relu", 0.0), knots("clamp", 0.0, value=lambda m, x: torch.exp(x) - 1)]),
        *rows(knots("elu", 0.0), elu_plus_one=lambda x: F.elu(x) + 1),
    ]),
    "clamp": ("image", [
        *rows(knots("hardtanh", -0.4, 0.6), module=nn.Hardtanh(-0.4, 0.6), inplace=nn.Hardtanh(-0.4, 0.6, inplace=True),
              functional=lambda x: F.hardtanh(x, -0.4, 0.6)),
        *rows(knots("clamp", -0.4, 0.6), clamp=lambda x: x.clamp(-0.4, 0.6), clip=lambda x: torch.clip(x, -0.4, 0.6),
              clamp_inplace=lambda x: x.clamp_(-0.4, 0.6),
              scalars=lambda x: torch.clamp(x, torch.tensor(-0.4), torch.tensor(0.6))),
        *rows(knots("clamp", 0.3), clamp_max=lambda x: x.clamp(max=0.3), clamp_max_method=lambda x: x.clamp_max(0.3)),
        *rows(knots("clamp", -0.4), knots("clamp", 0.6, value=lambda m, x: x.clamp(min=-0.4)),
              twice=lambda x: x.clamp(min=-0.4).clamp(max=0.6)),
        *rows(knots("minimum", 0.3), minimum=lambda x: torch.minimum(x, torch.tensor(0.3))),
        *rows(knots("maximum", -0.3), maximum=lambda x: torch.maximum(torch.tensor([-0.3]), x)),
        Row("learned", lambda x, m: torch.minimum(F.relu(x), m.alpha),
            [knots("relu", 0.0), knots("minimum", 0.5, value=lambda m, x: F.relu(x))],
            params=dict(alpha=0.5)),
    ]),
    "relu6": ("image", [
        *rows(knots("relu6", 0.0, 6.0), std=4.0, mean=3.0, module=nn.ReLU6(), inplace=nn.ReLU6(inplace=True),
              functional=F.relu6, clamp=lambda x: x.clamp(0, 6)),
        *rows(knots("relu", 0.0), knots("minimum", 6.0, value=lambda m, x: F.relu(x)), std=4.0,
              mean=3.0, minimum=lambda x: torch.minimum(F.relu(x), torch.tensor(6.0))),
    ]),
    "bounds": ("image", [
        Row("maximum", lambda x, m: torch.maximum(x, m.low), [tensor("maximum", lambda m, x: m.low)],
            params=dict(low=channel(-0.5, 0.1, 0.2, -0.2))),
        Row("max_left", lambda x, m: torch.max(m.low, x), [tensor("maximum", lambda m, x: m.low)],
            params=dict(low=channel(-0.5, 0.1, 0.2, -0.2)[None])),
        Row("minimum", lambda x, m: torch.minimum(x, m.high), [tensor("minimum", lambda m, x: m.high)],
            params=dict(high=channel(0.5, 0.1, 0.2, -0.2))),
        Row("pact", lambda x, m: torch.minimum(F.relu(x), m.high),
            [knots("relu", 0.0), tensor("minimum", lambda m, x: m.high, value=lambda m, x: F.relu(x))],
            params=dict(high=channel(0.5, 0.7, 0.4, 0.9))),
        Row("clamp_min", lambda x, m: torch.clamp(x, min=m.low), [tensor("clamp", lambda m, x: m.low)],
            params=dict(low=channel(-0.5, 0.1, 0.2, -0.2))),
        Row("clamp_both", lambda x, m: torch.clamp(x, m.low, m.high),
            [tensor("clamp", lambda m, x: m.low),
             tensor("clamp", lambda m, x: m.high, value=lambda m, x: torch.maximum(x, m.low))],
            params=dict(low=channel(-0.5, -0.1, -0.2, -0.3), high=channel(0.5, 0.1, 0.4, 0.6))),
        Row("position", lambda x, m: torch.maximum(x, m.low), [tensor("maximum", lambda m, x: m.low)],
            params=dict(low=torch.linspace(-0.7, 0.8, 36).reshape(6, 6))),
        *rows(tensor("clamp", lambda m, x: x.mean((1, 2, 3), keepdim=True)),
              computed=lambda x: torch.clamp(x, min=x.mean((1, 2, 3), keepdim=True))),
    ]),
    "hardswish": ("image", [
        *rows(knots("hardswish", -3.0, 3.0), std=3.0, module=nn.Hardswish(), inplace=nn.Hardswish(inplace=True),
              functional=F.hardswish),
        *rows(knots("relu6", 0.0, 6.0, value=lambda m, x: x + 3), std=3.0, relu6=relu6_swish,
              relu6_first=lambda x: F.relu6(x + 3) * x * (1 / 6), relu6_mul=lambda x: x * (F.relu6(x + 3) * (1 / 6)),
              clamp=lambda x: x * (x + 3).clamp(0, 6) / 6),
        *rows(knots("hardsigmoid", -3.0, 3.0), std=3.0, hardsigmoid=lambda x: x * F.hardsigmoid(x)),
        *rows(knots("clamp", 0.0, 1.0, value=lambda m, x: 0.2 * x + 0.5), std=3.0,
              keras=lambda x: x * (0.2 * x + 0.5).clamp(0, 1)),
        *rows(knots("clamp", 0.0, 2.0, value=lambda m, x: x + 2), std=2.0,
              hardmish=lambda x: 0.5 * x * (x + 2).clamp(0, 2),
              hardmish_split=lambda x: (x / 2) * (x + 2).clamp(min=0, max=2)),
    ]),
    "hardsigmoid": ("image", [
        *rows(knots("hardsigmoid", -3.0, 3.0), std=3.0, module=nn.Hardsigmoid(), inplace=nn.Hardsigmoid(inplace=True),
              functional=F.hardsigmoid),
        *rows(knots("relu6", 0.0, 6.0, value=lambda m, x: x + 3), std=3.0, relu6=lambda x: F.relu6(x + 3) / 6),
        *rows(knots("clamp", 0.0, 1.0, value=lambda m, x: x / 6 + 0.5), std=3.0,
              clamp=lambda x: (x / 6 + 0.5).clamp(0, 1)),
    ]),
    "shrink": ("image", [
        *rows(knots("hardshrink", -0.5, 0.5), hard=nn.Hardshrink(0.5), hard_functional=lambda x: F.hardshrink(x, 0.5)),
        *rows(knots("softshrink", -0.5, 0.5), soft=nn.Softshrink(0.5), soft_functional=lambda x: F.softshrink(x, 0.5)),
        *rows(knots("abs", 0.0, watch="either"),
              knots("where", 0.5, value=lambda m, x: x.abs(), also=[knots("where", -0.5, 0.5)]),
              hard_where=lambda x: torch.where(x.abs() > 0.5, x, 0.0), hard_mask=lambda x: x * (x.abs() > 0.5)),
        *rows(knots("clamp", -0.5, 0.5), soft_clamp=lambda x: x - x.clamp(-0.5, 0.5)),
        *rows(knots("sign", 0.0, watch="either"), knots("abs", 0.0, watch="either"),
              knots("relu", 0.0, value=lambda m, x: x.abs() - 0.5,
                    also=[knots("softshrink", -0.5, 0.5)]),
              soft_sign=lambda x: torch.sign(x) * F.relu(x.abs() - 0.5)),
    ]),
    "threshold": ("image", [
        *rows(knots("threshold", 0.3), module=nn.Threshold(0.3, 0.0), below=nn.Threshold(0.3, -1.0),
              above=nn.Threshold(0.3, 20.0), inplace=nn.Threshold(0.3, -1.0, inplace=True),
              functional=lambda x: F.threshold(x, 0.3, -0.5)),
        *rows(knots("threshold", 0.0), zero=lambda x: F.threshold(x, 0.0, 0.0)),
        *rows(knots("where", 0.3), where=lambda x: torch.where(x > 0.3, x, -1.0)),
        *rows(knots("masked_fill", 0.3), masked_fill=lambda x: x.masked_fill(x <= 0.3, -1.0)),
    ]),
    "abs": ("image", [
        *rows(knots("abs", 0.0), torch_abs=torch.abs, method=lambda x: x.abs(), inplace=lambda x: x.abs_()),
        *rows(knots("abs", 0.0), l1_sum=lambda x: x.abs().sum(1), l1_mean=lambda x: x.abs().mean((2, 3))),
        *rows(knots("norm", 0.0, watch="either"), l1_norm=lambda x: torch.linalg.vector_norm(x, 1, 1),
              l1_norm_method=lambda x: x.norm(p=1, dim=1)),
        *rows(knots("where", 0.0), where=lambda x: torch.where(x > 0, x, -x)),
        *rows(knots("sign", 0.0), sign_mul=lambda x: x * torch.sign(x)),
        *rows(winner("maximum", lambda m, x: stacked(x, -x), also=[knots("maximum", 0.0)]),
              maximum=lambda x: torch.maximum(x, -x)),
        *rows(knots("abs", 0.0), winner("amax", lambda m, x: x.abs().movedim(1, -1)),
              largest=lambda x: x.abs().amax(1)),
    ]),
    "sign": ("image", rows(knots("sign", 0.0), torch_sign=torch.sign, method=lambda x: x.sign(),
                           scaled=lambda x: 0.5 * torch.sign(x) + 0.5)),
    "extremum": ("image", [
        *rows(winner("maximum", lambda m, x: stacked(*halves(x)), also=[tensor("maximum", second, value=first)]),
              maximum=lambda x: torch.maximum(*halves(x)), max_other=lambda x: torch.max(x[:, :2], x[:, 2:])),
        *rows(winner("minimum", lambda m, x: stacked(*halves(x)), least=True,
                     also=[tensor("minimum", second, value=first)]),
              minimum=lambda x: torch.minimum(*halves(x)), min_other=lambda x: x[:, :2].min(x[:, 2:])),
        *rows(winner("maximum", lambda m, x: stacked(x[:, 0], x[:, 1])),
              winner("maximum", lambda m, x: stacked(torch.maximum(x[:, 0], x[:, 1]), x[:, 2])),
              three=lambda x: torch.maximum(torch.maximum(x[:, 0], x[:, 1]), x[:, 2])),
        Row("frelu", frelu, [winner("maximum", lambda m, x: stacked(x, m.norm(m.conv(x))))],
            modules=dict(conv=nn.Conv2d(CHANNELS, CHANNELS, 3, padding=1, groups=CHANNELS),
                         norm=nn.BatchNorm2d(CHANNELS))),
        Row("two_layers", lambda x, m: torch.maximum(x, m.fc(x)), [winner("maximum", lambda m, x: stacked(x, m.fc(x)))],
            modules=dict(fc=nn.Conv2d(CHANNELS, CHANNELS, 1))),
    ]),
    "maxout": ("image", [
        *rows(winner("amax", lambda m, x: grouped(x, 2).movedim(2, -1)),
              amax=lambda x: grouped(x, 2).amax(2), view=lambda x: x.view(x.shape[0], 2, 2, 6, 6).amax(2),
              max_dim=lambda x: grouped(x, 2).max(2)[0], max_values=lambda x: grouped(x, 2).max(dim=2).values),
        *rows(winner("amax", lambda m, x: stacked(*halves(x))), stack=lambda x: torch.stack(halves(x)).amax(0)),
        *rows(winner("amax", lambda m, x: x.movedim(1, -1)), four=lambda x: x.amax(1), four_max=lambda x: x.max(1)[0]),
        Row("three", lambda x: grouped(x, 3).amax(2), [winner("amax", lambda m, x: grouped(x, 3).movedim(2, -1))],
            width=6),
        *rows(winner("amin", lambda m, x: grouped(x, 2).movedim(2, -1), least=True),
              amin=lambda x: grouped(x, 2).amin(2), min_dim=lambda x: grouped(x, 2).min(2)[0]),
        *rows(winner("max", lambda m, x: stacked(x, torch.zeros_like(x)), also=[knots("max", 0.0)]),
              stack_zero=lambda x: torch.stack([x, torch.zeros_like(x)]).max(0).values),
    ]),
    "globalmax": ("image", [
        *rows(winner("max_pool2d", pooled, watch="either"), module=nn.AdaptiveMaxPool2d(1),
              functional=lambda x: F.adaptive_max_pool2d(x, 1)),
        *rows(winner("amax", pooled), amax=lambda x: x.amax((2, 3)), keepdim=lambda x: x.amax((-2, -1), keepdim=True),
              flat=lambda x: x.flatten(2).max(2)[0]),
        *rows(winner("amin", pooled, least=True), amin=lambda x: x.amin((2, 3))),
        *rows(winner("amax", lambda m, x: -x.flatten(2)), negated=lambda x: -(-x).flatten(2).amax(-1)),
        *rows(named("max_pool2d", "bend"),
              pool=nn.MaxPool2d(2)),
        *rows(named("max_pool2d", "bend"), pool_functional=lambda x: F.max_pool2d(x, 3, 1, 1)),
    ]),
    "gelu": ("image", [
        *rows(smooth("gelu"), module=nn.GELU(), tanh=nn.GELU(approximate="tanh"), functional=F.gelu,
              functional_tanh=lambda x: F.gelu(x, approximate="tanh"), erf=gelu_erf, spelled_tanh=gelu_tanh,
              phi=lambda x: x * (0.5 * (1 + torch.erf(x * 0.7071067811865475))),
              scaled=lambda x: F.gelu(x) * 1.7015043497085571,
              cube=lambda x: 0.5 * x * (1 + torch.tanh(x * 0.7978845608 * (1 + 0.044715 * x * x)))),
        *rows(smooth("gelu", value=lambda m, x: 2.5 * x), inner=lambda x: F.gelu(2.5 * x)),
        *rows(smooth("sigmoid"), quick=lambda x: x * torch.sigmoid(1.702 * x)),
    ]),
    "silu": ("image", [
        *rows(smooth("silu"), module=nn.SiLU(), inplace=nn.SiLU(inplace=True), functional=F.silu,
              scaled=lambda x: F.silu(x) * 1.7881293296813965),
        *rows(smooth("silu", value=lambda m, x: 0.5 * x), inner=lambda x: F.silu(0.5 * x)),
        *rows(smooth("sigmoid"), sigmoid=lambda x: x * torch.sigmoid(x), sigmoid_first=lambda x: x.sigmoid() * x,
              sigmoid_inplace=lambda x: x.mul_(x.sigmoid()), division=lambda x: x / (1 + torch.exp(-x)),
              beta=lambda x: x * torch.sigmoid(1.5 * x)),
        Row("learned", lambda x, m: x * torch.sigmoid(m.beta * x), [smooth("sigmoid")], params=dict(beta=1.3)),
        Row("channels", lambda x, m: x * torch.sigmoid(m.beta * x), [smooth("sigmoid")],
            params=dict(beta=channel(0.5, 1.0, 1.5, 2.0))),
        Row("acon", acon, [smooth("sigmoid", value=lambda m, x: (m.p1 - m.p2) * x)],
            params=dict(p1=channel(1.1, -0.3, 0.8, 0.5), p2=channel(0.1, 0.4, -0.2, -0.6),
                        beta=channel(0.5, 1.0, 1.5, 2.0))),
    ]),
    "mish": ("image", [
        *rows(smooth("mish"), module=nn.Mish(), inplace=nn.Mish(inplace=True), functional=F.mish,
              spelled=lambda x: x * torch.tanh(F.softplus(x))),
    ]),
    "softplus": ("image", [
        *rows(smooth("softplus"), module=nn.Softplus(), beta=nn.Softplus(beta=3), functional=F.softplus,
              log_exp=lambda x: torch.log(1 + torch.exp(x)), log1p=lambda x: torch.log1p(torch.exp(x))),
        *rows(smooth("logsigmoid", watch="either"), logsigmoid=nn.LogSigmoid(), logsigmoid_functional=F.logsigmoid),
    ]),
    "tanh": ("image", [
        *rows(smooth("tanh"), module=nn.Tanh(), functional=torch.tanh, inplace=lambda x: x.tanh_(),
              shrink=nn.Tanhshrink(), shrink_spelled=lambda x: x - torch.tanh(x)),
        *rows(smooth("tanh", value=lambda m, x: 0.6666666 * x), lecun=lambda x: 1.7159 * torch.tanh(0.6666666 * x)),
        *rows(smooth("softsign"), softsign=nn.Softsign(), softsign_functional=F.softsign,
              softsign_spelled=lambda x: x / (1 + x.abs())),
        *rows(smooth("sigmoid", watch="either"), sigmoid=nn.Sigmoid(), sigmoid_functional=torch.sigmoid,
              sigmoid_scaled=lambda x: 2 * torch.sigmoid(x) - 1),
        *rows(smooth("erf", watch="either"), erf=torch.erf),
        *rows(smooth("atan", watch="either"), atan=torch.atan),
        *rows(smooth("sin", watch="either"), sin=torch.sin),
        *rows(smooth("exp", watch="either"), gaussian=lambda x: torch.exp(-x)),
    ]),
    "glu": ("image", [
        *rows(smooth("glu", value=second), module=nn.GLU(1), functional=lambda x: F.glu(x, 1)),
        *rows(smooth("sigmoid", value=second), chunk=lambda x: halves(x)[0] * torch.sigmoid(halves(x)[1]),
              split=lambda x: torch.sigmoid(x.split(2, 1)[1]) * x.split(2, 1)[0]),
        *rows(smooth("silu", value=first), swiglu=lambda x: F.silu(halves(x)[0]) * halves(x)[1]),
        *rows(smooth("gelu", value=second), geglu=lambda x: halves(x)[0] * F.gelu(halves(x)[1])),
        *rows(knots("relu", 0.0, value=first), reglu=lambda x: F.relu(halves(x)[0]) * halves(x)[1]),
        *rows(smooth("tanh", value=first), smooth("sigmoid", value=second, watch="either"),
              wavenet=lambda x: torch.tanh(halves(x)[0]) * torch.sigmoid(halves(x)[1])),
    ]),
    "glu_linear": ("tokens", [
        *rows(smooth("glu", value=lambda m, x: last_halves(x)[1]), module=nn.GLU(-1)),
        *rows(smooth("silu", value=lambda m, x: last_halves(x)[0]),
              swiglu=lambda x: F.silu(last_halves(x)[0]) * last_halves(x)[1]),
        Row("swiglu_two", lambda x, m: F.silu(x) * m.up(x), [smooth("silu")], modules=dict(up=nn.Linear(4, 4))),
        Row("geglu_two", lambda x, m: F.gelu(x) * m.up(x), [smooth("gelu")], modules=dict(up=nn.Linear(4, 4))),
        Row("reglu_two", lambda x, m: F.relu(x) * m.up(x), [knots("relu", 0.0)], modules=dict(up=nn.Linear(4, 4))),
        Row("glu_two", lambda x, m: torch.sigmoid(x) * m.up(x), [smooth("sigmoid", watch="either")],
            modules=dict(up=nn.Linear(4, 4))),
    ]),
    "vector": ("vector", [
        *rows(ZERO, relu=nn.ReLU(), relu_functional=F.relu),
        *rows(knots("hardshrink", -0.5, 0.5), hardshrink=nn.Hardshrink()),
        *rows(knots("threshold", 0.3), threshold=nn.Threshold(0.3, -1.0)),
        *rows(knots("where", 0.0), where=lambda x: torch.where(x > 0, x, 0.1 * x)),
        Row("bound", lambda x, m: torch.maximum(x, m.low), [tensor("maximum", lambda m, x: m.low)],
            params=dict(low=[-0.5, 0.1, 0.2, -0.2])),
        *rows(winner("maximum", lambda m, x: stacked(*halves(x))), maximum=lambda x: torch.maximum(*halves(x))),
        *rows(winner("amax", lambda m, x: x.unflatten(1, (2, 2))), maxout=lambda x: x.view(-1, 2, 2).amax(2)),
        *rows(smooth("gelu"), gelu=nn.GELU()),
        *rows(smooth("glu", value=second), glu=nn.GLU(1)),
    ]),
    "named": ("image", [
        *rows(named("normalize", "guard"), normalize=lambda x: F.normalize(x, dim=1)),
        *rows(named("clamp", "guard"), clamp_eps=lambda x: x / (x * x).sum(1, keepdim=True).sqrt().clamp(min=1e-6),
              maximum_eps=lambda x: x / torch.maximum((x * x).sum(1, keepdim=True), torch.tensor(1e-8)),
              log_eps=lambda x: torch.log((x * x).clamp(min=1e-6))),
        *rows(named("softmax", "smooth"), softmax=nn.Softmax(1)),
        *rows(named("softmax", "smooth"), softmax_functional=lambda x: F.softmax(x.flatten(2), -1)),
        *rows(named("group_norm", "smooth"), group_norm=nn.GroupNorm(2, CHANNELS)),
        *rows(named("layer_norm", "smooth"), layer_norm=nn.LayerNorm(6)),
        *rows(named("attention", "smooth"), attention=attention),
        Row("gate", squeeze_excite, [named("sigmoid", "smooth")], modules=dict(fc=nn.Conv2d(CHANNELS, CHANNELS, 1))),
        *rows(named("topk", "bend"), topk=lambda x: x.flatten(1).topk(3).values),
        *rows(named("sort", "bend"), sort=lambda x: x.sort(1).values),
        *rows(named("round", "bend"), round=torch.round, floor=lambda x: torch.floor(4 * x) / 4),
    ]),
}
GROUPS["sequence"] = ("tokens", [
    Row("lstm", lambda x, m: m.rnn(x)[0], [named("lstm", "smooth", "body", leaf="rnn")],
        modules=dict(rnn=nn.LSTM(4, 3, batch_first=True))),
])


class Branch(nn.Module):
    """torch.cond, which the dynamo exporter writes as an If with two bodies."""

    def forward(self, x):
        return torch.cond(x.sum() > 0, lambda v: F.relu(v), lambda v: F.gelu(v), (x,))


GROUPS["random"] = ("image", rows(named("rand", "random"), noise=lambda x: x + torch.rand_like(x)))
GROUPS["body"] = ("image", [Row("cond", Branch(), [named("cond", "body")], exporters=("dynamo",))])
