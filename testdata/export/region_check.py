"""Holds region_models.py against transformers' own modules (Blip2, InternVL) with the same weights: regions.py --check.

The two are written apart and name their weights differently, so that equal outputs speak for both.
"""

import tempfile

import torch
from transformers import Blip2QFormerConfig, Blip2QFormerModel, Blip2VisionConfig, Blip2VisionModel
from transformers import InternVLVisionConfig, InternVLVisionModel
from transformers.models.internvl.modeling_internvl import InternVLModel

from region_full import load, read_checkpoint
from region_models import EvaViT, InternViT, QFormer, RegionBLIP, pixel_shuffle

WIDTH, HEADS, HIDDEN = 32, 2, 56


def renamed(state, pairs):
    """Renames keys by replacing parts of them, in order."""
    out = {}
    for key, value in state.items():
        for old, new in pairs:
            key = key.replace(old, new)
        out[key] = value
    return out


def same(what, got, want):
    error = ((got - want).abs().max() / want.abs().max()).item()
    if not error < 1e-5:
        raise SystemExit(f"{what}: differs from transformers' by {error:.2g} of the largest value")
    print(f"{what}: differs from transformers' by {error:.1g} of the largest value")


def eva(randomize, image):
    ours = randomize(EvaViT(32, 8, WIDTH, HEADS, HIDDEN, 2))
    theirs = Blip2VisionModel(Blip2VisionConfig(
        hidden_size=WIDTH, intermediate_size=HIDDEN, num_hidden_layers=2, num_attention_heads=HEADS, image_size=32,
        patch_size=8, hidden_act="gelu", layer_norm_eps=1e-6)).eval()
    state = ours.state_dict()
    for block in ("blocks.0", "blocks.1"):
        q, v = state.pop(f"{block}.attn.q_bias"), state.pop(f"{block}.attn.v_bias")
        state[f"{block}.attn.qkv.bias"] = torch.cat([q, torch.zeros_like(q), v])
    state = renamed(state, [
        ("blocks", "encoder.layers"), ("attn.", "self_attn."), ("self_attn.proj", "self_attn.projection"),
        ("norm1", "layer_norm1"), ("norm2", "layer_norm2"), ("cls_token", "embeddings.class_embedding"),
        ("pos_embed", "embeddings.position_embedding"), ("patch_embed.proj", "embeddings.patch_embedding")])
    norm = theirs.post_layernorm  # the authors have none, so ours goes through it too
    lacking = theirs.load_state_dict(state, strict=False)
    if lacking.unexpected_keys or any("post_layernorm" not in key for key in lacking.missing_keys):
        raise SystemExit(f"EVA ViT: {lacking}")
    same("EVA ViT", norm(ours(image)), theirs(pixel_values=image).last_hidden_state)


def qformer(randomize):
    ours = randomize(QFormer(width=24, source=WIDTH, heads=3, hidden=40, depth=3, rank=4))
    theirs = Blip2QFormerModel(Blip2QFormerConfig(
        hidden_size=24, num_hidden_layers=3, num_attention_heads=3, intermediate_size=40, encoder_hidden_size=WIDTH,
        cross_attention_frequency=2, layer_norm_eps=1e-12)).eval()
    queries, tokens = torch.randn(2, 5, 24), torch.randn(2, 17, WIDTH)
    adapted = ours.bert(queries, tokens)
    for module in ours.modules():
        if hasattr(module, "merge"):
            module.merge()
    state = renamed(ours.state_dict(), [
        ("bert.embeddings.LayerNorm", "layernorm"), ("bert.", ""), ("attention.self.", "attention.attention.")])
    lacking = theirs.load_state_dict(state, strict=False)
    if lacking.unexpected_keys or any("_query" in key or "attention" in key for key in lacking.missing_keys):
        raise SystemExit(f"Q-Former: {lacking}")
    # LoRA as RegionBLIP runs it against its merged weights in transformers' module.
    same("Q-Former", adapted, theirs(query_embeds=queries, encoder_hidden_states=tokens).last_hidden_state)


def intern(randomize, image, rms):
    ours = randomize(InternViT(32, 8, WIDTH, heads=HEADS, hidden=HIDDEN, depth=2, rms=rms))
    theirs = InternVLVisionModel(InternVLVisionConfig(
        hidden_size=WIDTH, intermediate_size=HIDDEN, num_hidden_layers=2, num_attention_heads=HEADS,
        image_size=[32, 32], patch_size=[8, 8], norm_type="rms_norm" if rms else "layer_norm", use_qk_norm=rms,
        attention_bias=not rms, use_mean_pooling=True)).eval()
    state = ours.state_dict()
    for key in [key for key in state if ".qkv." in key]:
        for part, value in zip(("q_proj", "k_proj", "v_proj"), state.pop(key).chunk(3)):
            state[key.replace("qkv", part)] = value
    state = renamed(state, [
        ("encoder.layers", "encoder.layer"), ("attn.proj", "attention.projection_layer"), ("attn.", "attention."),
        ("norm1", "layernorm_before"), ("norm2", "layernorm_after"), ("ls1", "lambda_1"), ("ls2", "lambda_2"),
        ("class_embedding", "cls_token"), ("embeddings.position_embedding", "embeddings.position_embeddings"),
        ("patch_embedding", "patch_embeddings.projection")])
    theirs.load_state_dict(state)
    same(f"InternViT with {'RMSNorm' if rms else 'LayerNorm'}", ours(image), theirs(image).last_hidden_state)


def shuffle():
    x = torch.randn(2, 16, 6)
    theirs = InternVLModel.pixel_shuffle(None, x.reshape(2, 4, 4, 6)).flatten(1, 2)
    same("pixel shuffle", pixel_shuffle(x, 4, 6, False), theirs)


def checkpoint(randomize):
    """Loads what it saved: the vision tower alone and with another table of positions, then all the rest."""
    def build(size):
        return RegionBLIP(vision=dict(size=size, patch=8, width=WIDTH, heads=HEADS, hidden=HIDDEN, depth=1), queries=5,
                          qformer=dict(width=24, heads=3, hidden=40, depth=1, rank=4), embed=12, language=20)
    ours, copy, larger = randomize(build(32)), build(32), build(64)
    state = ours.state_dict()
    vision = {key.removeprefix("visual_encoder."): value for key, value in state.items() if key.startswith("visual_")}
    rest = {key: value for key, value in state.items() if not key.startswith("visual_")}
    with tempfile.TemporaryDirectory() as folder:
        torch.save(vision, f"{folder}/vision.pth")
        torch.save({"model": rest}, f"{folder}/rest.pth")
        tensors = read_checkpoint([f"{folder}/vision.pth", f"{folder}/rest.pth"])
        load(copy, tensors)
        load(larger, tensors)
        for key, value in copy.state_dict().items():
            if not torch.equal(value, state[key]):
                raise SystemExit(f"checkpoint: {key} did not arrive")
        if larger.visual_encoder.pos_embed.shape[1] != 65:
            raise SystemExit("checkpoint: the table of positions was not resized")
    try:
        load(build(32), rest)
    except ValueError as error:
        print(f"checkpoint: loads; one that lacks weights is refused ({str(error)[:60]}...)")
    else:
        raise SystemExit("checkpoint: missing weights were not noticed")


@torch.no_grad()
def main(randomize):
    torch.manual_seed(0)
    image = torch.randn(2, 3, 32, 32)
    eva(randomize, image)
    qformer(randomize)
    intern(randomize, image, True)
    intern(randomize, image, False)
    shuffle()
    checkpoint(randomize)
