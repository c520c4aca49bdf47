# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Limits of cards, folds, draws, reports of faults and shares of a batch, on both sides."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from monai_ich.data import EpochSampler, ShardSampler, kfold_protocol
from monai_ich.data.manifest_card import is_path, is_window
from monai_ich.data.manifest_checks import add_row_faults
from monai_ich.data.samplers import epoch_draws
from monai_ich.data.splits.patient_draws import draw_patients, group_patients
from monai_ich.utils.errors import ConfigurationError, FaultList, ManifestError


@pytest.mark.parametrize(
    ("window", "usable"),
    [
        ([40, 80], True),
        ((40.5, 1e-9), True),
        ([40, 0], False),
        ([40, -1], False),
        ([1e6, 1e6], True),
        ([-1e6, 80], True),
        ([1_000_001, 80], False),
        ([-1_000_001, 80], False),
        ([40, 1_000_001], False),
        ([40, math.nan], False),
        ([math.inf, 80], False),
        ([40], False),
        ([40, 80, 1], False),
        ([True, 80], False),
        (["40", 80], False),
        ("48", False),
        (None, False),
    ],
)
def test_a_window_is_two_numbers_within_a_million_hu(window: object, usable: bool) -> None:
    assert is_window(window) is usable


@pytest.mark.parametrize(
    ("path", "usable"), [("", True), ("a/b", True), ("a" * 4096, True), ("a" * 4097, False), ("a\0", False), (3, False)]
)
def test_a_path_is_text_that_a_file_system_takes(path: object, usable: bool) -> None:
    assert is_path(path) is usable


@pytest.mark.parametrize(("wrong", "spelled_out", "more"), [(0, 0, ""), (5, 5, ""), (6, 5, "... and 1 more rows")])
def test_five_rows_of_a_fault_are_spelled_out_and_the_rest_counted(wrong: int, spelled_out: int, more: str) -> None:
    faults = FaultList("head:")
    bad = pd.Series([True] * wrong + [False] * 3, index=range(2, wrong + 5))
    add_row_faults(faults, bad, lambda position: f"fault {position}", "mend it")
    try:
        faults.raise_if_any(ManifestError)
        message = ""
    except ManifestError as error:
        message = str(error)
    assert message.count("; mend it") == spelled_out
    assert ("... and" in message) is bool(more)
    assert more in message
    if more:
        assert "more rows like row 6" in message
    if wrong:
        assert "row 2: fault 0; mend it" in message


def _frame(positive: int, negative: int, slices: int = 2) -> pd.DataFrame:
    """Patients of one hospital; the first of a positive patient's slices is positive."""
    patients = np.repeat(np.arange(positive + negative), slices)
    first = np.tile(np.arange(slices) == 0, positive + negative)
    return pd.DataFrame(
        {
            "key": [f"k{i:03}" for i in range(len(patients))],
            "patient_id": [f"p{p:03}" for p in patients],
            "hospital": "1",
            "split": "",
            "hypodensity": ((patients < positive) & first).astype(float),
        }
    )


def test_folds_and_their_number_are_limited_on_both_sides() -> None:
    frame = _frame(6, 6)
    for fold in (0, 2):
        assert set(kfold_protocol(frame, folds=3, fold=fold)["split"]) == {"train", "val", "test"}
    for fold in (-1, 3):
        with pytest.raises(ManifestError, match=f"fold is {fold}; expected a number from 0 to 2"):
            kfold_protocol(frame, folds=3, fold=fold)
    assert len(kfold_protocol(frame, folds=6)) == 24, "as many folds as patients with a positive slice"
    with pytest.raises(ManifestError, match=r"7 folds need 7 patients with a positive slice.* there are 6 of 12"):
        kfold_protocol(frame, folds=7)


def test_the_fold_after_the_tested_one_validates_and_the_first_follows_the_last() -> None:
    tables = [kfold_protocol(_frame(6, 6), folds=3, fold=fold).set_index("key")["split"] for fold in range(3)]
    for fold in range(3):
        validated, tested_next = tables[fold] == "val", tables[(fold + 1) % 3] == "test"
        assert (validated == tested_next).all()


@pytest.mark.parametrize(("fraction", "positive", "others"), [(0.06, 1, 2), (0.5, 5, 15), (0.94, 9, 28)])
def test_a_share_of_either_class_is_drawn_rounded(fraction: float, positive: int, others: int) -> None:
    frame = _frame(10, 30)
    patients = group_patients(frame["patient_id"], frame["hypodensity"].to_numpy() == 1)
    drawn = draw_patients(patients, fraction, np.random.RandomState(0), "test")
    numbers = frame.loc[drawn, "patient_id"].str[1:].astype(int).unique()
    assert ((numbers < 10).sum(), (numbers >= 10).sum()) == (positive, others)
    assert drawn.sum() == 2 * len(numbers), "all slices of a patient"


