# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Samplers whose order and seeds depend on seed and epoch alone, not on ranks, workers or resuming."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from torch.utils.data import DistributedSampler, Sampler

from monai_ich.utils.errors import ConfigurationError


class Draw(NamedTuple):
    """A sample drawn for training: its row in the data set, and the seed of its augmentation."""

    row: int
    seed: int


def epoch_draws(num_samples: int, seed: int, epoch: int, shuffle: bool = True) -> tuple[np.ndarray, np.ndarray]:
    """The order of an epoch (n,) and the augmentation seed of each draw (n,), from counter-based random numbers.

    >>> order, seeds = epoch_draws(5, seed=1, epoch=2)
    >>> sorted(order.tolist()), len(set(seeds.tolist()))
    ([0, 1, 2, 3, 4], 5)
    """
    generator = np.random.Generator(np.random.Philox(np.random.SeedSequence([seed, epoch])))
    seeds = generator.integers(2**32, size=num_samples, dtype=np.uint32)
    order = generator.permutation(num_samples) if shuffle else np.arange(num_samples)
    return order, seeds


class EpochSampler(DistributedSampler):
    """Yields this rank's share of every global batch of an epoch, as `Draw(row, seed)`.

    Rank r takes its contiguous share of each global batch, so that the ranks together see exactly the batches of a
    single process. It is a DistributedSampler in name so that MONAI's engines call `set_epoch` at every epoch's start,
    also after resuming; its order is its own. Use with a data loader whose batch size is the rank's share.

    Args:
        num_samples: size of the data set.
        batch_size_global: samples of one optimizer step over all ranks; a multiple of `world_size`.
        seed: any whole number from 0 up; the same seed and epoch give the same draws.
        shuffle: permute, or keep the data set's order.
        rank: number of this process, from 0.
        world_size: how many processes there are.
        drop_last: leave out the last, incomplete global batch.

    Raises:
        ConfigurationError: when the batch cannot be shared evenly, there is not one full batch, or the last
            incomplete one would leave a rank without a sample.
    """

    def __init__(
        self,
        num_samples: int,
        batch_size_global: int,
        seed: int = 0,
        shuffle: bool = True,
        rank: int = 0,
        world_size: int = 1,
        drop_last: bool = True,
    ) -> None:
        check_rank(rank, world_size)
        _check_batches(num_samples, batch_size_global, world_size, drop_last)
        super().__init__(range(num_samples), world_size, rank, shuffle, seed, drop_last)  # type: ignore[arg-type]
        self.total = num_samples
        self.batch_size_global = batch_size_global
        self.batch_size_per_rank = batch_size_global // world_size

    def __iter__(self) -> Iterator[Any]:
        order, seeds = epoch_draws(self.total, self.seed, self.epoch, self.shuffle)
        for start in range(0, self.total, self.batch_size_global):
            first, stop = self._share(start)
            for row in order[first:stop].tolist():
                yield Draw(row, int(seeds[row]))

    def __len__(self) -> int:
        shares = (self._share(start) for start in range(0, self.total, self.batch_size_global))
        return sum(stop - first for first, stop in shares)

    def _share(self, start: int) -> tuple[int, int]:
        """First and last + 1 of this rank's draws within the global batch that begins at `start`."""
        size = min(self.batch_size_global, self.total - start)
        if self.drop_last and size < self.batch_size_global:
            return start, start
        return start + size * self.rank // self.num_replicas, start + size * (self.rank + 1) // self.num_replicas


class ShardSampler(Sampler):
    """Yields this rank's contiguous share of a data set, in order, without padding or repetition.

    Gathered in rank order, the shares are the whole data set in its own order, so metrics equal those of one process.

    Args:
        num_samples: size of the data set, at least `world_size`.
        rank: number of this process, from 0.
        world_size: how many processes there are.

    Raises:
        ConfigurationError: when a rank would be left without a sample (a distributed metric would then wait for ever).
    """

    def __init__(self, num_samples: int, rank: int = 0, world_size: int = 1) -> None:
        check_rank(rank, world_size)
        if num_samples < world_size:
            raise ConfigurationError(
                f"{num_samples} samples cannot be shared among {world_size} processes; use at most {num_samples}"
            )
        self.first = num_samples * rank // world_size
        self.stop = num_samples * (rank + 1) // world_size

    def __iter__(self) -> Iterator[int]:
        return iter(range(self.first, self.stop))

    def __len__(self) -> int:
        return self.stop - self.first


def check_rank(rank: int, world_size: int) -> None:
    """Raises ConfigurationError unless 0 <= rank < world_size."""
    if not 0 <= rank < world_size:
        raise ConfigurationError(f"rank: expected 0 to {world_size - 1} for world_size {world_size}, got {rank}")


def _check_batches(num_samples: int, batch_size_global: int, world_size: int, drop_last: bool) -> None:
    if batch_size_global < 1 or batch_size_global % world_size:
        raise ConfigurationError(
            f"batch size: expected a multiple of the {world_size} processes, got {batch_size_global} in all"
        )
    remainder = num_samples % batch_size_global
    if drop_last and num_samples < batch_size_global:
        raise ConfigurationError(
            f"batch size: {batch_size_global} is more than the {num_samples} samples, so no batch would be full; "
            "use a smaller batch, or drop_last=False (--train::drop_last False)"
        )
    if num_samples < 1 or (not drop_last and 0 < remainder < world_size):
        raise ConfigurationError(
            f"{num_samples} samples in batches of {batch_size_global} leave {remainder} for the last batch of "
            f"{world_size} processes, and some without any; use drop_last=True (--train::drop_last True) or another "
            "batch size"
        )
