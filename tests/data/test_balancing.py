# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Balanced epochs: equal shares, other augmentation at every draw, the same batches for any number of ranks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from monai_ich.data import (
    Draw,
    DrawnStrata,
    EpochSampler,
    SliceDataset,
    SliceGroups,
    SubsampledStrata,
    balanced_strata,
    mixing_partners,
)
from monai_ich.utils.errors import ConfigurationError

SLICES = 1560
STRATA = np.repeat([0, 1, 2, 3], [950, 285, 35, 290])  # the shares of a head holder at dial .95
PATIENTS = np.array([f"p{row // 13}" for row in range(SLICES)], dtype=object)


def _epochs(sampler: EpochSampler, epochs: int) -> list[list[Draw]]:
    drawn = []
    for epoch in range(epochs):
        sampler.set_epoch(epoch)
        drawn.append(list(sampler))
    return drawn


def test_every_group_has_the_same_share_and_repeats_differ_in_augmentation() -> None:
    sampler = EpochSampler(SLICES, 16, plan=DrawnStrata(STRATA, PATIENTS), drop_last=False)
    epochs = _epochs(sampler, 100)
    assert {len(epoch) for epoch in epochs} == {SLICES}
    rows = np.array([[draw.row for draw in epoch] for epoch in epochs])
    shares = np.bincount(STRATA[rows.ravel()], minlength=4) / rows.size
    np.testing.assert_allclose(shares, 0.25, atol=0.005)
    for epoch in epochs:
        assert len({draw.seed for draw in epoch}) > SLICES - 5, "seeds are of draws; 32 bits collide now and then"
    assert max(Counter(rows[0]).values()) > 3, "the 35 slices of the smallest group come many times"
    assert (rows[0] != rows[1]).any()


def test_an_odd_number_is_shared_out_in_turn() -> None:
    strata = np.array([0, 0, 0, 1, 1, 2, 2])
    plan = DrawnStrata(strata, np.arange(7))
    counts = [np.bincount(strata[plan.rows(np.random.default_rng(seed))]) for seed in range(60)]
    assert all(sorted(of_epoch) == [2, 2, 3] for of_epoch in counts)
    assert {int(of_epoch.argmax()) for of_epoch in counts} == {0, 1, 2}


def test_patients_are_drawn_before_their_slices() -> None:
    """A patient with 30 slices of a group comes as often as one with a single slice."""
    strata = np.zeros(62, int)
    strata[31:] = 1
    patients = np.array(["many"] * 30 + ["one"] + ["other"] * 31, dtype=object)
    plan = DrawnStrata(strata, patients)
    rows = np.concatenate([plan.rows(np.random.default_rng(seed)) for seed in range(200)])
    of_group = patients[rows[strata[rows] == 0]]
    assert (of_group == "one").mean() == pytest.approx(0.5, abs=0.03)
    drawn = Counter(rows[(patients[rows] == "many")].tolist())
    assert len(drawn) == 30, "every slice of the patient"


def test_slices_of_unknown_group_come_once_as_in_ordinary_training() -> None:
    strata = STRATA.copy()
    strata[::10] = -1
    plan = DrawnStrata(strata, PATIENTS)
    counts = Counter(plan.rows(np.random.default_rng(0)).tolist())
    assert [counts[row] for row in range(0, SLICES, 10)] == [1] * (SLICES // 10)
    assert sum(counts.values()) == SLICES
    chosen = SubsampledStrata(strata, 0).rows(np.random.default_rng(0))
    assert set(range(0, SLICES, 10)) <= set(chosen.tolist())


def test_a_subsample_has_the_smallest_group_s_size_and_no_repeats() -> None:
    sampler = EpochSampler(SLICES, 10, plan=SubsampledStrata(STRATA, seed=3))
    first, second = ([draw.row for draw in epoch] for epoch in _epochs(sampler, 2))
    assert np.bincount(STRATA[first]).tolist() == [35] * 4
    assert (len(sampler), len(set(first))) == (140, 140)
    assert sorted(first) == sorted(second), "chosen once for all epochs"
    assert first != second, "in another order"
    other = EpochSampler(SLICES, 10, plan=SubsampledStrata(STRATA, seed=4))
    assert sorted(draw.row for draw in other) != sorted(first)


@pytest.mark.parametrize(
    "plan", [DrawnStrata(STRATA, PATIENTS), SubsampledStrata(STRATA, 0)], ids=["draw", "subsample"]
)
@pytest.mark.parametrize("mixed", [False, True])
def test_two_ranks_see_the_batches_of_one(
    plan: DrawnStrata | SubsampledStrata, mixed: bool, make: Callable[..., SliceDataset]
) -> None:
    class _Grouped:
        groups = STRATA

    partners = mixing_partners(_Grouped(), "selecmix_by_attributes") if mixed else None  # type: ignore[arg-type]
    whole = EpochSampler(SLICES, 16, 5, plan=plan, partners=partners)
    ranks = [EpochSampler(SLICES, 16, 5, True, rank, 2, plan=plan, partners=partners) for rank in range(2)]
    for epoch in range(2):
        for sampler in (whole, *ranks):
            sampler.set_epoch(epoch)
        single, (first, second) = list(whole), map(list, ranks)
        together = [
            draw
            for start in range(0, len(first), 8)
            for draw in (*first[start : start + 8], *second[start : start + 8])
        ]
        assert together == single
        assert any(draw.anchor for draw in single) == mixed


def test_the_plan_follows_the_settings(make: Callable[..., SliceDataset], frame: pd.DataFrame) -> None:
    dataset = make(groups=SliceGroups(("a", "b"), np.arange(len(frame)) % 2))
    assert balanced_strata(dataset, "none") is None
    for balance, strata in (("class", dataset.labels), ("group", dataset.groups)):
        plan = balanced_strata(dataset, balance)
        assert isinstance(plan, DrawnStrata)
        assert strata is not None
        rows = plan.rows(np.random.default_rng(0))
        assert np.bincount(strata[rows]).tolist() == [4, 4]
        assert isinstance(balanced_strata(dataset, balance, "subsample"), SubsampledStrata)
    for arguments, message in (
        (("groups",), r"balance is one of .*got 'groups'\. Did you mean 'group'\?"),
        (("group", "drawn"), r"balance_by is one of .*Did you mean 'draw'\?"),
    ):
        with pytest.raises(ConfigurationError, match=message):
            balanced_strata(dataset, *arguments)
    with pytest.raises(ConfigurationError, match="has no groups; name data::attributes"):
        balanced_strata(make(), "group")
    with pytest.raises(ConfigurationError, match="has 0 markers"):
        balanced_strata(make(markers=()), "class")
