# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Findings beside the haemorrhage: each is there at its rate, looks as it should, and changes nothing else."""

from __future__ import annotations

from dataclasses import asdict, replace

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage

from monai_ich.phantom import IncidentalRates, PhantomPatient, PhantomSpec, draw_patient, make_patient
from monai_ich.phantom.study import truth_row
from monai_ich.utils.errors import ConfigurationError

PLAIN = PhantomSpec(matrix=256, slices_per_study=None)
NAMES = tuple(asdict(IncidentalRates()))


def with_finding(name: str, *, ich: bool) -> tuple[PhantomPatient, PhantomPatient]:
    """The same patient without and with a finding."""
    number = next(n for n in range(16) if draw_patient(PLAIN, 4, n).ich == ich)
    spec = replace(PLAIN, incidental=IncidentalRates(**{name: 1.0}))
    return make_patient(PLAIN, 4, number), make_patient(spec, 4, number)


def noise_free(patient: PhantomPatient) -> NDArray:
    """HU of the whole head on every second pixel."""
    return np.stack([patient.tissue(index)[0] for index in range(patient.scan.count)])


def voxel_ml(patient: PhantomPatient) -> float:
    return (2 * patient.scan.pixel_mm) ** 2 * patient.scan.thickness_mm / 1000


def test_default_makes_none() -> None:
    assert not any(asdict(PhantomSpec().incidental).values())


@pytest.mark.parametrize("name", NAMES)
def test_a_finding_changes_pixels_and_neither_mask_nor_truth(name: str) -> None:
    without, having = with_finding(name, ich=True)
    assert having.incidental.present == {other: other == name for other in NAMES}
    assert not any(without.incidental.present.values())
    changed = []
    for index in range(without.scan.count):
        plain, seen = without.render(index), having.render(index)
        np.testing.assert_array_equal(seen.mask, plain.mask)
        assert seen.truth == plain.truth
        changed.append(np.mean(seen.hu != plain.hu))
    assert 0.0005 < max(changed) < 0.6  # the head fills half of the slice
    assert min(changed) == 0  # slices without it have the same bytes: the same anatomy and the same noise
    row = truth_row(having, 0, having.render(0).truth)
    assert [row[other] for other in NAMES] == [int(other == name) for other in NAMES]


def test_contrast_vessels_are_a_few_ml_as_bright_as_contrast_medium() -> None:
    without, having = with_finding("contrast_vessels", ich=False)
    before, after = noise_free(without), noise_free(having)
    added = after > np.maximum(before, 100) + 20
    assert 1 < added.sum() * voxel_ml(without) < 25
    assert 150 <= np.percentile(after[added], 99) <= 320
    assert (after >= before - 0.01).mean() > 0.999


def test_subdural_is_a_dark_crescent_of_one_side_under_the_bone() -> None:
    without, having = with_finding("chronic_subdural", ich=False)
    before, after = noise_free(without), noise_free(having)
    changed = np.abs(after - before) > 1
    assert 15 < changed.sum() * voxel_ml(without) < 160
    core = ndimage.binary_erosion(changed, iterations=1)
    assert 10 <= np.median(after[core]) <= 22
    index = int(changed.sum(axis=(1, 2)).argmax())
    grid = without.scan.half_grid(index, without.pose)
    side = np.sign(np.median(grid.x[changed[index]]))
    assert (side * grid.x[changed[index]] > 0).mean() > 0.95
    bone_mm = ndimage.distance_transform_edt(before[index] < 300) * grid.pixel_mm
    assert bone_mm[changed[index]].max() < 20  # 16 mm at the thickest


def test_old_infarct_is_a_dark_scar_of_the_brain() -> None:
    without, having = with_finding("old_infarct", ich=False)
    before, after = noise_free(without), noise_free(having)
    changed = np.abs(after - before) > 4
    assert 5 < changed.sum() * voxel_ml(without) < 45  # an ellipsoid of 12-20, 12-24 and 11-18 mm
    assert 8 <= np.median(after[ndimage.binary_erosion(changed)]) <= 16
    assert not changed[before > 300].any()


def test_streaks_are_rays_around_metal_in_its_slices_alone() -> None:
    without, having = with_finding("streaks", ich=False)
    clean = [without.render(index).hu.astype(int) for index in range(without.scan.count)]
    added = [having.render(index).hu - hu for index, hu in enumerate(clean)]
    touched = [index for index, each in enumerate(added) if each.any()]
    assert 1 <= len(touched) <= 3
    worst = added[max(touched, key=lambda index: np.abs(added[index]).max())]
    assert worst.max() > 1000
    row, column = np.unravel_index(worst.argmax(), worst.shape)
    rows, columns = np.indices(worst.shape)
    ring = np.abs(np.hypot(rows - row, columns - column) * without.scan.pixel_mm - 15) < 1
    assert worst[ring].max() > 8
    assert worst[ring].min() < -8


def test_rates_are_shares_of_patients_and_findings_are_independent() -> None:
    spec = PhantomSpec(matrix=32, incidental=IncidentalRates(contrast_vessels=0.3, old_infarct=0.6))
    found = np.array([list(make_patient(spec, 1, n).incidental.present.values()) for n in range(160)])
    assert found.mean(axis=0) == pytest.approx([0.3, 0, 0.6, 0], abs=0.1)
    assert abs(np.corrcoef(found[:, 0], found[:, 2])[0, 1]) < 0.2
    alone = replace(spec, incidental=IncidentalRates(old_infarct=0.6))
    number = int(found[:, 2].argmax())
    one, other = make_patient(spec, 1, number), make_patient(alone, 1, number)
    assert one.incidental.old_infarct.body == other.incidental.old_infarct.body


def test_rates_are_read_from_a_config_and_checked() -> None:
    assert PhantomSpec(incidental={"streaks": 0.25}).incidental == IncidentalRates(streaks=0.25)
    with pytest.raises(ConfigurationError, match=r"incidental.streak is not a finding.* Did you mean 'streaks'"):
        PhantomSpec(incidental={"streak": 0.25})
    with pytest.raises(ConfigurationError, match=r"incidental.old_infarct is 1.1, expected a share of patients"):
        PhantomSpec(incidental=IncidentalRates(old_infarct=1.1))
