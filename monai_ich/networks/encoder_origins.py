# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""From what a network's encoders began: random weights, a weights file, or a segmentation run.

What fills an encoder writes it down on the encoder. A run keeps it with its weights, so that it goes where they go.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from torch import nn
from torch.nn.parallel import DistributedDataParallel

from monai_ich.networks.pretrained_files import HUB_PREFIX, KNOWN_WEIGHTS
from monai_ich.utils.provenance import sha256_of_file

ORIGINS = "encoders"  # the entry of a checkpoint, of `results.json` and of MLflow's params
NOT_RECORDED = "not recorded"
_ONE, _JOINT = "encoder", ("frozen", "trainable")
_ATTRIBUTE = "origin"


def encoder_origins(network: nn.Module) -> dict[str, str]:
    """Says of each encoder what it is and from what it began.

    Args:
        network: has an `encoder`, which in joint systems has the parts `frozen` and `trainable`.

    Returns:
        {"encoder": text}, or {"frozen": text, "trainable": text}.

    >>> from monai_ich.networks import unet_segmenter
    >>> encoder_origins(unet_segmenter("demo"))
    {'encoder': 'UNetPyramid from random weights'}
    """
    bare = network.module if isinstance(network, DistributedDataParallel) else network
    encoder = getattr(bare, "encoder", bare)
    parts = {name: getattr(encoder, name) for name in _JOINT if hasattr(encoder, name)} or {_ONE: encoder}
    return {name: getattr(part, _ATTRIBUTE, f"{_kind(part)} from random weights") for name, part in parts.items()}


def origins_text(origins: Mapping[str, str] | None) -> str:
    """The same in one line; of runs that did not write it down, too.

    >>> origins_text({"frozen": "A from random weights", "trainable": "B from b.pth"}), origins_text(None)
    ('frozen: A from random weights; trainable: B from b.pth', 'not recorded')
    """
    return "; ".join(f"{name}: {text}" for name, text in origins.items()) if origins else NOT_RECORDED


def set_pretrained_origin(encoder: nn.Module, path_or_name: str | Path, path: Path) -> None:
    """Writes down that `encoder` was filled from the weights file `path`, which was asked for as `path_or_name`."""
    asked = str(path_or_name)
    source = f"{asked}, ImageNet" if asked in KNOWN_WEIGHTS else asked if asked.startswith(HUB_PREFIX) else path.name
    setattr(encoder, _ATTRIBUTE, f"{_kind(encoder)} from {source} (sha256 {sha256_of_file(path)[:12]})")


def set_segmentation_origin(encoder: nn.Module, recorded: Mapping[str, str] | None) -> None:
    """Writes down that `encoder` was filled from a segmentation run, whose checkpoint says what that began from."""
    began = (recorded or {}).get(_ONE, f"{_kind(encoder)} from weights that were {NOT_RECORDED}")
    setattr(encoder, _ATTRIBUTE, f"{began}, then trained to segment")


def _kind(encoder: nn.Module) -> str:
    return type(encoder).__name__
