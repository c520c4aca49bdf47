# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""The part of an audit that looks outside the head: does what lies there tell the label?"""

from __future__ import annotations

import numpy as np
import pandas as pd

from monai_ich.audit.findings import Finding, Severity
from monai_ich.audit.row_checks import NO_LABEL, is_shortcut, probe_rows, probed_rows, shortcut_text
from monai_ich.audit.slice_features import BackgroundMeasure
from monai_ich.metrics import FEWEST_PATIENTS

CHECK = "background"
NAMES = {
    BackgroundMeasure.AREA: "bright area outside the head",
    BackgroundMeasure.OBJECTS: "bright objects outside the head",
    BackgroundMeasure.MEAN: "mean brightness outside the head",
    BackgroundMeasure.SPREAD: "spread of the brightness outside the head",
    BackgroundMeasure.APART: "bright area apart from the largest one",
}


def background_findings(
    frame: pd.DataFrame, readable: np.ndarray, background: np.ndarray, marker: str
) -> list[Finding]:
    """Predicts the marker from five numbers of each slice that describe what is outside the head.

    The model, its folds by patients and its interval over patients are those of the header check (`attribute_probe`).

    Args:
        frame: the manifest's rows.
        readable: bool (n,).
        background: float (n, BackgroundMeasure).
        marker: a label of the manifest.
    """
    rows = probed_rows(frame[readable], marker)
    if rows.empty:
        return [Finding(CHECK, Severity.SKIPPED, NO_LABEL)]
    positive_patients = rows.loc[rows[marker] == 1, "patient_id"].nunique()
    if positive_patients < FEWEST_PATIENTS:
        few = f"Fewer than {FEWEST_PATIENTS} patients have a positive slice ({positive_patients})"
        return [Finding(CHECK, Severity.SKIPPED, f"{few}: chance alone could look like a shortcut.")]
    measures = pd.DataFrame(background, columns=[NAMES[measure] for measure in BackgroundMeasure], index=frame.index)
    probe = probe_rows(measures.loc[rows.index], rows, marker)
    summary = shortcut_text(probe, "what lies outside the head")
    if probe is None:
        return [Finding(CHECK, Severity.SKIPPED, f"{summary}.")]
    examples = tuple({"measure": name, "AUC of it alone": f"{auc:.2f}"} for name, auc in probe.single.items())
    if is_shortcut(probe):
        remedy = (
            "A network may learn this instead of the haemorrhage. Look at slices with and without the marker: a head "
            "holder, a table or burnt-in text may go with it. Mask the background or crop to the head, ask the site "
            "why it differs, and test where it does not."
        )
        return [Finding(CHECK, Severity.WARNING, f"{summary}: it predicts {marker}.", remedy, examples)]
    return [Finding(CHECK, Severity.PASSED, f"{summary}.", "", examples)]
