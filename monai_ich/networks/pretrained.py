# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Initialises an encoder, and the decoders that mirror it, from published Swin weights, and says what was done."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from monai_ich.networks.heads import SwinDecoder
from monai_ich.networks.pretrained_files import KNOWN_WEIGHTS, locate_weights, read_weights
from monai_ich.networks.pretrained_layouts import EncoderWeights, to_encoder_weights
from monai_ich.networks.swin import SwinEncoder
from monai_ich.utils.errors import PretrainedWeightsError

__all__ = ["KNOWN_WEIGHTS", "LoadReceipt", "load_pretrained_encoder"]


@dataclass(frozen=True)
class LoadReceipt:
    """What became of a weights file.

    Attributes:
        source: the path or name that was asked for.
        layout: the layout that was found in the file.
        fraction: share of the encoder's parameters that was filled, 0 to 1.
        loaded: keys of the encoder that were filled.
        mirrored: parameters of the network's decoders that were filled with those of the mirrored encoder stage.
        interpolated: keys of the encoder whose bias table was resampled to another window.
        adapted: keys of the encoder whose input channels were summed or spread.
        mismatched: keys of the encoder for which the file's tensor has another shape, with both shapes.
        left_out: keys of the file that were not used.
        missing: keys of the encoder that were not filled.
    """

    source: str
    layout: str
    fraction: float
    loaded: tuple[str, ...]
    mirrored: tuple[str, ...]
    interpolated: tuple[str, ...]
    adapted: tuple[str, ...]
    mismatched: tuple[str, ...]
    left_out: tuple[str, ...]
    missing: tuple[str, ...]

    def summary(self) -> str:
        """One paragraph for a log."""
        parts = [
            f"Pretrained encoder: {self.fraction:.1%} of the parameters ({len(self.loaded)} tensors) from "
            f"{self.source} ({self.layout} layout)",
            _some("mirrored into the decoders", self.mirrored),
            _some("bias tables resampled to another window", self.interpolated),
            _some("adapted to other input channels", self.adapted),
            _some("of another shape", self.mismatched),
            _some("not filled", self.missing),
            _some("of the file left out", self.left_out),
        ]
        return "; ".join(part for part in parts if part) + "."


def _some(what: str, keys: tuple[str, ...]) -> str:
    return f"{len(keys)} {what} ({', '.join(keys[:2])}{', ...' if len(keys) > 2 else ''})" if keys else ""


def load_pretrained_encoder(
    network: nn.Module, path_or_name: str | Path, *, mirror: bool = True, minimum_fraction: float = 0.9
) -> LoadReceipt:
    """Fills a network's Swin encoder from a checkpoint; the network is left as it was when that fails.

    Official Swin, timm, Hugging Face and MONAI layouts are told apart by their keys. Where the file is deeper than
    the encoder, each stage takes its first blocks, as public Swin-Unet does with Swin-T. Bias tables of another
    window are resampled (bicubic) as the official loader does. Three input channels are summed into one.

    Args:
        network: a `SwinEncoder`, or a network with one as its `encoder`.
        path_or_name: a file, `hf://owner/repository[@revision]/file`, or a name of `KNOWN_WEIGHTS`.
        mirror: also copy encoder stage i to stage i of every `SwinDecoder`, where shapes agree (Swin-Unet).
        minimum_fraction: share of the encoder's parameters that must be filled, 0 to 1.

    Returns:
        What was loaded, mirrored, changed and left out.

    Raises:
        PretrainedWeightsError: the weights cannot be found, fetched or read, their layout is unknown, or they fill
            less than `minimum_fraction` of the encoder.
    """
    encoder = _encoder_of(network)
    weights = to_encoder_weights(read_weights(locate_weights(path_or_name)))
    fit = _fit(weights, encoder)
    parameters = dict(encoder.named_parameters())
    total = sum(parameter.numel() for parameter in parameters.values())
    fraction = sum(tensor.numel() for tensor in fit.tensors.values()) / total
    receipt = LoadReceipt(
        source=str(path_or_name),
        layout=weights.layout,
        fraction=fraction,
        loaded=tuple(fit.tensors),
        mirrored=tuple(_mirror_targets(network, fit.tensors)) if mirror else (),
        interpolated=tuple(fit.interpolated),
        adapted=tuple(fit.adapted),
        mismatched=tuple(fit.mismatched),
        left_out=_left_out(weights, fit.tensors),
        missing=tuple(key for key in parameters if key not in fit.tensors),
    )
    if fraction < minimum_fraction:
        raise PretrainedWeightsError(
            f"Expected weights for at least {minimum_fraction:.0%} of the encoder's parameters, but less fits: take a "
            f"file of the network's own size, or lower `minimum_fraction`. {receipt.summary()}"
        )
    with torch.no_grad():
        for key, tensor in fit.tensors.items():
            parameters[key].copy_(tensor)
        for target, key in _mirror_targets(network, fit.tensors).items() if mirror else ():
            network.get_parameter(target).copy_(fit.tensors[key])
    return receipt


