"""The encoders of region_models.py at their real size, with random weights or the authors' own, in an ONNX file whose
weights lie in a file beside it. See regions.py for how to call it and where the weights come from."""

import pathlib

import numpy as np
import onnx
import torch
import transformers
from onnx import TensorProto, helper

from exporters import strip
from region_models import MedRegA, RegionBLIP, resize_positions

BERT = dict(width=768, heads=12, hidden=3072, depth=12, rank=8)


def regionblip(size):
    vision = dict(size=size, patch=14, width=1408, heads=16, hidden=6144, depth=39)
    return RegionBLIP(vision=vision, qformer=BERT, queries=32, embed=128, language=2560)


def large(**config):
    return dict(patch_size=14, hidden_size=1024, num_attention_heads=16, num_hidden_layers=24,
                attn_implementation="eager", **config)


def clip_l():
    return transformers.CLIPVisionModel(transformers.CLIPVisionConfig(**large(
        image_size=224, intermediate_size=4096, hidden_act="quick_gelu")))


def dinov2_l():
    return transformers.Dinov2WithRegistersModel(transformers.Dinov2WithRegistersConfig(**large(
        image_size=518, mlp_ratio=4, num_register_tokens=4)))


# name -> (what builds it, side of the picture, module path of a model of transformers)
FULL = {
    "regionblip_224": (lambda: regionblip(224), 224, None),
    "regionblip_364": (lambda: regionblip(364), 364, None),
    "internvit_300m": (lambda: MedRegA(
        language=2048, swapped=False, size=448, patch=14, width=1024, heads=16, hidden=4096, depth=24, rms=False),
        448, None),
    "medrega": (lambda: MedRegA(
        language=7168, swapped=True, size=448, patch=14, width=3200, heads=25, hidden=12800, depth=45, rms=True),
        448, None),
    "clip_l": (clip_l, 224, "vision_model"),
    "dinov2_l": (dinov2_l, 518, "dinov2_with_registers"),
}


def read_checkpoint(files):
    """Returns the tensors of checkpoints, mapped rather than read; a later file's replace an earlier one's."""
    tensors = {}
    for file in files:
        if str(file).endswith(".safetensors"):
            from safetensors.torch import load_file
            tensors |= load_file(file)
            continue
        state = torch.load(file, map_location="cpu", mmap=True, weights_only=True)
        tensors |= state.get("model", state)
    return tensors


def load(model, tensors):
    """Loads the authors' weights: by their own keys, without the prefix where the vision tower was saved alone.

    What the model does not have is left out (text branch, language model, other modalities, EVA's last block);
    what it has and the checkpoint lacks is an error. Tables of positions are resized.
    """
    missing = []
    for key, value in model.state_dict(keep_vars=True).items():
        prefix, _, rest = key.partition(".")
        found = tensors.get(key, tensors.get(rest) if prefix in ("visual_encoder", "vision_model") else None)
        if found is None:
            missing.append(key)
            continue
        if key.endswith(("pos_embed", "position_embedding")):
            found = resize_positions(found, round((value.shape[1] - 1) ** 0.5))
        if found.shape != value.shape:
            raise ValueError(f"{key}: the checkpoint's shape is {list(found.shape)}, want {list(value.shape)}")
        value.data.copy_(found)
    if missing:
        raise ValueError(f"the checkpoint lacks {len(missing)} weights: {', '.join(missing[:5])}, ...")
    return model


def export_full(model, data, path):
    """Writes path and path.data by the dynamo exporter; the weights are in memory once."""
    torch.onnx.export(
        model, tuple(data.values()), str(path), dynamo=True, external_data=True, verbose=False,
        input_names=list(data), output_names=["output"],
        dynamic_shapes=({0: torch.export.Dim("batch")},) * len(data))
    onnx.save(strip(onnx.load(path, load_external_data=False)), path)


def store_as(path, dtype):
    """Rewrites the data file of a model in a 16-bit type, a tensor at a time, each followed by a Cast to float."""
    to = {"float16": TensorProto.FLOAT16, "bfloat16": TensorProto.BFLOAT16}[dtype]
    model = onnx.load(path, load_external_data=False)
    data, new = pathlib.Path(f"{path}.data"), pathlib.Path(f"{path}.data.new")
    casts = []
    with new.open("wb") as out:
        for tensor in model.graph.initializer:
            at = {entry.key: entry.value for entry in tensor.external_data}
            if not at:
                continue
            offset, length = int(at.get("offset", 0)), int(at["length"])
            raw = np.memmap(data, np.uint8, "r", offset, (length,))
            if tensor.data_type == TensorProto.FLOAT:
                raw = raw.view(np.float32).astype(helper.tensor_dtype_to_np_dtype(to)).view(np.uint8)
                name, tensor.name, tensor.data_type = tensor.name, f"{tensor.name}_stored", to
                casts.append(helper.make_node("Cast", [tensor.name], [name], f"{name}_cast", to=TensorProto.FLOAT))
            out.write(b"\0" * (-out.tell() % 4096))  # page by page, so that a runtime can map it
            del tensor.external_data[:]
            for key, value in [("location", data.name), ("offset", out.tell()), ("length", raw.nbytes)]:
                tensor.external_data.add(key=key, value=str(value))
            out.write(raw)
    nodes = list(model.graph.node)
    del model.graph.node[:]
    model.graph.node.extend(casts + nodes)
    new.replace(data)
    onnx.save(model, path)
