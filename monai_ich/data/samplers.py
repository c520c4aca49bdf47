# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Samplers whose order and seeds depend on seed and epoch alone, not on ranks, workers or resuming."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np
from torch.utils.data import DistributedSampler, Sampler

from monai_ich.utils.errors import ConfigurationError

_MIXING = 1  # the stream of random numbers of an epoch's mixtures


class Draw(NamedTuple):
    """A sample drawn for training: its row in the data set, and the seed of its augmentation.

    With an `anchor`, the image is a mixture: `anchor_share` times the anchor's, and the rest its own. Everything else,
    label and mask among it, is its own.
    """

    row: int
    seed: int
    anchor: Draw | None = None
    anchor_share: float = 0.0


class RowPlan(Protocol):
    """Which rows an epoch has, `size` in number; a row may come several times."""

    size: int

    def rows(self, generator: np.random.Generator) -> np.ndarray:
        """The rows of an epoch in their order, int64 (size,)."""


class Partners(Protocol):
    """Turns the draws of an epoch into mixtures."""

    def mixed(self, draws: Sequence[Draw], generator: np.random.Generator) -> list[Draw]:
        """As many draws, each with an anchor or as it was."""


def epoch_draws(num_samples: int, seed: int, epoch: int, shuffle: bool = True) -> tuple[np.ndarray, np.ndarray]:
    """The order of an epoch (n,) and the augmentation seed of each draw (n,), from counter-based random numbers.

    >>> order, seeds = epoch_draws(5, seed=1, epoch=2)
    >>> sorted(order.tolist()), len(set(seeds.tolist()))
    ([0, 1, 2, 3, 4], 5)
    """
    generator = _generator(seed, epoch)
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
        plan: the rows of an epoch; None: every row once. With a plan, rows are always permuted.
        partners: what is mixed into the samples; None: nothing.

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
        plan: RowPlan | None = None,
        partners: Partners | None = None,
    ) -> None:
        check_rank(rank, world_size)
        num_samples = num_samples if plan is None else plan.size
        _check_batches(num_samples, batch_size_global, world_size, drop_last)
        super().__init__(range(num_samples), world_size, rank, shuffle, seed, drop_last)  # type: ignore[arg-type]
        self.total = num_samples
        self.batch_size_global = batch_size_global
        self.batch_size_per_rank = batch_size_global // world_size
        self.plan = plan
        self.partners = partners

    def __iter__(self) -> Iterator[Any]:
        draws = self._draws()
        for start in range(0, self.total, self.batch_size_global):
            first, stop = self._share(start)
            yield from draws[first:stop]

    def _draws(self) -> list[Draw]:
        """The draws of the epoch, of all ranks."""
        if self.plan is None:
            order, seeds = epoch_draws(self.total, self.seed, self.epoch, self.shuffle)
            draws = [Draw(row, int(seeds[row])) for row in order.tolist()]
        else:
            generator = _generator(self.seed, self.epoch)
            # of each draw, not of each row: a row that comes twice is augmented in two ways
            seeds = generator.integers(2**32, size=self.total, dtype=np.uint32)
            draws = list(map(Draw, self.plan.rows(generator).tolist(), seeds.tolist()))
        if self.partners is None:
            return draws
        return self.partners.mixed(draws, _generator(self.seed, self.epoch, _MIXING))

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


def _generator(*key: int) -> np.random.Generator:
    return np.random.Generator(np.random.Philox(np.random.SeedSequence(key)))


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