def _encoder_of(network: nn.Module) -> SwinEncoder:
    encoder = network if isinstance(network, SwinEncoder) else getattr(network, "encoder", None)
    if not isinstance(encoder, SwinEncoder):
        raise PretrainedWeightsError(
            f"Expected a SwinEncoder, or a network that has one as `encoder`, but a {type(network).__name__} came: "
            "Swin weights fit no other encoder."
        )
    return encoder


class _Fit:
    """The file's tensors in the shapes of the encoder's parameters, and what was done to get there."""

    def __init__(self) -> None:
        self.tensors: dict[str, Tensor] = {}
        self.interpolated: list[str] = []
        self.adapted: list[str] = []
        self.mismatched: list[str] = []


def _fit(weights: EncoderWeights, encoder: SwinEncoder) -> _Fit:
    fit = _Fit()
    for key, parameter in encoder.named_parameters():
        if key not in weights.tensors:
            continue
        tensor = weights.tensors[key]
        if tensor.shape == parameter.shape:
            fit.tensors[key] = tensor
        elif key.endswith("relative_position_bias_table") and tensor.shape[1:] == parameter.shape[1:]:
            fit.tensors[key] = resample_bias_table(tensor, parameter.shape[0])
            fit.interpolated.append(key)
        elif key == "patch_embed.proj.weight" and _differs_in_channels_only(tensor, parameter):
            fit.tensors[key] = _adapt_channels(tensor, parameter.shape[1])
            fit.adapted.append(key)
        else:
            fit.mismatched.append(f"{key}: file {tuple(tensor.shape)}, network {tuple(parameter.shape)}")
    return fit


def resample_bias_table(table: Tensor, length: int) -> Tensor:
    """Resamples a relative position bias table ((2w-1)**2, heads) to (`length`, heads), bicubic, as official Swin."""
    old, new = round(table.shape[0] ** 0.5), round(length**0.5)
    grid = table.float().T.reshape(1, -1, old, old)
    grid = F.interpolate(grid, size=(new, new), mode="bicubic", align_corners=False)
    return grid.reshape(-1, length).T


def _differs_in_channels_only(tensor: Tensor, parameter: Tensor) -> bool:
    kernels_agree = tensor.shape[0] == parameter.shape[0] and tensor.shape[2:] == parameter.shape[2:]
    return kernels_agree and 1 in (tensor.shape[1], parameter.shape[1])


def _adapt_channels(tensor: Tensor, channels: int) -> Tensor:
    """A kernel with other input channels that answers a greyscale image, repeated to its channels, in the same way."""
    return tensor.sum(dim=1, keepdim=True).expand(-1, channels, -1, -1) / channels


def _mirror_targets(network: nn.Module, tensors: dict[str, Tensor]) -> dict[str, str]:
    """Parameters of the decoders' stages to the encoder's keys that fill them."""
    targets: dict[str, str] = {}
    for prefix, module in network.named_modules():
        if not isinstance(module, SwinDecoder):
            continue
        for name, parameter in module.stages.named_parameters():
            key = f"layers.{name}"
            if key in tensors and tensors[key].shape == parameter.shape:
                targets[f"{prefix}.stages.{name}".removeprefix(".")] = key
    return targets


def _left_out(weights: EncoderWeights, tensors: dict[str, Tensor]) -> tuple[str, ...]:
    unused = [source for key, sources in weights.sources.items() if key not in tensors for source in sources]
    return (*weights.unknown, *unused)
