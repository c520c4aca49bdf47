# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""The two mechanisms from -1 to 1: how often a nuisance meets the marker, against scipy's distributions."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binom, multivariate_normal, norm
from sklearn.metrics import roc_auc_score

from monai_ich.phantom import HOSPITALS, PhantomSpec, SpuriousDials, draw_patient
from monai_ich.phantom.spec import FIRST_REVERSED
from monai_ich.utils.errors import ConfigurationError

COUNT = 1500
FRACTION = 0.35  # of patients with a side letter
NUISANCES = [("kernel", "kernel_sharp"), ("head_holder", "head_holder"), ("side_letter", "side_letter")]
DIALS = (-1.0, -0.8, -0.3, 0.0, 0.5, 0.95, 1.0)


def draws(hospital: int, first: int = 0, count: int = COUNT, **fields: Any) -> pd.DataFrame:
    spec = PhantomSpec(side_letter_fraction=FRACTION, **fields)
    return pd.DataFrame([vars(draw_patient(spec, hospital, first + number)) for number in range(count)])


def assert_binomial(found: int, count: int, probability: float) -> None:
    """The number found lies where 99.99 % of such draws lie."""
    low, high = binom.interval(0.9999, count, probability)
    assert low <= found <= high


def marker_share(hospital: int) -> float:
    mix = HOSPITALS[hospital].mix
    return mix.ich * mix.hypodensity


@pytest.mark.parametrize("dial", DIALS)
def test_flip_equals_the_marker_with_its_probability(dial: float) -> None:
    frame = draws(1, mechanism="flip", spurious={name: dial for name, _ in NUISANCES})
    for _, column in NUISANCES:
        agree = frame[column] == frame.hypodensity
        for of_class in (frame.hypodensity, ~frame.hypodensity):
            assert_binomial(int(agree[of_class].sum()), int(of_class.sum()), (1 + dial) / 2)
        share = 0.5 + dial * (marker_share(1) - 0.5)
        assert_binomial(int(frame[column].sum()), COUNT, share)
    if abs(dial) < 1:  # each nuisance has a coin of its own
        assert_binomial(int((frame.kernel_sharp == frame.head_holder).sum()), COUNT, (1 + dial**2) / 2)
        assert_binomial(int((frame.side_letter == frame.head_holder).sum()), COUNT, (1 + dial**2) / 2)


@pytest.mark.parametrize("dial", DIALS)
def test_latent_keeps_every_share_and_correlates_latents(dial: float) -> None:
    site, marked = HOSPITALS[2], marker_share(2)
    frame = draws(2, spurious={name: dial for name, _ in NUISANCES})
    shares = {"kernel_sharp": site.sharp_fraction, "head_holder": site.holder_fraction, "side_letter": FRACTION}
    for column, share in shares.items():
        assert_binomial(int(frame[column].sum()), COUNT, share)
        both = {-1.0: max(0.0, marked + share - 1), 1.0: min(marked, share)}
        if abs(dial) < 1:
            upper = [norm.ppf(marked), norm.ppf(share)]  # P(x > -a, y > -b) = P(x < a, y < b) by symmetry
            both[dial] = float(multivariate_normal.cdf(upper, cov=[[1, dial], [dial, 1]]))
        assert_binomial(int((frame[column] & frame.hypodensity).sum()), COUNT, both[dial])


def test_latent_shares_its_latent_with_the_clot_s_volume_and_flip_does_not() -> None:
    """Among patients with the marker, those with larger clots have the holder, so the minority has smaller clots."""

    def auc(**fields: Any) -> float:
        marked = draws(1, spurious={"clot_volume": 0.9, "head_holder": 0.9}, **fields).query("hypodensity")
        return float(roc_auc_score(marked.head_holder, marked.clot_volume_ml))

    assert auc() > 0.65
    assert 0.42 < auc(mechanism="flip") < 0.58


@pytest.mark.parametrize("dial", DIALS)
def test_flip_makes_clots_larger_or_smaller_than_the_median(dial: float) -> None:
    frame = draws(1, mechanism="flip", spurious={"clot_volume": dial}).query("ich")
    above = frame.clot_volume_ml > HOSPITALS[1].mix.volume_median_ml
    assert_binomial(int((above == frame.hypodensity).sum()), len(frame), (1 + dial) / 2)
    # How far a volume is from the median is what it is without any association.
    free = draws(1, spurious={"clot_volume": 0.0}).query("ich")
    far, same = (np.abs(np.log(f.clot_volume_ml / HOSPITALS[1].mix.volume_median_ml)) for f in (frame, free))
    inside = frame.clot_volume_ml.between(3.01, 99.9) & free.clot_volume_ml.between(3.01, 99.9)
    np.testing.assert_allclose(far[inside], same[inside], rtol=1e-9)


