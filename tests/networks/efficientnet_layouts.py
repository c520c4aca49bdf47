# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""The published namings of EfficientNet by their rules, and torchvision's arithmetic, independent of the loader."""

from __future__ import annotations

from networks_support import State
from torch import Tensor
from torch.nn import functional as F

Shapes = dict[str, tuple[int, ...]]

# Table 1 of arXiv 1905.11946: expansion, kernel, stride, channels in, channels out, repeats of b0.
STACKS = [
    (1, 3, 1, 32, 16, 1),
    (6, 3, 2, 16, 24, 2),
    (6, 5, 2, 24, 40, 2),
    (6, 3, 2, 40, 80, 3),
    (6, 5, 1, 80, 112, 3),
    (6, 5, 2, 112, 192, 4),
    (6, 3, 1, 192, 320, 1),
]


def rounded(channels: int, width: float) -> int:
    """Section 5 of the paper's code: to multiples of 8, never more than 10 % down."""
    new = max(8, int(channels * width + 4) // 8 * 8)
    return new + 8 if new < 0.9 * channels * width else new


def blocks_of(width: float, depth: float) -> list[list[tuple[int, int, int, int, int]]]:
    """(expansion, kernel, stride, channels in, channels out) of every block of every stack."""
    stacks = []
    for expansion, kernel, stride, into, out, repeats in STACKS:
        into, out = rounded(into, width), rounded(out, width)
        first = (expansion, kernel, stride, into, out)
        stacks.append([first] + [(expansion, kernel, 1, out, out)] * (-int(-depth * repeats // 1) - 1))
    return stacks


def norm(name: str, channels: int) -> Shapes:
    parameters = {f"{name}.{part}": (channels,) for part in ("weight", "bias", "running_mean", "running_var")}
    return {**parameters, f"{name}.num_batches_tracked": ()}


def squeeze(reduce: str, expand: str, into: int, inner: int) -> Shapes:
    small = max(1, into // 4)
    return {
        f"{reduce}.weight": (small, inner, 1, 1),
        f"{reduce}.bias": (small,),
        f"{expand}.weight": (inner, small, 1, 1),
        f"{expand}.bias": (inner,),
    }


def timm_shapes(width: float, depth: float) -> Shapes:
    stem, head = rounded(32, width), rounded(1280, width)
    shapes = {"conv_stem.weight": (stem, 3, 3, 3), **norm("bn1", stem)}
    out = stem
    for stack, blocks in enumerate(blocks_of(width, depth)):
        for index, (expansion, kernel, _, into, out) in enumerate(blocks):
            name, inner = f"blocks.{stack}.{index}", into * expansion
            if expansion > 1:
                shapes |= {f"{name}.conv_pw.weight": (inner, into, 1, 1), **norm(f"{name}.bn1", inner)}
            depthwise, project = ("bn2", "bn3") if expansion > 1 else ("bn1", "bn2")
            last = "conv_pwl" if expansion > 1 else "conv_pw"
            shapes |= {f"{name}.conv_dw.weight": (inner, 1, kernel, kernel), **norm(f"{name}.{depthwise}", inner)}
            shapes |= squeeze(f"{name}.se.conv_reduce", f"{name}.se.conv_expand", into, inner)
            shapes |= {f"{name}.{last}.weight": (out, inner, 1, 1), **norm(f"{name}.{project}", out)}
    shapes |= {"conv_head.weight": (head, out, 1, 1), **norm("bn2", head)}
    return {**shapes, "classifier.weight": (1000, head), "classifier.bias": (1000,)}


def torchvision_shapes(width: float, depth: float) -> Shapes:
    stem, head = rounded(32, width), rounded(1280, width)
    shapes = {"features.0.0.weight": (stem, 3, 3, 3), **norm("features.0.1", stem)}
    out = stem
    for stack, blocks in enumerate(blocks_of(width, depth), start=1):
        for index, (expansion, kernel, _, into, out) in enumerate(blocks):
            name, inner, part = f"features.{stack}.{index}.block", into * expansion, 0
            if expansion > 1:
                shapes |= {f"{name}.0.0.weight": (inner, into, 1, 1), **norm(f"{name}.0.1", inner)}
                part = 1
            shapes |= {f"{name}.{part}.0.weight": (inner, 1, kernel, kernel), **norm(f"{name}.{part}.1", inner)}
            shapes |= squeeze(f"{name}.{part + 1}.fc1", f"{name}.{part + 1}.fc2", into, inner)
            shapes |= {f"{name}.{part + 2}.0.weight": (out, inner, 1, 1), **norm(f"{name}.{part + 2}.1", out)}
    shapes |= {"features.8.0.weight": (head, out, 1, 1), **norm("features.8.1", head)}
    return {**shapes, "classifier.1.weight": (1000, head), "classifier.1.bias": (1000,)}


def torchvision_forward(state: State, image: Tensor, width: float, depth: float) -> Tensor:
    """The map that torchvision's classifier pools: symmetric padding, eps of 1e-5, straight from its keys."""

    def conv_norm(x: Tensor, name: str, stride: int = 1, depthwise: bool = False) -> Tensor:
        kernel = state[f"{name}.0.weight"]
        x = F.conv2d(x, kernel, None, stride, (kernel.shape[-1] - 1) // 2, 1, len(kernel) if depthwise else 1)
        statistics = [state[f"{name}.1.{part}"] for part in ("running_mean", "running_var", "weight", "bias")]
        return F.batch_norm(x, *statistics, eps=1e-5)

    x = F.silu(conv_norm(image, "features.0", 2))
    for stack, blocks in enumerate(blocks_of(width, depth), start=1):
        for index, (expansion, _, stride, into, out) in enumerate(blocks):
            name, part, y = f"features.{stack}.{index}.block", 0, x
            if expansion > 1:
                y, part = F.silu(conv_norm(y, f"{name}.0")), 1
            y = F.silu(conv_norm(y, f"{name}.{part}", stride, depthwise=True))
            gate = y.mean(dim=(2, 3), keepdim=True)
            first, second = f"{name}.{part + 1}.fc1", f"{name}.{part + 1}.fc2"
            gate = F.silu(F.conv2d(gate, state[f"{first}.weight"], state[f"{first}.bias"]))
            gate = F.conv2d(gate, state[f"{second}.weight"], state[f"{second}.bias"]).sigmoid()
            y = conv_norm(y * gate, f"{name}.{part + 2}")
            x = x + y if stride == 1 and into == out else y
    return F.silu(conv_norm(x, "features.8"))
