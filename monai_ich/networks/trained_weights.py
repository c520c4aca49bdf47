# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Loads the weights that a run trained, or that a bundle brings."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from monai_ich.utils.errors import FaultList, RunDirectoryError


def load_weights(network: nn.Module, path: Path) -> dict[str, Any]:
    """Loads trained weights into `network`, and returns what else the file holds, such as the epoch.

    Args:
        network: the configured network, also wrapped for several processes.
        path: a run's `best.pt` or `last.pt`, which hold the state dict as `model`; or a bare state dict, as the
            `models/model.pt` of MONAI's bundles is, with which nothing else comes.

    Raises:
        RunDirectoryError: the file is missing or unreadable, or holds another network.
    """
    checkpoint = _read(path)
    bare = network.module if isinstance(network, DistributedDataParallel) else network
    faults = FaultList(f"{path} holds the weights of another network than the configured one:", most=5)
    add_weight_faults(faults, "network", bare.state_dict(), checkpoint["model"])
    faults.raise_if_any(RunDirectoryError)
    bare.load_state_dict(checkpoint["model"])
    return {key: value for key, value in checkpoint.items() if key != "model"}


def add_weight_faults(faults: FaultList, module: str, own: dict[str, Tensor], saved: Mapping[str, Tensor]) -> None:
    """Adds every weight whose name or shape differs between a state dict of `module` and the one in a file."""
    for name in sorted(own.keys() - saved.keys()):
        faults.add(f"{name} is not in the file")
    for name in sorted(saved.keys() - own.keys()):
        faults.add(f"{name} is not in the {module}")
    for name in sorted(own.keys() & saved.keys()):
        if own[name].shape != saved[name].shape:
            faults.add(f"{name} is {tuple(saved[name].shape)} in the file, {tuple(own[name].shape)} in the {module}")


def _read(path: Path) -> Mapping[str, Any]:
    if not path.is_file():
        raise RunDirectoryError(
            f"expected trained weights at {path}, but there is no such file. Has the run trained an epoch? Run an "
            "exported bundle from its own folder, or name that folder with --bundle_root."
        )
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except (RuntimeError, OSError, EOFError, pickle.UnpicklingError) as error:
        raise RunDirectoryError(f"{path} is not a readable checkpoint: {error}") from error
    if not isinstance(content, Mapping):
        raise RunDirectoryError(f"{path} is not a readable checkpoint: expected named weights, got {type(content)}")
    return content if isinstance(content.get("model"), Mapping) else {"model": content}
