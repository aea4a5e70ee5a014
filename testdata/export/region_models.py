"""Vision encoders that answer for a region of the picture, in plain PyTorch, with the module names of their authors.

RegionBLIP   EVA-CLIP ViT, LayerNorm, position-assisted queries (a box embedded and added to them), Q-Former, projection
             to the language model: (image [N, 3, S, S], box [N, 4]) -> prompts [N, queries, that width]
MedRegA      InternViT, pixel shuffle, projector: image [N, 3, S, S] -> tokens [N, grid^2 / 4, width]
RoIFeatures  ResNet-FPN, RoIAlign and box head of a torchvision detector: (image, box) -> features [N, width]

A box is x1, y1, x2, y2 as fractions of the picture's width and height. State dicts of the authors load by their own
keys: see regions.py. Only what inference needs is here: no dropout, no stochastic depth, no text branch.
"""

import math

import torch
import torch.nn as nn
import torch.nn.functional as F
from torchvision.models.detection.backbone_utils import BackboneWithFPN
from torchvision.models.detection.faster_rcnn import FastRCNNConvFCHead
from torchvision.models.resnet import BasicBlock
from torchvision.ops import roi_align

from models import ResNet


def attention(q, k, v, heads):
    """softmax(q k^T / sqrt(d)) v for q [N, T, C] and k, v [N, S, C], in so many heads."""
    q, k, v = (x.unflatten(2, (heads, -1)).transpose(1, 2) for x in (q, k, v))
    weights = (q * q.shape[-1] ** -0.5 @ k.transpose(2, 3)).softmax(-1)
    return (weights @ v).transpose(1, 2).flatten(2)


def resize_positions(table, grid):
    """Resizes a table of positions [1, 1 + g * g, C] to a grid x grid of patches: bicubic, the class token kept."""
    head, patches = table[:, :1], table[:, 1:]
    side = math.isqrt(patches.shape[1])
    if side == grid:
        return table
    patches = patches.float().unflatten(1, (side, side)).permute(0, 3, 1, 2)
    patches = F.interpolate(patches, size=(grid, grid), mode="bicubic", align_corners=False)
    return torch.cat([head, patches.flatten(2).transpose(1, 2).to(table.dtype)], 1)


class MLP(nn.Module):
    def __init__(self, width, hidden):
        super().__init__()
        self.fc1 = nn.Linear(width, hidden)
        self.act = nn.GELU()
        self.fc2 = nn.Linear(hidden, width)

    def forward(self, x):
        return self.fc2(self.act(self.fc1(x)))


# EVA-CLIP ViT, as LAVIS builds it (eva_vit.py): biases of queries and values alone, no norm at the end, all tokens.


class PatchEmbed(nn.Module):
    def __init__(self, patch, width):
        super().__init__()
        self.proj = nn.Conv2d(3, width, patch, stride=patch)

    def forward(self, x):
        return self.proj(x).flatten(2).transpose(1, 2)


class EvaAttention(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width, bias=False)
        self.q_bias = nn.Parameter(torch.zeros(width))
        self.v_bias = nn.Parameter(torch.zeros(width))
        self.proj = nn.Linear(width, width)

    def forward(self, x):
        bias = torch.cat([self.q_bias, torch.zeros_like(self.v_bias), self.v_bias])
        return self.proj(attention(*F.linear(x, self.qkv.weight, bias).chunk(3, -1), self.heads))


class EvaBlock(nn.Module):
    def __init__(self, width, heads, hidden):
        super().__init__()
        self.norm1 = nn.LayerNorm(width, eps=1e-6)
        self.attn = EvaAttention(width, heads)
        self.norm2 = nn.LayerNorm(width, eps=1e-6)
        self.mlp = MLP(width, hidden)

    def forward(self, x):
        x = x + self.attn(self.norm1(x))
        return x + self.mlp(self.norm2(x))