@pytest.mark.parametrize(("fraction", "wanted"), [(0.05, 0), (0.95, 10), (0.0, 0), (1.0, 10)])
def test_at_least_one_positive_patient_is_drawn_and_one_left(fraction: float, wanted: int) -> None:
    frame = _frame(10, 30)
    patients = group_patients(frame["patient_id"], frame["hypodensity"].to_numpy() == 1)
    message = f"val split would get {wanted} of the 10 patients .* of 40 patients .* val_fraction is {fraction:g}"
    with pytest.raises(ManifestError, match=message):
        draw_patients(patients, fraction, np.random.RandomState(0), "val")


def test_strata_are_of_one_size_in_order_of_positive_slices_and_then_of_slices() -> None:
    slices, positives = np.array([3, 5, 3, 4, 9, 1]), np.array([2, 0, 1, 0, 1, 0])
    ids = np.repeat(np.arange(6), slices)
    positive = np.concatenate([np.arange(s) < p for s, p in zip(slices, positives, strict=True)])
    patients = group_patients(pd.Series(ids), positive)
    assert patients.slices.tolist() == slices.tolist()
    assert patients.positives.tolist() == positives.tolist()
    assert patients.is_positive.tolist() == [True, False, True, False, True, False]
    # ordered: 5 (0 of 1), 3 (0 of 4), 1 (0 of 5), 2 (1 of 3), 4 (1 of 9), 0 (2 of 3)
    assert patients.strata(np.arange(6), 3).tolist() == [2, 1, 1, 0, 2, 0]
    assert patients.strata(np.array([4, 1, 0]), 3).tolist() == [1, 0, 2]
    assert patients.strata(np.array([], dtype=int), 2).tolist() == []


@pytest.mark.parametrize(
    ("samples", "batch", "world", "drop_last", "fits"),
    [
        (4, 4, 1, True, True),
        (3, 4, 1, True, False),
        (3, 4, 1, False, True),
        (6, 4, 2, False, True),
        (5, 4, 2, False, False),
        (5, 4, 2, True, True),
        (8, 4, 4, False, True),
        (8, 3, 2, True, False),
        (8, 1, 1, True, True),
        (8, 0, 1, True, False),
        (0, 4, 1, False, False),
    ],
)
def test_a_batch_that_some_rank_could_not_share_is_refused(
    samples: int, batch: int, world: int, drop_last: bool, fits: bool
) -> None:
    if not fits:
        with pytest.raises(ConfigurationError):
            EpochSampler(samples, batch, rank=world - 1, world_size=world, drop_last=drop_last)
        return
    shares = [EpochSampler(samples, batch, rank=r, world_size=world, drop_last=drop_last) for r in range(world)]
    rows = [draw.row for share in shares for draw in share]
    assert len(rows) == len(set(rows)) == (samples // batch * batch if drop_last else samples)
    assert all(len(list(share)) == len(share) > 0 for share in shares)
    assert {share.batch_size_per_rank for share in shares} == {batch // world}


@pytest.mark.parametrize("rank", [-1, 2])
def test_a_rank_beyond_the_processes_is_refused(rank: int) -> None:
    with pytest.raises(ConfigurationError, match=f"rank: expected 0 to 1 for world_size 2, got {rank}"):
        ShardSampler(4, rank, 2)


def test_shards_are_whole_contiguous_and_need_a_sample_each() -> None:
    assert [list(ShardSampler(5, rank, 3)) for rank in range(3)] == [[0], [1, 2], [3, 4]]
    assert [list(ShardSampler(3, rank, 3)) for rank in range(3)] == [[0], [1], [2]]
    with pytest.raises(ConfigurationError, match="2 samples cannot be shared among 3 processes; use at most 2"):
        ShardSampler(2, 0, 3)


def test_an_epoch_s_seeds_use_all_32_bits_and_the_order_is_kept_when_asked() -> None:
    order, seeds = epoch_draws(4000, seed=1, epoch=1, shuffle=False)
    assert order.tolist() == list(range(4000))
    assert seeds.dtype == np.uint32
    assert seeds.max() > 0.99 * 2**32
    assert seeds.min() < 0.01 * 2**32
    assert np.array_equal(epoch_draws(4000, 1, 1)[1], seeds), "the seeds do not depend on the order"
