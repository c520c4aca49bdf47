# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""What lies outside the head: measured by hand, found where it goes with the label, and not cried out where not."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd
import pytest
from audit_support import Planted, findings

from monai_ich.audit.background_check import background_findings
from monai_ich.audit.findings import Severity
from monai_ich.audit.slice_features import BackgroundMeasure, background_measures
from monai_ich.phantom import PhantomSpec, SpuriousDials, make_patient

PATIENTS = 70


def _rows(seed: int, dial: float) -> Iterator[tuple[str, float, list[float]]]:
    """Patient, marker and measures of one slice of each patient of hospital 1."""
    spec = PhantomSpec(seed=seed, slices_per_study=1, matrix=128, spurious=SpuriousDials(head_holder=dial))
    for number in range(PATIENTS):
        patient = make_patient(spec, 1, number)
        rendered = patient.render(0)
        measures = background_measures(np.maximum(rendered.hu, -1024).astype(np.float32))
        yield patient.truth.patient_id, float(rendered.truth.hypodensity), measures


def _judged(seed: int, dial: float) -> tuple[Severity, str]:
    patients, markers, measures = zip(*_rows(seed, dial), strict=True)
    frame = pd.DataFrame({"patient_id": patients, "hypodensity": markers})
    (finding,) = background_findings(frame, np.ones(len(frame), bool), np.array(measures, np.float32), "hypodensity")
    return finding.severity, finding.summary


@pytest.mark.parametrize("seed", [1, 2])
def test_a_head_holder_that_goes_with_the_marker_is_found(seed: int) -> None:
    severity, summary = _judged(seed, 0.95)
    assert severity is Severity.WARNING, summary
    assert "what lies outside the head reaches AUC" in summary


@pytest.mark.parametrize("seed", [1, 2, 3, 4])
def test_a_head_holder_that_knows_nothing_of_the_marker_is_no_shortcut(seed: int) -> None:
    severity, summary = _judged(seed, 0.0)
    assert severity is Severity.PASSED, summary


def _slice() -> np.ndarray:
    """A head of skin (-100 HU) and brain (40 HU) in air, 64 x 64."""
    hu = np.full((64, 64), -1000.0, np.float32)
    hu[16:48, 16:48] = -100
    hu[20:44, 20:44] = 40
    return hu


def test_measures_by_hand() -> None:
    assert background_measures(_slice()) == [0, 0, 0, 0, 0]
    hu = _slice()
    hu[0:4, 0:5], hu[60:62, 60:62] = 80, 40
    outside = 64 * 64 - (36 * 36 - 12)  # the head and two pixels around it, whose corners are diamonds
    area, objects, mean, spread, apart = background_measures(hu)
    brightness = np.zeros(outside)
    brightness[:20], brightness[20:24] = 1.0, 0.5
    assert (area, objects, apart) == (24 / 4096, 2, 24 / 4096)
    assert (mean, spread) == pytest.approx((brightness.mean(), brightness.std()), rel=1e-6)
    assert len(BackgroundMeasure) == 5


def test_what_the_brain_window_does_not_show_does_not_count() -> None:
    hu = _slice()
    hu[0:4, 0:5] = -50
    assert background_measures(hu) == [0, 0, 0, 0, 0]
    assert background_measures(np.full((64, 64), -1000.0)) == [0, 0, 0, 0, 0]
    assert background_measures(np.full((64, 64), 40.0)) == [0, 0, 0, 0, 0]
    dim, bright = _slice(), _slice()
    dim[0, 0], bright[0, 0] = 7.9, 8.1  # a tenth of 0..80 HU
    assert [background_measures(pixels)[BackgroundMeasure.OBJECTS] for pixels in (dim, bright)] == [0, 1]


@pytest.mark.parametrize(("patients", "severity"), [(9, Severity.SKIPPED), (10, Severity.WARNING)])
def test_few_patients_with_the_marker_say_nothing(patients: int, severity: Severity) -> None:
    frame = pd.DataFrame(
        {"patient_id": [f"p{i}" for i in range(60)], "hypodensity": [float(i < patients) for i in range(60)]}
    )
    measures = np.repeat(frame["hypodensity"].to_numpy()[:, None], 5, axis=1)
    (finding,) = background_findings(frame, np.ones(60, bool), measures, "hypodensity")
    assert finding.severity is severity, finding.summary


def test_slices_that_cannot_be_read_or_have_no_label_do_not_count() -> None:
    frame = pd.DataFrame({"patient_id": [f"p{i}" for i in range(90)], "hypodensity": [0.0, 1.0, np.nan] * 30})
    told = np.repeat((frame["hypodensity"] == 1).to_numpy(float)[:, None], 5, axis=1)
    (finding,) = background_findings(frame, np.ones(90, bool), told, "hypodensity")
    assert (finding.severity, "60 slices of 60 patients" in finding.summary) == (Severity.WARNING, True)
    (finding,) = background_findings(frame, frame.index.to_numpy() < 60, told, "hypodensity")
    assert "40 slices of 40 patients" in finding.summary
    (finding,) = background_findings(frame, np.zeros(90, bool), told, "hypodensity")
    assert finding.severity is Severity.SKIPPED


def test_text_burnt_into_positive_slices_is_found_by_the_audit(planted: Planted) -> None:
    (finding,) = findings(planted.audit()[1], "background")
    assert finding["summary"].startswith("Fewer than 10 patients have a positive slice (7)")
    planted.frame.loc[planted.frame.groupby("patient_id").head(1).index[:12], "hypodensity"] = 1.0
    for row in planted.frame.index[planted.frame["hypodensity"] == 1]:
        planted.change_pixels(int(row), slice(0, 3), slice(0, 8), hu=60)
    status, report = planted.audit()
    assert status == 0
    (finding,) = findings(report, "background", "warning")
    assert "it predicts hypodensity" in finding["summary"]
    assert "Mask the background or crop to the head" in finding["remedy"]
    # Not 1: the head holder, which some negative slices show, is bright and outside the head, too.
    assert 0.95 <= float(finding["examples"][0]["AUC of it alone"]) < 1
