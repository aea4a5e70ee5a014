"""The two ONNX exporters of PyTorch, with the settings that every script here shares."""

import os
import tempfile
import warnings

import onnx
import torch

STACK_TRACE = "pkg.torch.onnx.stack_trace"


def strip(model: onnx.ModelProto) -> onnx.ModelProto:
    """Removes what names files of the machine that exported: stack traces and doc strings.

    name_scopes, class_hierarchy, namespace and fx_node stay: names of sites are read from them.
    """

    def visit_graph(graph):
        graph.ClearField("doc_string")
        for values in (graph.input, graph.output, graph.value_info, graph.initializer):
            for value in values:
                value.ClearField("doc_string")
                drop_trace(value)
        drop_trace(graph)
        visit_nodes(graph.node)

    def visit_nodes(nodes):
        for node in nodes:
            node.ClearField("doc_string")
            drop_trace(node)
            for attribute in node.attribute:
                if attribute.HasField("g"):
                    visit_graph(attribute.g)
                for graph in attribute.graphs:
                    visit_graph(graph)

    def drop_trace(message):
        kept = [p for p in message.metadata_props if p.key != STACK_TRACE]
        if len(kept) != len(message.metadata_props):
            del message.metadata_props[:]
            message.metadata_props.extend(kept)

    model.ClearField("doc_string")
    visit_graph(model.graph)
    for function in model.functions:
        function.ClearField("doc_string")
        visit_nodes(function.node)
    return model


def reason(error):
    """The first line of what an exporter's error goes back to: what it wraps that in says only where to read on."""
    while error.__cause__ is not None:
        error = error.__cause__
    lines = [line.strip() for line in str(error).splitlines() if line.strip()] or [""]
    return f"{type(error).__name__}: {lines[0][:160]}"


def export(model, x, exporter, *, opset=None, dynamic=True, inputs=("input",), output="logits"):
    """Exports model (in eval mode) and returns a stripped ModelProto; x is its input, or a tuple as named."""
    model = model.eval()
    x = x if isinstance(x, tuple) else (x,)
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        path = os.path.join(folder, "model.onnx")
        names = {"input_names": list(inputs), "output_names": [output]}
        if exporter == "dynamo":
            torch.onnx.export(
                model, x, path, dynamo=True, external_data=False, verbose=False, opset_version=opset,
                dynamic_shapes=({0: torch.export.Dim("batch")},) * len(x) if dynamic else None, **names)
        elif exporter == "torchscript":
            torch.onnx.export(
                model, x, path, dynamo=False, opset_version=opset or 17,
                dynamic_axes={name: {0: "batch"} for name in (*inputs, output)} if dynamic else None, **names)
        else:
            raise ValueError(f"exporter {exporter!r}: want dynamo or torchscript")
        return strip(onnx.load(path))
