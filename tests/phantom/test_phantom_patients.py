# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Patient-level draws: case mix, dials and independence of the streams; nothing is rendered."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from monai_ich.phantom import HOSPITALS, PhantomSpec, SpuriousDials, draw_patient
from monai_ich.utils.errors import ConfigurationError

COUNT = 1500


def draws(hospital: int, dials: SpuriousDials | None = None) -> pd.DataFrame:
    spec = PhantomSpec(spurious=dials or SpuriousDials())
    return pd.DataFrame([vars(draw_patient(spec, hospital, number)) for number in range(COUNT)])


def odds_ratio(frame: pd.DataFrame, nuisance: str) -> float:
    table = pd.crosstab(frame[nuisance], frame["hypodensity"]).to_numpy() + 0.5
    return float(table[0, 0] * table[1, 1] / (table[0, 1] * table[1, 0]))


def test_case_mix_follows_the_hospital() -> None:
    frame, site = draws(1), HOSPITALS[1]
    bleeding = frame[frame.ich]
    assert frame.ich.mean() == pytest.approx(site.mix.ich, abs=0.04)
    assert bleeding.hypodensity.mean() == pytest.approx(site.mix.hypodensity, abs=0.05)
    assert bleeding.margin_irregularity.mean() == pytest.approx(site.mix.margin_irregularity, abs=0.05)
    assert bleeding.clot_volume_ml.median() == pytest.approx(site.mix.volume_median_ml, rel=0.12)
    assert bleeding.clot_volume_ml.between(3, 100).all()
    markers = ["hypodensity", "margin_irregularity", "blend_sign", "fluid_level"]
    assert not frame.loc[~frame.ich, markers].to_numpy().any()
    assert (frame.loc[~frame.ich, "clot_volume_ml"] == 0).all()


def test_markers_overlap_and_negatives_hold_the_other_markers() -> None:
    frame = draws(1)
    others = frame.margin_irregularity | frame.blend_sign | frame.fluid_level
    assert (frame.hypodensity & others).mean() > 0.05
    assert (~frame.hypodensity & others).mean() > 0.05


def test_default_dial_associates_volume_as_barras_does_and_nothing_else() -> None:
    bleeding = draws(1).query("ich")
    shares = [
        bleeding[bleeding.clot_volume_ml.between(low, high)].hypodensity.mean()
        for low, high in ((0, 10), (10, 25), (25, 106))
    ]
    # Barras: heterogeneous in .27, .63, .83, a logit slope of 1.29 per ln(ml); ours is of the same order.
    slope = np.diff([np.log(s / (1 - s)) for s in (shares[0], shares[2])])[0] / np.log(45 / 6)
    assert shares[0] < shares[1] < shares[2]
    assert 0.8 < slope < 1.9
    for nuisance in ("kernel_sharp", "head_holder"):
        assert 0.7 < odds_ratio(draws(1), nuisance) < 1.45


@pytest.mark.parametrize(("dial", "nuisance"), [("kernel", "kernel_sharp"), ("head_holder", "head_holder")])
def test_dial_raises_the_association_in_training_hospitals_only(dial: str, nuisance: str) -> None:
    dials = SpuriousDials(**{dial: 0.9})
    trained, new = draws(2, dials), draws(5, dials)
    assert odds_ratio(trained, nuisance) > 8
    assert 0.7 < odds_ratio(new, nuisance) < 1.45
    expected = HOSPITALS[2].sharp_fraction if dial == "kernel" else HOSPITALS[2].holder_fraction
    assert trained[nuisance].mean() == pytest.approx(expected, abs=0.05)


def test_dial_of_volume_spans_none_to_complete() -> None:
    def correlation(dial: float) -> float:
        bleeding = draws(1, SpuriousDials(clot_volume=dial)).query("ich")
        return float(np.corrcoef(np.log(bleeding.clot_volume_ml), bleeding.hypodensity)[0, 1])

    none, default, full = (correlation(dial) for dial in (0.0, 0.5, 1.0))
    assert abs(none) < 0.07
    assert 0.25 < default < 0.55
    assert full > 0.7
    perfect = draws(1, SpuriousDials(clot_volume=1.0)).query("ich")
    assert perfect[perfect.hypodensity].clot_volume_ml.min() >= perfect[~perfect.hypodensity].clot_volume_ml.max()


def test_a_patient_depends_on_seed_hospital_and_number_only() -> None:
    one = draw_patient(PhantomSpec(), 3, 7)
    assert draw_patient(PhantomSpec(studies=(0, 0, 8, 0, 0, 0, 0, 0, 0, 0, 0), matrix=64), 3, 7) == one
    others = [
        draw_patient(PhantomSpec(seed=1), 3, 7),
        draw_patient(PhantomSpec(), 4, 7),
        draw_patient(PhantomSpec(), 3, 8),
    ]
    assert len({one.noise_hu, *(other.noise_hu for other in others)}) == 4


def test_new_hospitals_are_wider_than_the_training_ones() -> None:
    noisiest = max(HOSPITALS[n].noise_hu[1] for n in (1, 2, 3, 4))
    assert max(HOSPITALS[n].noise_hu[1] for n in range(5, 12)) > noisiest
    trained = [abs(HOSPITALS[n].hu_offset[0]) for n in (1, 2, 3, 4)]
    assert np.mean([abs(HOSPITALS[n].hu_offset[0]) for n in range(5, 12)]) > np.mean(trained)
    assert sorted(HOSPITALS) == list(range(1, 12))


def test_bad_specification_reports_every_fault() -> None:
    with pytest.raises(ConfigurationError) as caught:
        PhantomSpec(
            seed=-1,
            studies=(1, 2),
            slices_per_study=0,
            matrix=65,
            spurious=SpuriousDials(kernel=1.5),
            transfer_syntax="jpeg_ls",
        )
    message = str(caught.value)
    for part in ("seed is -1", "expected 11 counts", "slices_per_study is 0", "matrix is 65", "spurious.kernel is 1.5"):
        assert part in message
    assert "Did you mean 'jpeg_ls_lossless'?" in message
