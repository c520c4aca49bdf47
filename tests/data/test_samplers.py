# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Order and seeds depend on seed and epoch only; ranks together see the batches of one process."""

from __future__ import annotations

import pytest
import torch
from ignite.engine import Events
from monai.data import DataLoader
from monai.engines import Workflow

from monai_ich.data.samplers import Draw, EpochSampler, ShardSampler, epoch_draws
from monai_ich.utils.errors import ConfigurationError


def _batches(sampler: EpochSampler) -> list[list[Draw]]:
    draws = list(sampler)
    size = sampler.batch_size_per_rank
    return [draws[i : i + size] for i in range(0, len(draws), size)]


def test_an_epoch_is_a_permutation_with_new_seeds_and_order_each_time() -> None:
    sampler = EpochSampler(20, 5, seed=3)
    epochs = []
    for epoch in range(3):
        sampler.set_epoch(epoch)
        epochs.append(list(sampler))
        assert sorted(draw.row for draw in epochs[-1]) == list(range(20))
        assert len({draw.seed for draw in epochs[-1]}) == 20
    assert epochs[0] != epochs[1] != epochs[2]
    assert {draw.seed for draw in epochs[0]}.isdisjoint(draw.seed for draw in epochs[1])


def test_resuming_at_an_epoch_gives_what_an_uninterrupted_run_had() -> None:
    through, resumed = EpochSampler(17, 4, seed=9), EpochSampler(17, 4, seed=9)
    for epoch in range(4):
        through.set_epoch(epoch)
        last = list(through)
    resumed.set_epoch(3)
    assert list(resumed) == last
    assert list(EpochSampler(17, 4, seed=8)) != list(EpochSampler(17, 4, seed=9))


def test_draws_are_pinned() -> None:
    """The order of published runs must not change with a release; values from NumPy's Philox."""
    order, seeds = epoch_draws(6, seed=0, epoch=1)
    assert order.tolist() == [1, 5, 3, 4, 0, 2]
    assert seeds.tolist() == [499699024, 2608617074, 2265777763, 2163506176, 2740285075, 1843212046]


@pytest.mark.parametrize("drop_last", [True, False])
@pytest.mark.parametrize("world_size", [2, 4])
def test_ranks_share_the_batches_of_one_process(world_size: int, drop_last: bool) -> None:
    single = EpochSampler(30, 8, seed=1, drop_last=drop_last)
    ranks = [EpochSampler(30, 8, 1, True, rank, world_size, drop_last) for rank in range(world_size)]
    for sampler in (single, *ranks):
        sampler.set_epoch(5)
    whole = _batches(single)
    shares = [_batches(rank) for rank in ranks]
    assert [len(list(rank)) for rank in ranks] == [len(rank) for rank in ranks]
    assert len(whole) == (3 if drop_last else 4)
    for number, batch in enumerate(whole):
        assert [draw for share in shares for draw in share[number]] == batch
    assert len(single) == (24 if drop_last else 30)


def test_without_shuffling_order_is_that_of_the_data_set() -> None:
    assert [draw.row for draw in EpochSampler(6, 2, shuffle=False)] == [0, 1, 2, 3, 4, 5]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"num_samples": 30, "batch_size_global": 9, "world_size": 2}, "a multiple of the 2 processes, got 9"),
        ({"num_samples": 5, "batch_size_global": 8}, "8 is more than the 5 samples"),
        ({"num_samples": 9, "batch_size_global": 4, "world_size": 2, "drop_last": False}, "leave 1 for the last batch"),
        ({"num_samples": 9, "batch_size_global": 4, "rank": 1}, "rank: expected 0 to 0"),
        ({"num_samples": 9, "batch_size_global": 0}, "got 0 in all"),
    ],
)
def test_impossible_shares(arguments: dict, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        EpochSampler(**arguments)


@pytest.mark.parametrize("world_size", [1, 2, 3, 7])
def test_shards_join_to_the_whole_in_order(world_size: int) -> None:
    shards = [ShardSampler(7, rank, world_size) for rank in range(world_size)]
    assert [index for shard in shards for index in shard] == list(range(7))
    assert all(len(list(shard)) == len(shard) >= 7 // world_size for shard in shards)
    with pytest.raises(ConfigurationError, match="7 samples cannot be shared among 8"):
        ShardSampler(7, 0, 8)


class _Rows(torch.utils.data.Dataset):
    def __len__(self) -> int:
        return 12

    def __getitem__(self, draw: Draw) -> torch.Tensor:
        return torch.tensor([draw.row, draw.seed])


def _rows_by_epoch(first_epoch: int, last_epoch: int, num_workers: int) -> list[list[int]]:
    """What a MONAI engine gets, batch after batch, when it starts after `first_epoch` epochs."""
    sampler = EpochSampler(12, 4, seed=2)
    loader = DataLoader(_Rows(), batch_size=4, sampler=sampler, num_workers=num_workers)
    seen: list[list[int]] = []
    engine = Workflow(
        device="cpu",
        max_epochs=last_epoch,
        data_loader=loader,
        prepare_batch=lambda batch, *_, **__: (batch, batch),
        iteration_update=lambda _, batch: seen.append(batch[:, 0].tolist()),
    )
    if first_epoch:
        engine.add_event_handler(Events.STARTED, lambda e: setattr(e.state, "epoch", first_epoch))
        engine.add_event_handler(Events.STARTED, lambda e: setattr(e.state, "iteration", first_epoch * 3))
    engine.run()
    return seen


def test_monai_engines_set_the_epoch_also_after_resuming() -> None:
    seen = _rows_by_epoch(0, 4, num_workers=0)
    expected = [row for epoch in (1, 2, 3, 4) for row in epoch_draws(12, 2, epoch)[0].tolist()]
    assert [row for batch in seen for row in batch] == expected
    assert _rows_by_epoch(2, 4, num_workers=0) == seen[6:]
