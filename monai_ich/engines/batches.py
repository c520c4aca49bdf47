# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Splits a batch into the network's input and the targets of its tasks."""

from __future__ import annotations

from typing import Any

import torch

from monai_ich.utils.keys import Key

TARGETS = (Key.MASK, Key.HAS_MASK, Key.LABEL, Key.INDEX)


def prepare_multitask_batch(
    batch: dict[str, Any], device: torch.device | str | None = None, non_blocking: bool = False, **kwargs: Any
) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    """Returns the image (B, 1, H, W) and the targets: image, mask, has_mask, label, index and group, on `device`.

    The image is its own target for the reconstruction (paper, equation 4). Has the signature that a MONAI engine's
    `prepare_batch` asks for. Batches of a data set without groups give targets without `group`.
    """
    image = batch[Key.IMAGE].to(device=device, non_blocking=non_blocking, **kwargs)
    keys = [*TARGETS, *([Key.GROUP] if Key.GROUP in batch else [])]
    targets = {key.value: batch[key].to(device=device, non_blocking=non_blocking) for key in keys}
    return image, {Key.IMAGE.value: image, **targets}
