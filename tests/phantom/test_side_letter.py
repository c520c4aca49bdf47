# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""The side letter: where it is, and that a linear probe reads it from windowed and reduced slices, and nothing else."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from support import bundle_part

from monai_ich.phantom import PhantomSpec, make_patient

PATIENTS = 100
SIDE = 8  # the probe sees 8 x 8 means of the picture


@pytest.fixture(scope="module")
def slices() -> dict[bool, list[np.ndarray]]:
    """HU of one slice of each of 100 patients of hospitals 1-9 and 11, 128 x 128, without and with the letter."""
    hospitals = [1, 2, 3, 4, 5, 6, 7, 8, 9, 11]
    patients = [make_patient(PhantomSpec(matrix=128), hospitals[n % 10], n) for n in range(PATIENTS)]
    return {
        present: [replace(p, truth=p.truth.with_nuisance("side_letter", present)).render(4).hu for p in patients]
        for present in (False, True)
    }


def probe_auc(images: list[np.ndarray], has_letter: np.ndarray, size: int) -> float:
    """AUC of a logistic regression on the second half of the patients, fitted on the first."""
    fit = bundle_part("preprocessing", image_size=size).transforms[1:]  # the window, then the resizing
    features = []
    for hu in images:
        item = {"image": torch.from_numpy(hu.astype(np.float32))[None], "mask": torch.zeros(1, *hu.shape)}
        for step in fit:
            item = step(item)
        means = np.asarray(item["image"])[0].reshape(SIDE, size // SIDE, SIDE, size // SIDE).mean(axis=(1, 3))
        features.append(means.ravel())
    half = PATIENTS // 2
    probe = LogisticRegression(C=100, max_iter=1000).fit(features[:half], has_letter[:half])
    return float(roc_auc_score(has_letter[half:], probe.decision_function(features[half:])))


@pytest.mark.parametrize("size", [64, 128])
def test_a_linear_probe_reads_the_letter_and_needs_it(slices: dict[bool, list[np.ndarray]], size: int) -> None:
    has_letter = np.random.default_rng(0).permutation(np.arange(PATIENTS) % 2 == 0)
    shown = [slices[bool(present)][n] for n, present in enumerate(has_letter)]
    assert probe_auc(shown, has_letter, size) >= 0.9
    # The same patients without any letter: what is left is chance, which has this standard deviation.
    half = has_letter[PATIENTS // 2 :]
    spread = np.sqrt((len(half) + 1) / (12 * half.sum() * (~half).sum()))
    assert abs(probe_auc(slices[False], has_letter, size) - 0.5) < 2 * spread


def test_the_letter_changes_the_corner_alone(slices: dict[bool, list[np.ndarray]]) -> None:
    for plain, lettered in zip(slices[False], slices[True], strict=True):
        rows, columns = np.nonzero(plain != lettered)
        assert 0 < rows.min() <= rows.max() < 128 / 8
        assert 0 < columns.min() <= columns.max() < 128 / 8
        assert (plain[rows, columns] < -900).all()  # air or padding, never a head
        assert (lettered[rows, columns] == 3071).all()


@pytest.mark.parametrize("matrix", [32, 64, 512])
def test_the_letter_is_an_r_of_a_sixteenth_of_the_side(matrix: int) -> None:
    patient = make_patient(PhantomSpec(matrix=matrix), 3, 0)
    hu = replace(patient, truth=patient.truth.with_nuisance("side_letter", True)).render(0).hu
    rows, columns = np.nonzero(hu == 3071)
    letter = (hu == 3071)[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
    cell = letter.shape[0] // 5
    assert letter.shape == (5 * cell, 3 * cell)
    assert cell == {32: 1, 64: 1, 512: 6}[matrix]
    drawn = ["".join(" R"[int(on)] for on in row) for row in letter[cell // 2 :: cell, cell // 2 :: cell]]
    assert drawn == ["RR ", "R R", "RR ", "R R", "R R"]
    assert letter.sum() == 10 * cell**2


def test_letters_of_half_the_patients_lie_in_no_other_pixel() -> None:
    """The letter overwrites padding too, and hospital 10, which masks its background, never draws one."""
    spec = PhantomSpec(matrix=64, side_letter_fraction=0.5)
    with_letter = {n: make_patient(spec, 7, n).truth.side_letter for n in range(12)}
    assert set(with_letter.values()) == {False, True}
    corners = {n: int(make_patient(spec, 7, n).render(0).hu[1:6, 1:4].max()) for n in with_letter}
    assert {n: corner == 3071 for n, corner in corners.items()} == with_letter
    assert max(int(make_patient(spec, 10, n).render(0).hu[1:6, 1:4].max()) for n in range(6)) == -1024
