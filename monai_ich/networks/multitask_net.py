# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""A network of one encoder and the heads in use, composed from injected parts."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn

from monai_ich.utils.errors import ConfigurationError, did_you_mean


class MultiTaskNet(nn.Module):
    """One shared encoder, one head a task. Any encoder that returns a pyramid goes with any set of heads.

    >>> import torch
    >>> net = MultiTaskNet(encoder=nn.Identity(), heads={"cls": nn.Flatten()})
    >>> {task: tuple(out.shape) for task, out in net(torch.zeros(2, 1, 4, 4)).items()}
    {'cls': (2, 16)}
    """

    def __init__(self, encoder: nn.Module, heads: Mapping[str, nn.Module]) -> None:
        """
        Args:
            encoder: (B, 1, H, W) to a pyramid: a list of (B, C_i, H_i, W_i), the first stage first.
            heads: task (`cls`, `seg`, `rec`) to a module that maps the pyramid to that task's tensor.

        Raises:
            ConfigurationError: there is no head.
        """
        super().__init__()
        if not heads:
            raise ConfigurationError("A MultiTaskNet needs at least one head, but `heads` is empty: name a task.")
        self.encoder = encoder
        self.heads = nn.ModuleDict({str(task): head for task, head in heads.items()})

    @property
    def tasks(self) -> tuple[str, ...]:
        """The heads in use, in the order of the output."""
        return tuple(self.heads)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        """Runs the encoder once, then every head.

        Args:
            x: (B, 1, H, W).

        Returns:
            One entry a head: `cls` (B, K) logits, `seg` (B, 2, H, W) logits, `rec` (B, 1, H, W).
        """
        pyramid = self.encoder(x)
        return {task: head(pyramid) for task, head in self.heads.items()}


class HeadOutput(nn.Module):
    """A network's output for one task as a bare tensor, as tracing, export and Grad-CAM want it.

    It shares the network's parameters. Heads of other tasks run too, unless they are children of a `MultiTaskNet`.
    """

    def __init__(self, network: nn.Module, task: str) -> None:
        """
        Args:
            network: returns a dict of tensors.
            task: the key to return.

        Raises:
            ConfigurationError: a `MultiTaskNet` has no head for `task`.
        """
        super().__init__()
        if isinstance(network, MultiTaskNet):
            if task not in network.tasks:
                raise ConfigurationError(
                    f"The network has heads for {list(network.tasks)}, but the output of {task!r} was asked for: "
                    f"name one of its heads.{did_you_mean(task, network.tasks)}"
                )
            mode = network.training
            network = MultiTaskNet(network.encoder, {task: network.heads[task]})
            network.training = mode  # exporters restore the mode that they find here, in all children too
        self.network = network
        self.training = network.training
        self.task = str(task)

    def forward(self, x: Tensor) -> Tensor:
        """(B, 1, H, W) to the task's tensor."""
        return self.network(x)[self.task]
