"""The networks of testdata/models, for 8x8 handwritten digits unless said otherwise, in plain PyTorch.

Where torchvision has the block (ResNet, SqueezeExcitation, VisionTransformer) it is torchvision's own, so that module
names and repeated calls are those of the models people export.
"""

import functools

import torch
import torch.nn as nn
import torch.nn.functional as F
import torchvision
from torchvision.models.resnet import BasicBlock, Bottleneck
from torchvision.ops import Conv2dNormActivation, SqueezeExcitation

CLASSES = 10


# Activations that PyTorch has only as functions, or not at all.


class Abs(nn.Module):
    def forward(self, x):
        return torch.abs(x)


class Maximum(nn.Module):
    """torch.maximum(x, constant), as models that were converted from other frameworks write it."""

    def __init__(self, bound):
        super().__init__()
        self.register_buffer("bound", torch.tensor(float(bound)))

    def forward(self, x):
        return torch.maximum(x, self.bound)


class ClampMin(nn.Module):
    def __init__(self, low):
        super().__init__()
        self.low = low

    def forward(self, x):
        return torch.clamp(x, min=self.low)


class Clamp(nn.Module):
    def __init__(self, low, high):
        super().__init__()
        self.low, self.high = low, high

    def forward(self, x):
        return torch.clamp(x, min=self.low, max=self.high)


class QuickGELU(nn.Module):
    """The GELU of OpenAI's CLIP: x * sigmoid(1.702 x)."""

    def forward(self, x):
        return x * torch.sigmoid(1.702 * x)


class ThresholdedReLU(nn.Module):
    """x above alpha, else 0. PyTorch has no exportable form, so the ONNX node is written by name."""

    def __init__(self, alpha):
        super().__init__()
        self.alpha = alpha

    def forward(self, x):
        if torch.onnx.is_in_onnx_export():
            if torch.jit.is_tracing():
                return ThresholdedReLUFunction.apply(x, self.alpha)
            return torch.onnx.ops.symbolic("ThresholdedRelu", (x,), {"alpha": self.alpha}, dtype=x.dtype, shape=x.shape)
        return torch.where(x > self.alpha, x, torch.zeros_like(x))


class ThresholdedReLUFunction(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, alpha):
        return torch.where(x > alpha, x, torch.zeros_like(x))

    @staticmethod
    def symbolic(g, x, alpha):
        return g.op("ThresholdedRelu", x, alpha_f=alpha).setType(x.type())


class MLP(nn.Module):
    def __init__(self):
        super().__init__()
        self.flatten = nn.Flatten()
        self.fc1 = nn.Linear(64, 64)
        self.relu1 = nn.ReLU()
        self.fc2 = nn.Linear(64, 44)
        self.relu2 = nn.ReLU()
        self.fc3 = nn.Linear(44, CLASSES)

    def forward(self, x):
        x = self.flatten(x)
        x = self.relu1(self.fc1(x))
        x = self.relu2(self.fc2(x))
        return self.fc3(x)


class CNN(nn.Module):
    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(1, 12, 3, padding=1), nn.ReLU(inplace=True), nn.MaxPool2d(2),
            nn.Conv2d(12, 24, 3, padding=1), nn.ReLU(inplace=True), nn.MaxPool2d(2))
        self.classifier = nn.Sequential(nn.Flatten(), nn.Linear(96, 37), nn.ReLU(inplace=True), nn.Dropout(0.2),
                                        nn.Linear(37, CLASSES))

    def forward(self, x):
        return self.classifier(self.features(x))