class EvaViT(nn.Module):
    def __init__(self, size, patch, width, heads, hidden, depth):
        super().__init__()
        self.patch_embed = PatchEmbed(patch, width)
        self.cls_token = nn.Parameter(torch.zeros(1, 1, width))
        self.pos_embed = nn.Parameter(torch.zeros(1, (size // patch) ** 2 + 1, width))
        self.blocks = nn.ModuleList(EvaBlock(width, heads, hidden) for _ in range(depth))

    def forward(self, image):
        x = self.patch_embed(image)
        x = torch.cat([self.cls_token.expand(x.shape[0], -1, -1), x], 1) + self.pos_embed
        for block in self.blocks:
            x = block(x)
        return x


# Q-Former: BERT whose queries attend to one another, and in every second layer to the picture's tokens.


class LoRALinear(nn.Linear):
    """A linear layer with the low-rank addition that RegionBLIP trains for regions: W x + b + B A x / rank."""

    def __init__(self, inputs, outputs, rank):
        super().__init__(inputs, outputs)
        self.lora_A_img_region = nn.Parameter(torch.zeros(rank, inputs))
        self.lora_B_img_region = nn.Parameter(torch.zeros(outputs, rank))

    def forward(self, x):
        y = super().forward(x)
        if self.lora_A_img_region is None:
            return y
        return y + x @ self.lora_A_img_region.T @ self.lora_B_img_region.T / self.lora_A_img_region.shape[0]

    @torch.no_grad()
    def merge(self):
        a, b = self.lora_A_img_region, self.lora_B_img_region
        self.weight += b @ a / a.shape[0]
        self.lora_A_img_region = self.lora_B_img_region = None


class BertSelf(nn.Module):
    def __init__(self, width, source, heads, rank):
        super().__init__()
        self.heads = heads
        self.query = LoRALinear(width, width, rank)
        self.key = nn.Linear(source, width)
        self.value = LoRALinear(source, width, rank)

    def forward(self, x, source):
        return attention(self.query(x), self.key(source), self.value(source), self.heads)


class BertOutput(nn.Module):
    """A linear layer, the residual, LayerNorm."""

    def __init__(self, inputs, width):
        super().__init__()
        self.dense = nn.Linear(inputs, width)
        self.LayerNorm = nn.LayerNorm(width, eps=1e-12)

    def forward(self, x, residual):
        return self.LayerNorm(self.dense(x) + residual)


class BertAttention(nn.Module):
    def __init__(self, width, source, heads, rank):
        super().__init__()
        self.add_module("self", BertSelf(width, source, heads, rank))
        self.output = BertOutput(width, width)

    def forward(self, x, source):
        return self.output(self.get_submodule("self")(x, source), x)


class BertIntermediate(nn.Module):
    def __init__(self, width, hidden):
        super().__init__()
        self.dense = nn.Linear(width, hidden)
        self.intermediate_act_fn = nn.GELU()

    def forward(self, x):
        return self.intermediate_act_fn(self.dense(x))


class BertLayer(nn.Module):
    def __init__(self, width, source, heads, hidden, rank, crosses):
        super().__init__()
        self.attention = BertAttention(width, width, heads, rank)
        if crosses:
            self.crossattention = BertAttention(width, source, heads, rank)
        self.intermediate_query = BertIntermediate(width, hidden)
        self.output_query = BertOutput(hidden, width)

    def forward(self, x, source):
        x = self.attention(x, x)
        if hasattr(self, "crossattention"):
            x = self.crossattention(x, source)
        return self.output_query(self.intermediate_query(x), x)


class BertEncoder(nn.Module):
    def __init__(self, depth, **sizes):
        super().__init__()
        self.layer = nn.ModuleList(BertLayer(crosses=i % 2 == 0, **sizes) for i in range(depth))

    def forward(self, x, source):
        for layer in self.layer:
            x = layer(x, source)
        return x


class BertEmbeddings(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.LayerNorm = nn.LayerNorm(width, eps=1e-12)

    def forward(self, queries):
        return self.LayerNorm(queries)


class BertModel(nn.Module):
    def __init__(self, width, **sizes):
        super().__init__()
        self.embeddings = BertEmbeddings(width)
        self.encoder = BertEncoder(width=width, **sizes)

    def forward(self, queries, source):
        return self.encoder(self.embeddings(queries), source)


class QFormer(nn.Module):
    """The language model that RegionBLIP keeps its Q-Former in; only its bert is ever called."""

    def __init__(self, **sizes):
        super().__init__()
        self.bert = BertModel(**sizes)


class RegionBLIP(nn.Module):
    def __init__(self, vision, qformer, queries, embed, language):
        super().__init__()
        width = qformer["width"]
        self.visual_encoder = EvaViT(**vision)
        self.ln_vision = nn.LayerNorm(vision["width"])
        self.query_tokens_img_region = nn.Parameter(torch.zeros(1, queries, width))
        self.img_region_posembed = nn.Sequential(nn.Linear(4, embed), nn.GELU(), nn.Linear(embed, width))
        self.Qformer = QFormer(source=vision["width"], **qformer)
        self.opt_proj_img_region = nn.Linear(width, language)

    def forward(self, image, box):
        tokens = self.ln_vision(self.visual_encoder(image))
        queries = self.query_tokens_img_region + self.img_region_posembed(box)[:, None]
        return self.opt_proj_img_region(self.Qformer.bert(queries, tokens))

    def merge_lora(self):
        """Adds the low-rank parts to the weights they belong to, so that inference pays nothing for them."""
        for module in self.modules():
            if isinstance(module, LoRALinear):
                module.merge()
        return self


# InternViT and what InternVL-Chat puts behind it. 6B: RMSNorm, also of queries and keys over the whole width, no bias
# in qkv. 300M: LayerNorm, biases.


class RMSNorm(nn.Module):
    def __init__(self, width, eps):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))
        self.eps = eps

    def forward(self, x):
        wide = x.float()
        return self.weight * (wide * torch.rsqrt(wide.pow(2).mean(-1, keepdim=True) + self.eps)).to(x.dtype)


class InternAttention(nn.Module):
    def __init__(self, width, heads, rms):
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width, bias=not rms)
        self.q_norm = RMSNorm(width, 1e-6) if rms else nn.Identity()
        self.k_norm = RMSNorm(width, 1e-6) if rms else nn.Identity()
        self.proj = nn.Linear(width, width)

    def forward(self, x):
        q, k, v = self.qkv(x).chunk(3, -1)
        return self.proj(attention(self.q_norm(q), self.k_norm(k), v, self.heads))


class InternLayer(nn.Module):
    def __init__(self, width, heads, hidden, rms):
        super().__init__()
        norm = RMSNorm if rms else nn.LayerNorm
        self.norm1, self.norm2 = norm(width, 1e-6), norm(width, 1e-6)
        self.attn = InternAttention(width, heads, rms)
        self.mlp = MLP(width, hidden)
        self.ls1, self.ls2 = nn.Parameter(torch.ones(width)), nn.Parameter(torch.ones(width))

    def forward(self, x):
        x = x + self.attn(self.norm1(x)) * self.ls1
        return x + self.mlp(self.norm2(x)) * self.ls2


class InternEmbeddings(nn.Module):
    def __init__(self, size, patch, width):
        super().__init__()
        self.class_embedding = nn.Parameter(torch.zeros(1, 1, width))
        self.patch_embedding = nn.Conv2d(3, width, patch, stride=patch)
        self.position_embedding = nn.Parameter(torch.zeros(1, (size // patch) ** 2 + 1, width))

    def forward(self, image):
        x = self.patch_embedding(image).flatten(2).transpose(1, 2)
        return torch.cat([self.class_embedding.expand(x.shape[0], -1, -1), x], 1) + self.position_embedding


class InternEncoder(nn.Module):
    def __init__(self, depth, **sizes):
        super().__init__()
        self.layers = nn.ModuleList(InternLayer(**sizes) for _ in range(depth))

    def forward(self, x):
        for layer in self.layers:
            x = layer(x)
        return x


class InternViT(nn.Module):
    def __init__(self, size, patch, width, **sizes):
        super().__init__()
        self.embeddings = InternEmbeddings(size, patch, width)
        self.encoder = InternEncoder(width=width, **sizes)

    def forward(self, image):
        return self.encoder(self.embeddings(image))


def pixel_shuffle(x, grid, width, swapped):
    """Folds 2x2 patches into one token: [N, grid^2, width] -> [N, grid^2 / 4, 4 width].

    swapped leaves the picture's two axes exchanged, as ps_version v1 of InternVL-Chat does.
    """
    half = grid // 2
    x = x.reshape(-1, grid, half, 2 * width).transpose(1, 2).reshape(-1, half, half, 4 * width)
    return (x if swapped else x.transpose(1, 2)).reshape(-1, half * half, 4 * width)


class MedRegA(nn.Module):
    def __init__(self, language, swapped, **vision):
        super().__init__()
        self.grid, self.width, self.swapped = vision["size"] // vision["patch"], vision["width"], swapped
        wide = 4 * vision["width"]
        self.vision_model = InternViT(**vision)
        self.mlp1 = nn.Sequential(
            nn.LayerNorm(wide), nn.Linear(wide, language), nn.GELU(), nn.Linear(language, language))

    def forward(self, image):
        return self.mlp1(pixel_shuffle(self.vision_model(image)[:, 1:], self.grid, self.width, self.swapped))


# Region pooling of a detector.


class RoIAlign(nn.Module):
    """torchvision's roi_align of one box an item: (features [N, C, h, w], box [N, 4]) -> [N, C, output, output]."""

    def __init__(self, output, sampling_ratio, aligned):
        super().__init__()
        self.output, self.sampling_ratio, self.aligned = output, sampling_ratio, aligned

    def forward(self, features, box):
        h, w = features.shape[2:]
        index = torch.arange(features.shape[0], dtype=box.dtype)[:, None]
        rois = torch.cat([index, box * torch.tensor([w, h, w, h], dtype=box.dtype)], 1)
        return roi_align(features, rois, self.output, 1.0, self.sampling_ratio, self.aligned)


class RoIFeatures(nn.Module):
    """The parts are torchvision's; the level of the pyramid is fixed, where a detector takes it from the box's size."""

    def __init__(self, widths, width, level="1"):
        super().__init__()
        body = ResNet(BasicBlock, widths, (1, 1, 1))
        body.conv1 = nn.Conv2d(3, widths[0], 3, stride=2, padding=1, bias=False)
        layers = {"layer1": "0", "layer2": "1", "layer3": "2"}
        self.backbone = BackboneWithFPN(body, layers, list(widths), width)
        self.level = level
        self.box_roi_pool = RoIAlign(5, 2, False)
        self.box_head = FastRCNNConvFCHead((width, 5, 5), [width], [2 * width], nn.BatchNorm2d)

    def forward(self, image, box):
        return self.box_head(self.box_roi_pool(self.backbone(image)[self.level], box))
