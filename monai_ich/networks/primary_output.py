# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""One head of a network, as MONAI's tools for bundles want it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn


class PrimaryOutput(nn.Module):
    """A network's output for one task as a bare tensor, with the state dict of the whole network.

    MONAI's `verify_net_in_out` reads the shape of a tensor, and `ckpt_export` fills the very module that it traces from
    `models/model.pt`. So this is the bundle's `network_def`: it takes the weights of all heads, and returns one.

    >>> both = nn.ModuleDict({"cls": nn.Linear(2, 2)})
    >>> sorted(PrimaryOutput(both, "cls").state_dict())
    ['cls.bias', 'cls.weight']
    """

    def __init__(self, network: nn.Module, task: str) -> None:
        """Takes a network that returns a dict of tensors, and the key of the one to return."""
        super().__init__()
        self.network = network
        self.task = str(task)

    def forward(self, x: Tensor) -> Tensor:
        """(B, 1, H, W) to the task's tensor."""
        return self.network(x)[self.task]

    def state_dict(self, *args: Any, **kwargs: Any) -> dict[str, Any]:  # type: ignore[override]
        """Returns the network's own state dict: the keys of `models/model.pt`."""
        return self.network.state_dict(*args, **kwargs)

    def load_state_dict(self, state_dict: Mapping[str, Any], *args: Any, **kwargs: Any) -> Any:
        """Fills the network, by the keys of `models/model.pt`."""
        return self.network.load_state_dict(state_dict, *args, **kwargs)
