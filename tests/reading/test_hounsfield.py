# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Values that are no HU are refused with what they probably are; phantoms and real heads never are."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pydicom
import pytest
from awkward_files import SHIPPED, source
from support import head_slice

from monai_ich.phantom import PhantomSpec, generate_phantom
from monai_ich.reading import read_slices
from monai_ich.reading.hounsfield import ValueCheck, ValueRule
from monai_ich.utils.errors import ImageReadError

HERE = Path("study")


def noisy_head(side: int, slices: int = 6) -> np.ndarray:
    """(slices, side, side) HU of a head with noise, whose first slices are dense with bone."""
    rng = np.random.default_rng(side)
    hu = np.stack([head_slice(side)] * slices)
    hu[0][np.abs(hu[0] - 35) < 1] = rng.choice([35, 700], size=np.count_nonzero(np.abs(hu[0] - 35) < 1))
    hu += rng.normal(0, 5, hu.shape).astype(np.float32)
    hu[2, side // 2 : side // 2 + 6, side // 2 : side // 2 + 8] = 65
    return np.maximum(hu, -1024)


def judged(values: np.ndarray, a_time: int = 2) -> None:
    check = ValueCheck()
    for start in range(0, len(values), a_time):
        part = values[start : start + a_time]
        check.add(part, [HERE / f"{start + n}.dcm" for n in range(len(part))])
    check.refuse(HERE)


def cormack(hu: np.ndarray) -> np.ndarray:
    """The unit of the Clinical Toolbox: brain stretched elevenfold, from 0 for air to above 3000 for bone."""
    return np.select(
        [hu < -100, hu <= 100], [np.clip(hu + 1000, 0, None), (hu + 100) * 11 + 900], hu + 3000
    )  # fmt: skip


def magnetic_resonance(hu: np.ndarray) -> np.ndarray:
    return np.where(hu < -500, np.abs(np.random.default_rng(0).normal(0, 8, hu.shape)), 400 + 5 * np.clip(hu, 0, 80))


def outside_circle(hu: np.ndarray) -> np.ndarray:
    """What a scanner does not reconstruct, and fills with a padding value far below air."""
    side = hu.shape[-1]
    rows, columns = np.mgrid[0:side, 0:side] - (side - 1) / 2
    return np.broadcast_to(np.hypot(rows, columns) > side / 2, hu.shape)


# What: the values, and what the refusal says of them.
NO_HU: dict[str, tuple[Callable[[np.ndarray], np.ndarray], str]] = {
    "plus_1024": (lambda hu: hu + 1024, r"look like HU \+1024\b.*--offset -1024 .*-1024 in column image_values"),
    "plus_1000": (lambda hu: hu + 1000, r"look like HU \+10(00|24)\b"),
    "plus_32768": (lambda hu: hu + 32768, r"look like HU \+32768\b"),
    "intercept_lost_beside_padding": (lambda hu: np.where(outside_circle(hu), -1024, hu + 1024), ""),
    "intercept_twice": (lambda hu: np.maximum(hu - 1024, -1024), r"an intercept is used twice"),
    "window_0_255": (lambda hu: np.rint(np.clip(hu, 0, 80) / 80 * 255), r"grey values from 0 to 255"),
    "window_0_1": (lambda hu: np.clip(hu, 0, 80) / 80, r"grey values from 0 to 1"),
    "scaled_0_1": (lambda hu: (hu + 1024) / 4096, r"grey values from 0 to 1"),
    "scaled_minus_1_1": (lambda hu: (hu + 1024) / 2048 - 1, ""),
    "standardised": (lambda hu: (hu - hu.mean()) / hu.std(), ""),
    "cormack": (cormack, ""),
    "mr": (magnetic_resonance, r"as in MR"),
    "cut_at_0": (lambda hu: np.maximum(hu, 0), r"HU that were cut off below \(0 to"),
    "cut_at_minus_200": (lambda hu: np.maximum(hu, -200), r"cut off below \(-200 to"),
    "window_in_hu": (lambda hu: np.clip(hu, -100, 200), r"cut off below and above \(-100 to 200\)"),
    "skull_stripped_in_0": (lambda hu: np.where(np.abs(hu - 40) < 40, hu, 0), ""),
    "skull_stripped_in_air": (lambda hu: np.where(np.abs(hu - 40) < 40, hu, -1024), r"bone, above 300, has 0\.0%"),
    "unsigned": (lambda hu: np.where(hu < 0, 0, hu), r"cut off below"),
    "wrapped_16_bit": (lambda hu: np.where(hu < 0, hu + 65536, hu), ""),
    "wrapped_12_bit": (lambda hu: np.where(hu < 0, hu + 4096, hu), ""),
    "inverted": (lambda hu: -hu, r"inverted"),
    "ten_times": (lambda hu: np.maximum(hu * 10, -1024), ""),
}


@pytest.mark.parametrize("side", [64, 512])
@pytest.mark.parametrize("kind", NO_HU)
def test_values_that_are_no_hu_are_refused(kind: str, side: int) -> None:
    make, says = NO_HU[kind]
    values = make(noisy_head(side)).astype(np.float32)
    with pytest.raises(ImageReadError, match=rf"^study: its values are no Hounsfield units: .*{says}"):
        judged(values)
    for single in values[1:3]:  # a manifest may list one slice of a study
        with pytest.raises(ImageReadError, match="no Hounsfield units"):
            judged(single[None])


@pytest.mark.parametrize("side", [48, 64, 128, 512])
def test_a_head_passes_whole_and_slice_by_slice(side: int) -> None:
    hu = noisy_head(side)
    judged(hu)
    for single in hu:
        judged(single[None])


def test_nothing_and_what_is_too_small_is_not_judged() -> None:
    ValueCheck().refuse(HERE)
    judged(np.zeros((3, 47, 48), np.float32))
    with pytest.raises(ImageReadError, match="no Hounsfield units"):
        judged(np.zeros((3, 48, 48), np.float32))


def test_one_slice_that_lost_its_intercept_is_named() -> None:
    hu = noisy_head(64, 30)
    hu[17] += 1024
    with pytest.raises(ImageReadError, match=r"17\.dcm: .*this slice shows no air.*\(1 such slices\)"):
        judged(hu)


def test_no_phantom_slice_is_refused(tmp_path: Path) -> None:
    spec = PhantomSpec(seed=5, slices_per_study=4, matrix=96, studies=(8, 2, 2, 2, 1, 1, 1, 1, 1, 1, 1))
    generate_phantom(tmp_path / "data", tmp_path / "m.csv", spec, workers=1)
    paths = sorted((tmp_path / "data").rglob("*.dcm"))
    assert len(paths) == 84
    for path in paths:
        judged(read_slices(path).pixels)


def real_heads() -> list[Path]:
    """Every CT of pydicom and pydicom-data of at least 128 x 128 pixels that the reader takes: heads and a neck."""
    found = []
    for path in sorted({*SHIPPED.glob("*.dcm"), *source("693_UNCR.dcm").parent.glob("*.dcm")}):
        header = pydicom.dcmread(path, stop_before_pixels=True, force=True)
        if header.get("Modality") == "CT" and header.get("Rows", 0) >= 128 and "RescaleIntercept" in header:
            found.append(path)
    return found


def test_no_real_head_is_refused() -> None:
    names = []
    for path in real_heads():
        try:
            stack = read_slices(path)
        except ImageReadError:  # damaged on purpose, or without geometry
            continue
        judged(stack.pixels)
        names.append(path.name)
    assert {"693_UNCR.dcm", "CT_small.dcm", "J2K_pixelrep_mismatch.dcm"} <= set(names)


@pytest.mark.parametrize("name", ["693_UNCR.dcm", "J2K_pixelrep_mismatch.dcm"])
def test_a_real_head_that_lost_its_intercept_is_refused(name: str) -> None:
    hu = read_slices(source(name)).pixels
    with pytest.raises(ImageReadError, match=r"look like HU \+1024"):
        judged(hu + 1024)
    judged(read_slices(source(name), offset_hu=0.0).pixels)


def test_what_a_rule_may_say() -> None:
    assert ValueRule.parse("-1000.5") == ValueRule(-1000.5)
    for wrong in ("hu", "nan", "inf", "1e999", "-"):
        with pytest.raises(ValueError):  # noqa: PT011 - each has a text of its own
            ValueRule.parse(wrong)