class ResNet(nn.Module):
    """torchvision's ResNet at the size of a digit: its own blocks, in which one ReLU module is called repeatedly."""

    def __init__(self, block, widths, counts):
        super().__init__()
        self.inplanes = widths[0]
        self.conv1 = nn.Conv2d(1, widths[0], 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(widths[0])
        self.relu = nn.ReLU(inplace=True)
        self.layer1 = self.stage(block, widths[0], counts[0], 1)
        self.layer2 = self.stage(block, widths[1], counts[1], 2)
        self.layer3 = self.stage(block, widths[2], counts[2], 2)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(widths[2] * block.expansion, CLASSES)

    def stage(self, block, planes, count, stride):
        downsample = None
        if stride != 1 or self.inplanes != planes * block.expansion:
            downsample = nn.Sequential(
                nn.Conv2d(self.inplanes, planes * block.expansion, 1, stride=stride, bias=False),
                nn.BatchNorm2d(planes * block.expansion))
        blocks = [block(self.inplanes, planes, stride, downsample)]
        self.inplanes = planes * block.expansion
        blocks += [block(self.inplanes, planes) for _ in range(count - 1)]
        return nn.Sequential(*blocks)

    def forward(self, x):
        x = self.relu(self.bn1(self.conv1(x)))
        x = self.layer3(self.layer2(self.layer1(x)))
        return self.fc(torch.flatten(self.avgpool(x), 1))


class InvertedResidual(nn.Module):
    """Expand, depthwise convolution, optional squeeze-and-excite, project: the block of MobileNet v2 and v3."""

    def __init__(self, inputs, expanded, outputs, stride, activation, squeeze):
        super().__init__()
        layers = [
            Conv2dNormActivation(inputs, expanded, 1, activation_layer=activation),
            Conv2dNormActivation(expanded, expanded, 3, stride, groups=expanded, activation_layer=activation)]
        if squeeze:
            layers.append(SqueezeExcitation(expanded, expanded // 4, scale_activation=nn.Hardsigmoid))
        layers.append(Conv2dNormActivation(expanded, outputs, 1, activation_layer=None))
        self.block = nn.Sequential(*layers)
        self.residual = stride == 1 and inputs == outputs

    def forward(self, x):
        out = self.block(x)
        return x + out if self.residual else out


class MobileNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(
            Conv2dNormActivation(1, 12, 3, activation_layer=nn.Hardswish),
            InvertedResidual(12, 24, 12, 1, nn.ReLU6, squeeze=False),
            InvertedResidual(12, 36, 20, 2, nn.ReLU6, squeeze=True),
            InvertedResidual(20, 40, 20, 1, nn.Hardswish, squeeze=True),
            Conv2dNormActivation(20, 40, 3, 2, groups=4, activation_layer=nn.Hardswish))
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Sequential(nn.Linear(40, 32), nn.Hardswish(inplace=True), nn.Dropout(0.1),
                                        nn.Linear(32, CLASSES))

    def forward(self, x):
        return self.classifier(torch.flatten(self.avgpool(self.features(x)), 1))


def vit():
    model = torchvision.models.VisionTransformer(
        image_size=8, patch_size=2, num_layers=2, num_heads=4, hidden_dim=32, mlp_dim=64, num_classes=CLASSES)
    model.conv_proj = nn.Conv2d(1, 32, 2, stride=2)  # one channel instead of three
    nn.init.normal_(model.heads.head.weight, std=0.02)  # torchvision starts the head at zero
    return model


class Activations(nn.Module):
    """Every activation once, each in a branch of its own behind a 1x1 convolution. Not trained.

    spread() scales the branches so that each activation sees values on all sides of its knots.
    """

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(1, 8, 3, stride=2, padding=1)
        activations = {
            "relu": nn.ReLU(), "leaky_relu": nn.LeakyReLU(0.1), "prelu": nn.PReLU(6),
            "thresholded_relu": ThresholdedReLU(0.5), "hardtanh": nn.Hardtanh(-0.5, 0.7), "relu6": nn.ReLU6(),
            "hardswish": nn.Hardswish(), "hardsigmoid": nn.Hardsigmoid(), "abs": Abs(), "elu": nn.ELU(1.3),
            "selu": nn.SELU(), "celu": nn.CELU(0.8), "maximum": Maximum(-0.25), "clamp_min": ClampMin(0.2),
            "clamp": Clamp(-1.0, 0.5), "gelu": nn.GELU(), "gelu_tanh": nn.GELU(approximate="tanh"),
            "quick_gelu": QuickGELU(), "silu": nn.SiLU(), "mish": nn.Mish()}
        self.names = list(activations)
        for name, module in activations.items():
            self.add_module(f"conv_{name}", nn.Conv2d(8, 6, 1))
            self.add_module(name, module)
        with torch.no_grad():
            self.prelu.weight.copy_(torch.linspace(0.05, 0.55, 6))
        self.head = nn.Linear(6 * len(activations), CLASSES)

    def forward(self, x):
        x = self.stem(x)
        features = [self.get_submodule(name)(self.get_submodule(f"conv_{name}")(x)).mean((2, 3)) for name in self.names]
        return self.head(torch.cat(features, 1))

    @torch.no_grad()
    def spread(self, x):
        x = self.stem(x)
        for name in self.names:
            conv = self.get_submodule(f"conv_{name}")
            value = conv(x)
            std = {"relu6": 4.0, "hardswish": 3.0, "hardsigmoid": 3.0}.get(name, 1.0)
            mean = 3.0 if name == "relu6" else 0.0
            scale = std / value.std((0, 2, 3))
            conv.weight.mul_(scale[:, None, None, None])
            conv.bias.copy_((conv.bias - value.mean((0, 2, 3))) * scale + mean)


# The pre-activation ResNet-18 for 32x32 pictures that the local-complexity paper measures: He et al. 2016 ("Identity
# mappings in deep residual networks") in the layout of kuangliu/pytorch-cifar, at width 16. Without batch
# normalisation each norm is an Identity whose output is the value before a ReLU.


class PreActBlock(nn.Module):
    def __init__(self, inputs, planes, stride, use_bn):
        super().__init__()
        norm = nn.BatchNorm2d if use_bn else nn.Identity
        self.bn1 = norm(inputs)
        self.conv1 = nn.Conv2d(inputs, planes, 3, stride=stride, padding=1, bias=False)
        self.bn2 = norm(planes)
        self.conv2 = nn.Conv2d(planes, planes, 3, padding=1, bias=False)
        if stride != 1 or inputs != planes:
            self.shortcut = nn.Sequential(nn.Conv2d(inputs, planes, 1, stride=stride, bias=False))

    def forward(self, x):
        out = F.relu(self.bn1(x))
        shortcut = self.shortcut(out) if hasattr(self, "shortcut") else x
        out = self.conv1(out)
        out = self.conv2(F.relu(self.bn2(out)))
        return out + shortcut


class PreActResNet18(nn.Module):
    def __init__(self, classes=10, k=16, use_bn=False):
        super().__init__()
        self.conv1 = nn.Conv2d(3, k, 3, padding=1, bias=False)
        width = k
        for i, (planes, stride) in enumerate([(k, 1), (2 * k, 2), (4 * k, 2), (8 * k, 2)], 1):
            blocks = [PreActBlock(width, planes, stride, use_bn), PreActBlock(planes, planes, 1, use_bn)]
            setattr(self, f"layer{i}", nn.Sequential(*blocks))
            width = planes
        self.linear = nn.Linear(width, classes)

    def forward(self, x):
        out = self.conv1(x)
        out = self.layer4(self.layer3(self.layer2(self.layer1(out))))
        out = F.avg_pool2d(out, 4).flatten(1)
        return self.linear(out)


NETWORKS = {
    "mlp": MLP,
    "cnn": CNN,
    "resnet_basic": functools.partial(ResNet, BasicBlock, (8, 14, 24), (2, 1, 1)),
    "resnet_bottleneck": functools.partial(ResNet, Bottleneck, (6, 8, 12), (1, 2, 1)),
    "mobilenet": MobileNet,
    "vit": vit,
    "acts": Activations,
}
