# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Groups are the marker's value with each combination of attributes in training; all faults come at once."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from monai.data import DataLoader

from monai_ich.data import SliceDataset, SliceGroups, attributes_of_groups, slice_groups
from monai_ich.engines import prepare_multitask_batch
from monai_ich.utils.errors import ConfigurationError

ROWS = [  # split, hypodensity, holder, volume, hospital
    ("train", 0, "no", "9.9", "1"),
    ("train", 1, "no", "10", "1"),
    ("train", 0, "yes", "24.9", "1"),
    ("train", 1, "yes", "25", "2"),
    ("train", 1, "", "3", "2"),
    ("train", np.nan, "yes", "12", "2"),
    ("val", 1, "no", "", "1"),
    ("val", 0, "perhaps", "7", "3"),
]


@pytest.fixture
def table() -> pd.DataFrame:
    columns = ["split", "hypodensity", "attribute_holder", "attribute_volume", "hospital"]
    return pd.DataFrame(ROWS, columns=columns).assign(attribute_kernel="")


def test_a_group_is_the_marker_and_the_attribute(table: pd.DataFrame) -> None:
    groups = slice_groups(table, ["hypodensity"], ["holder"])
    assert groups is not None
    assert groups.names == tuple(f"hypodensity={m}, holder={h}" for h in ("no", "yes") for m in (0, 1))
    # unknown: no attribute, no marker, a value that training does not have
    assert groups.numbers.tolist() == [0, 1, 2, 3, -1, -1, 1, -1]
    assert groups.numbers.dtype == np.int64
    assert groups.counts(np.arange(6)) == [1, 1, 1, 1]
    assert groups.counts(np.array([1, 4, 6])) == [0, 2, 0, 0]
    assert slice_groups(table, ["hypodensity"], []) is None


def test_numbers_have_limits_and_the_lower_one_belongs_to_the_interval(table: pd.DataFrame) -> None:
    frame = pd.concat([table, table.assign(hypodensity=1 - table["hypodensity"])], ignore_index=True)
    groups = slice_groups(frame, ["hypodensity"], ["volume"], {"volume": [10, 25]})
    assert groups is not None
    texts = [groups.names[number].split(", ")[1] if number >= 0 else "" for number in groups.numbers[:8]]
    middle, high = "volume 10 to 25", "volume>=25"
    assert texts == ["volume<10", middle, middle, high, "volume<10", "", "", "volume<10"]
    assert len(groups.names) == 6


def test_combinations_are_those_that_training_has(table: pd.DataFrame) -> None:
    frame = pd.concat([table, table.assign(hypodensity=1 - table["hypodensity"])], ignore_index=True)
    groups = slice_groups(frame, ["hypodensity"], ["holder", "hospital"])
    assert groups is not None
    combinations = dict.fromkeys(name.split(", ", 1)[1] for name in groups.names)
    assert list(combinations) == ["holder=no, hospital=1", "holder=yes, hospital=1", "holder=yes, hospital=2"]
    assert attributes_of_groups(groups.numbers)[:8].tolist() == [0, 0, 1, 2, -1, -1, 0, -1]


@pytest.mark.parametrize(
    ("markers", "attributes", "bins", "told"),
    [
        (["hypodensity"], ["holdr"], {}, ["'holdr' is no attribute", "holder, volume, kernel, hospital", "'holder'?"]),
        (["hypodensity"], ["kernel"], {}, ["'kernel' is unknown in all 8 rows", "attribute_kernel"]),
        (["a", "b"], ["holder"], {}, ["expected one marker, got 2 (a, b)"]),
        ([], ["holder"], {}, ["expected one marker, got 0 (no classifier)"]),
        (["hypodensity"], ["holder"], {"holder": [1]}, ["it must hold numbers", "'no'"]),
        (["hypodensity"], ["volume"], {"volume": [25, 10]}, ["ascending limits", "[25, 10]"]),
        (["hypodensity"], ["volume"], {"volume": [10, 10]}, ["ascending limits"]),
        (["hypodensity"], ["volume"], {"volume": []}, ["ascending limits"]),
        (["hypodensity"], ["holder"], {"holders": [1]}, ["names 'holders', which is not among", "'holder'?"]),
        (["a", "b"], ["holdr", "kernel"], {"v": [1]}, ["one marker", "'holdr'", "'kernel'", "'v'"]),
        (["hypodensity"], ["hospital"], {}, ["no slice of the group 'hypodensity=0, hospital=2'"]),
    ],
)
def test_all_faults_are_told_at_once(
    table: pd.DataFrame, markers: list[str], attributes: list[str], bins: dict[str, Any], told: list[str]
) -> None:
    with pytest.raises(ConfigurationError) as caught:
        slice_groups(table, markers, attributes, bins)
    assert all(text in str(caught.value) for text in told), str(caught.value)


def test_nothing_known_in_training(table: pd.DataFrame) -> None:
    with pytest.raises(ConfigurationError, match="training has no slice of which the marker and all attributes"):
        slice_groups(table[table["split"] == "val"].reset_index(drop=True), ["hypodensity"], ["holder"])


def test_the_sizes_and_the_share_without_a_group_are_logged(
    table: pd.DataFrame, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "monai_ich"):
        slice_groups(table, ["hypodensity"], ["holder"])
    assert "hypodensity=1, holder=yes: 1 slices" in caplog.text
    assert "train: 2 of 6 slices (33.3%) are in no group" in caplog.text
    assert "val: 1 of 2 slices (50.0%) are in no group" in caplog.text


def test_samples_and_targets_have_the_group_of_their_row(
    frame: pd.DataFrame, make: Callable[..., SliceDataset]
) -> None:
    numbers = np.arange(len(frame)) % 3 - 1
    grouped = make(groups=SliceGroups(("a", "b"), numbers))
    batch = next(iter(DataLoader(grouped, batch_size=8)))
    _, targets = prepare_multitask_batch(batch)
    assert targets["group"].tolist() == numbers.tolist()
    assert str(targets["group"].dtype) == "torch.int64"
    _, without = prepare_multitask_batch(next(iter(DataLoader(make(), batch_size=8))))
    assert "group" not in without
