# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Initialises an encoder, and the decoders that mirror it, from published weights, and says what was done."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from monai_ich.networks.encoder_origins import set_pretrained_origin
from monai_ich.networks.heads import SwinDecoder
from monai_ich.networks.layouts import EncoderWeights, WeightFamily
from monai_ich.networks.pretrained_files import KNOWN_WEIGHTS, locate_weights, read_weights
from monai_ich.networks.weight_differences import weight_differences
from monai_ich.utils.errors import PretrainedWeightsError
from monai_ich.utils.keys import Task

__all__ = ["KNOWN_WEIGHTS", "LoadReceipt", "load_pretrained_encoder"]

SEG_HEAD = f"heads.{Task.SEG}."
_STATISTICS = ("running_mean", "running_var")


@dataclass(frozen=True)
class LoadReceipt:
    """What became of a weights file.

    Attributes:
        source: the path or name that was asked for.
        layout: the layout that was found in the file.
        fraction: share of the encoder's parameters and running statistics that was filled, 0 to 1.
        loaded: keys of the encoder that were filled.
        mirrored: parameters of the network's decoders that were filled with those of the mirrored encoder stage.
        decoder: parameters of the segmentation decoder that were filled with those of the file's decoder.
        interpolated: keys of the encoder whose bias table was resampled to another window.
        adapted: keys of the encoder whose input channels were summed or spread.
        mismatched: keys of the encoder for which the file's tensor has another shape.
        left_out: keys of the file that were not used.
        missing: keys of the encoder that were not filled.
        note: what the file's keys cannot tell, and the reader has to know.
        differences: how the file's network differs from this one, a sentence for each kind of difference.
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
    note: str = ""
    decoder: tuple[str, ...] = ()
    differences: tuple[str, ...] = ()

    def summary(self) -> str:
        """One paragraph for a log."""
        parts = [
            f"Pretrained encoder: {self.fraction:.1%} of the weights ({len(self.loaded)} tensors) from "
            f"{self.source} ({self.layout} layout)",
            _some("of the segmentation decoder, from the file's own", self.decoder),
            *self.differences,
            _some("mirrored into the decoders", self.mirrored),
            _some("bias tables resampled to another window", self.interpolated),
            _some("adapted to other input channels", self.adapted),
            _some("not filled", self.missing),
            _some("of the file left out", self.left_out),
            self.note,
        ]
        return "; ".join(part for part in parts if part) + "."


def _some(what: str, keys: tuple[str, ...]) -> str:
    return f"{len(keys)} {what} ({', '.join(keys[:2])}{', ...' if len(keys) > 2 else ''})" if keys else ""


def load_pretrained_encoder(
    network: nn.Module, path_or_name: str | Path, *, mirror: bool = True, minimum_fraction: float = 0.9
) -> LoadReceipt:
    """Fills a network's encoder from a checkpoint; the network is left as it was when that fails.

    Layouts are told apart by their keys (`layouts/`). Running statistics of normalisations are weights too. Where a
    Swin file is deeper than the encoder, each stage takes its first blocks, as public Swin-Unet does with Swin-T, and
    bias tables of another window are resampled (bicubic) as the official loader does. Three input channels are summed
    into one. A checkpoint of the public Swin-Unet also fills the segmentation decoder, if the network has one.

    Args:
        network: an encoder with a `weight_family` (Swin, ResNet, EfficientNet), or a network with one as its
            `encoder` or as its encoder's `trainable` part.
        path_or_name: a file, `hf://owner/repository[@revision]/file`, or a name of `KNOWN_WEIGHTS`.
        mirror: also copy encoder stage i to stage i of every `SwinDecoder`, where shapes agree (Swin-Unet).
        minimum_fraction: share of the encoder's weights that must be filled, 0 to 1.

    Returns:
        What was loaded, mirrored, changed and left out.

    Raises:
        PretrainedWeightsError: the weights cannot be found, fetched or read, their layout is unknown, they were
            trained in another convention than the encoder's, or they fill less than `minimum_fraction` of it, not
            its first layer, or not the running statistics of a normalisation that they fill.
    """
    encoder, family = _encoder_of(network)
    path = locate_weights(path_or_name)
    weights = family.convert(read_weights(path))
    _check_convention(weights, encoder, family)
    targets = _targets(encoder)
    fit = _fit(weights, targets, family)
    of_decoder = _decoder_fit(network, encoder, weights, family)
    mirrored = _mirror_targets(network, fit.tensors) if mirror else {}
    mirrored = {target: key for target, key in mirrored.items() if target not in of_decoder.tensors}
    used = {family.canonical(key) for key in fit.tensors}
    used_of_decoder = {key.removeprefix(SEG_HEAD) for key in of_decoder.tensors}
    filled, total = (sum(t.numel() for t in tensors.values()) for tensors in (fit.tensors, targets))
    receipt = LoadReceipt(
        source=str(path_or_name),
        layout=weights.layout,
        fraction=filled / total,
        loaded=tuple(fit.tensors),
        mirrored=tuple(mirrored),
        interpolated=(*fit.interpolated, *of_decoder.interpolated),
        adapted=tuple(fit.adapted),
        mismatched=(*fit.mismatched, *of_decoder.mismatched),
        left_out=(*weights.unknown, *_unused(weights, used), *_unused(weights.decoder, used_of_decoder)),
        missing=tuple(key for key in targets if key not in fit.tensors),
        note=weights.note,
        decoder=tuple(of_decoder.tensors),
        differences=(*fit.differences, *of_decoder.differences),
    )
    _check_enough(receipt, family, minimum_fraction)
    with torch.no_grad():
        for key, tensor in fit.tensors.items():
            targets[key].copy_(tensor)
        for target, key in mirrored.items():
            network.get_parameter(target).copy_(fit.tensors[key])
        for target, tensor in of_decoder.tensors.items():
            network.get_parameter(target).copy_(tensor)
    set_pretrained_origin(encoder, path_or_name, path)
    return receipt


def _encoder_of(network: nn.Module) -> tuple[nn.Module, WeightFamily]:
    encoder = getattr(network, "encoder", None)
    for candidate in (network, encoder, getattr(encoder, "trainable", None)):
        family = getattr(candidate, "weight_family", None)
        if isinstance(candidate, nn.Module) and isinstance(family, WeightFamily):
            return candidate, family
    raise PretrainedWeightsError(
        "Expected an encoder that published weights exist for (Swin, ResNet, EfficientNet), or a network that has one "
        f"as `encoder`, but a {type(network).__name__} came: train it from scratch."
    )


def _check_convention(weights: EncoderWeights, encoder: nn.Module, family: WeightFamily) -> None:
    for name, expected in weights.presupposes.items():
        if getattr(encoder, name) != expected:
            raise PretrainedWeightsError(
                f"The {family.name} weights are of the layout {weights.layout!r}, whose networks are built with "
                f"{name}={expected!r}, but this one has {name}={getattr(encoder, name)!r} and would compute other "
                f"numbers from them: set `{name}` of the network to {expected!r}, or take other weights."
            )


def _check_enough(receipt: LoadReceipt, family: WeightFamily, minimum_fraction: float) -> None:
    if receipt.fraction < minimum_fraction:
        raise PretrainedWeightsError(
            f"Expected weights for at least {minimum_fraction:.0%} of the encoder's parameters, but less fits: take a "
            f"file of the network's own size, or lower `minimum_fraction`. {receipt.summary()}"
        )
    if family.input_kernel not in map(family.canonical, receipt.loaded):
        raise PretrainedWeightsError(
            f"The file's first layer does not fit {family.input_kernel}, so it is of another variant of {family.name}: "
            f"take a file of the network's own variant. {receipt.summary()}"
        )
    loaded = set(receipt.loaded)
    for key in receipt.missing:
        module, _, name = key.rpartition(".")
        if name in _STATISTICS and f"{module}.weight" in loaded:
            raise PretrainedWeightsError(
                f"The file holds the weights of {module} without its {name}, which would normalise wrongly: give a "
                f"checkpoint with its buffers. {receipt.summary()}"
            )


def _targets(encoder: nn.Module) -> dict[str, Tensor]:
    """What a file can fill: parameters, and the buffers that are weights too (running statistics)."""
    statistics = {key: buffer for key, buffer in encoder.named_buffers() if key.endswith(_STATISTICS)}
    return {**dict(encoder.named_parameters()), **statistics}


class _Fit:
    """The file's tensors in the shapes of the encoder's, and what was done to get there."""

    def __init__(self) -> None:
        self.tensors: dict[str, Tensor] = {}
        self.interpolated: list[str] = []
        self.adapted: list[str] = []
        self.mismatched: list[str] = []
        self.differences: tuple[str, ...] = ()


def _fit(weights: EncoderWeights, targets: dict[str, Tensor], family: WeightFamily) -> _Fit:
    fit = _Fit()
    for key, target in targets.items():
        name = family.canonical(key)
        if name not in weights.tensors:
            continue
        tensor = weights.tensors[name]
        if tensor.shape == target.shape:
            fit.tensors[key] = tensor
        elif (resampled := family.resample(name, tensor, target)) is not None:
            fit.tensors[key] = resampled
            fit.interpolated.append(key)
        elif name == family.input_kernel and _differs_in_channels_only(tensor, target):
            fit.tensors[key] = _adapt_channels(tensor, target.shape[1])
            fit.adapted.append(key)
        else:
            fit.mismatched.append(key)
    named = {family.canonical(key): target for key, target in targets.items()}
    fit.differences = weight_differences(weights.tensors, named, map(family.canonical, fit.mismatched))
    return fit


def _decoder_fit(network: nn.Module, encoder: nn.Module, weights: EncoderWeights, family: WeightFamily) -> _Fit:
    """What of the file's segmentation decoder fits the network's; nothing where one of them is missing."""
    heads = getattr(network, "heads", None)
    decoder = heads[Task.SEG] if isinstance(heads, nn.ModuleDict) and Task.SEG in heads else None
    if weights.decoder is None or not isinstance(decoder, SwinDecoder):
        return _Fit()
    _check_convention(weights.decoder, encoder, family)
    fit = _fit(weights.decoder, dict(decoder.named_parameters()), family)
    fit.tensors = {SEG_HEAD + key: tensor for key, tensor in fit.tensors.items()}
    fit.interpolated = [SEG_HEAD + key for key in fit.interpolated]
    fit.mismatched = [SEG_HEAD + key for key in fit.mismatched]
    fit.differences = tuple(f"segmentation decoder: {difference}" for difference in fit.differences)
    return fit


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


def _unused(weights: EncoderWeights | None, used: set[str]) -> list[str]:
    sources = weights.sources if weights else {}
    return [source for key, names in sources.items() if key not in used for source in names]
