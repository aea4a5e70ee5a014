"""Finds activation sites of a PyTorch module and reads the values before them with forward pre-hooks."""

import torch
import torch.nn as nn

from models import Abs, Clamp, ClampMin, Maximum, PreActBlock, QuickGELU, ThresholdedReLU

# class -> (op, knots of the module, smooth)
ACTIVATIONS = {
    nn.ReLU: ("ReLU", lambda m: [0.0], False),
    nn.LeakyReLU: ("LeakyReLU", lambda m: [0.0], False),
    nn.PReLU: ("PReLU", lambda m: [0.0], False),
    nn.ReLU6: ("ReLU6", lambda m: [0.0, 6.0], False),
    nn.Hardtanh: ("Hardtanh", lambda m: [m.min_val, m.max_val], False),
    nn.Hardswish: ("Hardswish", lambda m: [-3.0, 3.0], False),
    nn.Hardsigmoid: ("Hardsigmoid", lambda m: [-3.0, 3.0], False),
    ThresholdedReLU: ("ThresholdedReLU", lambda m: [m.alpha], False),
    nn.ELU: ("ELU", lambda m: [0.0], False),
    nn.SELU: ("SELU", lambda m: [0.0], False),
    nn.CELU: ("CELU", lambda m: [0.0], False),
    nn.GELU: ("GELU", lambda m: [0.0], True),
    nn.SiLU: ("SiLU", lambda m: [0.0], True),
    nn.Mish: ("Mish", lambda m: [0.0], True),
    Abs: ("Abs", lambda m: [0.0], False),
    Maximum: ("Maximum", lambda m: [m.bound.item()], False),
    ClampMin: ("Clamp", lambda m: [m.low], False),
    Clamp: ("Clamp", lambda m: [m.low, m.high], False),
    QuickGELU: ("QuickGELU", lambda m: [0.0], True),
}


class Probe:
    """Pre-hooks on every activation module. run(x) gives the values before each activation, in execution order.

    A module that is called again is a further site: name, name_1, name_2. The functional ReLUs of PreActBlock are
    read where the local-complexity paper reads them, at the outputs of bn1 and bn2, and named BLOCK.relu and
    BLOCK.relu_1, after the function in the module that calls it.
    """

    def __init__(self, model):
        self.model = model.eval()
        self.calls = []
        self.handles = []
        for name, module in model.named_modules():
            if isinstance(module, PreActBlock):
                for norm, site in [(module.bn1, "relu"), (module.bn2, "relu_1")]:
                    self.handles.append(norm.register_forward_hook(self.after(f"{name}.{site}")))
            elif type(module) in ACTIVATIONS:
                self.handles.append(module.register_forward_pre_hook(self.before(name)))

    def before(self, name):
        def hook(module, args):
            self.record(name, args[0], *self.describe(module))
        return hook

    def after(self, name):
        def hook(module, args, output):
            self.record(name, output, "ReLU", [0.0], False)
        return hook

    @staticmethod
    def describe(module):
        op, knots, smooth = ACTIVATIONS[type(module)]
        return op, knots(module), smooth

    def record(self, name, value, op, knots, smooth):
        count = self.counts.get(name, 0)
        self.counts[name] = count + 1
        # clone: an in-place activation overwrites its input
        self.calls.append((f"{name}_{count}" if count else name, value.detach().clone(), op, knots, smooth))

    def run(self, *x):
        """Returns (logits, [(site, values [N, ...])]) of one forward pass."""
        self.calls, self.counts = [], {}
        with torch.no_grad():
            logits = self.model(*x)
        sites = []
        for name, value, op, knots, smooth in self.calls:
            shape = list(value.shape[1:])
            sites.append(({"name": name, "op": op, "units": value[0].numel(), "shape": shape, "knots": knots,
                           "smooth": smooth}, value))
        return logits, sites

    def close(self):
        for handle in self.handles:
            handle.remove()


def sites_of(model, x):
    probe = Probe(model)
    _, sites = probe.run(x)
    probe.close()
    return [site for site, _ in sites]
