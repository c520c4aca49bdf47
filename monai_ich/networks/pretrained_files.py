# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Finds a weights file by path, Hugging Face address or known name, and reads its tensors safely."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

import torch
from huggingface_hub import hf_hub_download
from huggingface_hub.errors import EntryNotFoundError, HFValidationError
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from monai_ich.utils.errors import PretrainedWeightsError, did_you_mean, first_line

HUB_PREFIX = "hf://"

# ImageNet-1k classifiers, as timm republishes them: of the Swin authors (MIT licence), of torchvision (its first
# ResNets, BSD 3-clause) and of the EfficientNet authors (convention "tensorflow", Apache 2.0).
KNOWN_WEIGHTS = MappingProxyType(
    {
        name: f"{HUB_PREFIX}timm/{repository}/model.safetensors"
        for name, repository in {
            "swin_tiny_patch4_window7_224": "swin_tiny_patch4_window7_224.ms_in1k",
            "swin_small_patch4_window7_224": "swin_small_patch4_window7_224.ms_in1k",
            "swin_base_patch4_window7_224": "swin_base_patch4_window7_224.ms_in1k",
            "resnet34": "resnet34.tv_in1k",
            "resnet50": "resnet50.tv_in1k",
            "resnet152": "resnet152.tv_in1k",
            "tf_efficientnet_b3": "tf_efficientnet_b3.in1k",
        }.items()
    }
)

_WRAPPERS = ("model", "state_dict", "network", "net")  # entries under which training scripts keep the weights


def locate_weights(path_or_name: str | Path) -> Path:
    """Returns a local file for a path, `hf://owner/repository[@revision]/file` or a name of `KNOWN_WEIGHTS`.

    Raises:
        PretrainedWeightsError: nothing of that name is known, or it cannot be fetched (no network, no such file).
    """
    path = Path(path_or_name).expanduser()
    if path.is_file():
        return path
    name = str(path_or_name)
    address = KNOWN_WEIGHTS.get(name, name)
    if address.startswith(HUB_PREFIX):
        return _fetch(address)
    raise PretrainedWeightsError(
        f"Pretrained weights are an existing file, an address {HUB_PREFIX}owner/repository/file, or one of "
        f"{list(KNOWN_WEIGHTS)}, but {name!r} is none of them.{did_you_mean(name, KNOWN_WEIGHTS)}"
    )


def _fetch(address: str) -> Path:
    owner, _, rest = address.removeprefix(HUB_PREFIX).partition("/")
    repository, _, filename = rest.partition("/")
    repository, _, revision = repository.partition("@")
    if not (owner and repository and filename):
        raise PretrainedWeightsError(
            f"A Hugging Face address is {HUB_PREFIX}owner/repository[@revision]/file, but {address!r} came."
        )
    try:
        return Path(hf_hub_download(f"{owner}/{repository}", filename, revision=revision or None))
    except (EntryNotFoundError, HFValidationError, OSError) as error:
        raise PretrainedWeightsError(
            f"Could not fetch {address}: {first_line(error)} Without a network, copy the file here by other "
            "means and give its path instead."
        ) from error


def read_weights(path: Path) -> dict[str, Tensor]:
    """Reads the tensors of a weights file.

    Raises:
        PretrainedWeightsError: the file is broken, holds more than plain tensors, or holds none.
    """
    return tensors_of(read_file(path), path)


def read_file(path: Path) -> object:
    """Reads a `.safetensors` file, or a PyTorch checkpoint without running any code in it.

    Raises:
        PretrainedWeightsError: the file is broken, or holds more than plain tensors.
    """
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        return torch.load(path, map_location="cpu", weights_only=True)
    except (SafetensorError, pickle.UnpicklingError, RuntimeError, EOFError, ValueError, OSError) as error:
        raise PretrainedWeightsError(
            f"Expected a .safetensors file or a PyTorch checkpoint of plain tensors, but {path} cannot be read as one "
            f"({type(error).__name__}: {first_line(error)}): "
            "fetch or save it again, holding nothing but the state dict."
        ) from error


def tensors_of(content: object, path: Path) -> dict[str, Tensor]:
    """The named tensors in what was read from `path`.

    Raises:
        PretrainedWeightsError: there are none.
    """
    tensors = _unwrap(content)
    if not tensors:
        raise PretrainedWeightsError(f"Expected named tensors in {path}, but it holds none: give a state dict.")
    return tensors


def _unwrap(content: object) -> dict[str, Tensor]:
    if not isinstance(content, Mapping):
        return {}
    for wrapper in _WRAPPERS:
        if isinstance(content.get(wrapper), Mapping):
            return _unwrap(content[wrapper])
    return {str(key): value for key, value in content.items() if isinstance(value, Tensor)}
