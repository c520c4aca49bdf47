# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Several processes, as torchrun starts them; one process needs none of it and gets rank 0 of 1."""

from __future__ import annotations

import atexit
import os
from typing import TypeVar

import ignite.distributed as idist
import torch
import torch.distributed
from torch import nn

from monai_ich.utils.errors import ConfigurationError

T = TypeVar("T")


def rank() -> int:
    """Returns this process's number, 0 where there is only one."""
    return torch.distributed.get_rank() if torch.distributed.is_initialized() else 0


def world_size() -> int:
    """Returns the number of processes that train one model together."""
    return torch.distributed.get_world_size() if torch.distributed.is_initialized() else 1


def process_device() -> torch.device:
    """Returns the GPU of this process, or the CPU where there is none."""
    if torch.cuda.is_available():
        return torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
    return torch.device("cpu")


def init_distributed() -> None:
    """Joins the process group that torchrun describes: NCCL on GPUs, gloo on CPUs.

    Raises:
        ConfigurationError: when the processes were not started by torchrun.
    """
    if not torch.distributed.is_initialized():
        if "RANK" not in os.environ:
            raise ConfigurationError(
                "expected to be started by torchrun, which numbers the processes. Run\n"
                "  torchrun --nproc_per_node=2 -m monai.bundle run --config_file "
                "bundles/mtl/train.json"
            )
        device = process_device()
        if device.type == "cuda":
            torch.cuda.set_device(device)
        torch.distributed.init_process_group("nccl" if device.type == "cuda" else "gloo")
        atexit.register(torch.distributed.destroy_process_group)
    # ignite caches what it first saw; asking now lets its savers and metrics see the group.
    idist.get_rank()


def on_all_processes(network: nn.Module, device: torch.device) -> nn.Module:
    """Returns the network itself, or, among several processes, wrapped so that they train it together."""
    if world_size() == 1:
        return network
    return nn.parallel.DistributedDataParallel(network, [device] if device.type == "cuda" else None)


def per_process_batch_size(batch_size: int) -> int:
    """Returns each process's share of the global batch.

    Raises:
        ConfigurationError: when the batch cannot be divided evenly.
    """
    share, rest = divmod(batch_size, world_size())
    if rest:
        raise ConfigurationError(
            f"expected batch_size to be a multiple of the {world_size()} processes, got {batch_size}; "
            f"use {(share + 1) * world_size()}."
        )
    return share


def gathered(value: T) -> list[T]:
    """Returns every process's value, in the order of ranks, on every process; `[value]` where there is only one."""
    values: list = [value] * world_size()
    if len(values) > 1:
        torch.distributed.all_gather_object(values, value)
    return values


def wait_for_all() -> None:
    """Holds every process until all have come here; returns at once where there is only one."""
    if torch.distributed.is_initialized():
        torch.distributed.barrier()