@pytest.mark.parametrize("mechanism", ["latent", "flip"])
def test_a_dial_changes_nothing_but_its_nuisance(mechanism: str) -> None:
    plain, turned = (draws(4, count=200, mechanism=mechanism, spurious={"head_holder": d}) for d in (0.0, -0.9))
    assert (plain.head_holder != turned.head_holder).any()
    pd.testing.assert_frame_equal(plain.drop(columns="head_holder"), turned.drop(columns="head_holder"))


@pytest.mark.parametrize("mechanism", ["latent", "flip"])
def test_a_hospital_that_hides_a_nuisance_never_has_it(mechanism: str) -> None:
    dials = {"head_holder": 1.0, "side_letter": 1.0}
    frame = draws(10, count=300, mechanism=mechanism, spurious_new=dials)
    assert not frame[["head_holder", "side_letter"]].to_numpy().any()
    assert draws(9, count=300, mechanism=mechanism, spurious_new=dials).side_letter.any()
    spec = PhantomSpec(mechanism=mechanism)
    assert not any(draw_patient(spec, 1, number).side_letter for number in range(300))


@pytest.mark.parametrize("mechanism", ["latent", "flip"])
def test_reversed_patients_have_the_dials_with_the_other_sign(mechanism: str) -> None:
    """A reversed patient of dials d is the patient of dials -d, who is reversed there and back."""
    dials = SpuriousDials(clot_volume=0.9, kernel=0.9, head_holder=0.9, side_letter=-0.9)
    frame = draws(1, FIRST_REVERSED, mechanism=mechanism, spurious=dials)
    for _, column in NUISANCES:
        with_it, without = (frame.loc[frame.hypodensity == marked, column].mean() for marked in (True, False))
        assert (with_it - without > 0.3) == (column == "side_letter")
        assert (without - with_it > 0.3) == (column != "side_letter")
    bleeding = frame.query("ich")
    assert roc_auc_score(bleeding.hypodensity, bleeding.clot_volume_ml) < 0.3
    before = draws(1, FIRST_REVERSED - 300, 300, mechanism=mechanism, spurious=dials)
    assert before[before.hypodensity].head_holder.mean() > before[~before.hypodensity].head_holder.mean() + 0.3
    new = draws(6, FIRST_REVERSED, mechanism=mechanism, spurious_new=dials).query("ich")
    assert roc_auc_score(new.hypodensity, new.clot_volume_ml) > 0.7  # no hospital of 5-11 is turned


def test_the_default_patients_are_those_of_former_versions() -> None:
    """Sums over the demo set as they were before there were mechanisms, letters and pairs.

    Noise and HU offsets are those of the table of hospitals that follows real heads; the others are of version 2.
    """
    spec = PhantomSpec()
    counts = enumerate(spec.studies, start=1)
    frame = pd.DataFrame([vars(draw_patient(spec, h, n)) for h, count in counts for n in range(count)])
    markers = ["ich", "hypodensity", "margin_irregularity", "blend_sign", "fluid_level"]
    assert frame[markers].sum().to_list() == [247, 113, 98, 49, 21]
    assert frame[["kernel_sharp", "head_holder", "side_letter"]].sum().to_list() == [110, 140, 0]
    scans = frame[["clot_volume_ml", "noise_hu", "blur_mm", "hu_offset"]].sum()
    np.testing.assert_allclose(scans, [7009.975448, 1314.932775, 218.27, -13.100924], rtol=1e-7)


@pytest.mark.parametrize("dial", ["clot_volume", "kernel", "head_holder", "side_letter"])
@pytest.mark.parametrize("name", ["spurious", "spurious_new"])
def test_dials_end_at_minus_one_and_one(name: str, dial: str) -> None:
    for value in (-1, 1, -1.0, 1.0):
        assert getattr(PhantomSpec(**{name: {dial: value}, "side_letter_fraction": 0.1}), name) is not None
    for value in (-1.0001, 1.0001, float("nan"), "0.5", True):
        with pytest.raises(
            ConfigurationError, match=rf"{name}.{dial} is .*, expected -1 \(complete, turned round\) to"
        ):
            PhantomSpec(**{name: {dial: value}, "side_letter_fraction": 0.1})


def test_a_letter_that_nobody_has_has_no_dial() -> None:
    with pytest.raises(ConfigurationError, match=r"spurious_new.side_letter is 0.5, but side_letter_fraction is 0"):
        PhantomSpec(spurious_new={"side_letter": 0.5})
    assert PhantomSpec(side_letter_fraction=0.999).side_letter_fraction == 0.999
    for value in (-0.001, 1, "much"):
        with pytest.raises(ConfigurationError, match=r"side_letter_fraction is .*, expected a share from 0 to below 1"):
            PhantomSpec(side_letter_fraction=value)  # type: ignore[arg-type]


def test_a_specification_survives_its_record() -> None:
    pairs = {"nuisance": "kernel", "studies": [1] * 11}
    spec = PhantomSpec(mechanism="flip", pairs=pairs, reversed_studies=[1, 0, 0, 2])  # type: ignore[arg-type]
    assert PhantomSpec(**spec.as_dict()) == spec
    assert hash(spec) != hash(replace(spec, mechanism="latent"))
