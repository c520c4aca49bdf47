# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""An audit of the masks: do they lie in the head, and do they agree with the labels?"""

from __future__ import annotations

import numpy as np
import pandas as pd

from monai_ich.audit.findings import Finding, Severity
from monai_ich.audit.slice_features import PixelCount
from monai_ich.utils.keys import MARKERS, haemorrhage_labels

OUTSIDE_SHARE = 0.05  # of a mask's pixels
FATAL_SHARE = 0.1  # of the masks that could have the fault: no slip of the hand, but a wrong file, axis or slice index
EXAMPLES = 5


def mask_findings(frame: pd.DataFrame, readable: np.ndarray, counts: np.ndarray) -> tuple[list[Finding], list[int]]:
    """Looks for masks outside the head, and for empty masks of slices with blood by their labels.

    A marker is a sign of the haematoma that the masks show. A label of haemorrhage may be of blood that the masks do
    not show on purpose, such as a subdural beside masks of the intracerebral haematoma, so it is never fatal.

    Args:
        frame: the manifest's rows.
        readable: bool (n,).
        counts: int (n, PixelCount).

    Returns:
        The findings, and the rows of masks outside the head.
    """
    annotated = (frame["mask"] != "").to_numpy() & readable
    if not annotated.any():
        return [Finding("masks", Severity.SKIPPED, "No slice that can be read has a mask.")], []
    drawn = annotated & (counts[:, PixelCount.MASK] > 0)
    outside = drawn & (counts[:, PixelCount.MASK_OUTSIDE] > OUTSIDE_SHARE * counts[:, PixelCount.MASK_COARSE])
    is_empty = annotated & (counts[:, PixelCount.MASK] == 0)
    positive = annotated & (frame[list(MARKERS)] == 1).any(axis=1).to_numpy()
    bleeding = annotated & ~positive & (frame[haemorrhage_labels(frame.columns)] == 1).any(axis=1).to_numpy()
    marked = is_empty & positive, positive
    by_label = is_empty & bleeding, bleeding
    findings = [
        _judged(frame, outside, drawn, f"lie outside the head with more than {OUTSIDE_SHARE:.0%} of their pixels",
                "Check that mask and image are of one series, in one orientation, and that slice indices start at 0."),
        _judged(frame, *marked, "are empty although the slice has a marker, which only a haematoma can have",
                "Draw the mask, or leave the cell `mask` empty: an all-zero mask says that there is no blood."),
        _judged(frame, *by_label, "are empty although a label says that the slice shows blood",
                "Draw it, unless the masks leave out that kind of haemorrhage on purpose.", Severity.WARNING),
    ]  # fmt: skip
    bad = [finding for finding in findings if finding is not None]
    fine = (
        f"{int(drawn.sum())} masks with blood lie in the head; {int((positive | bleeding).sum())} slices with blood by "
        "their labels have some."
    )
    return bad or [Finding("masks", Severity.PASSED, fine)], np.flatnonzero(outside).tolist()


def _judged(
    frame: pd.DataFrame, bad: np.ndarray, among: np.ndarray, what: str, remedy: str, gravest: Severity = Severity.FATAL
) -> Finding | None:
    if not bad.any():
        return None
    severity = gravest if bad.sum() >= FATAL_SHARE * among.sum() else Severity.WARNING
    examples = tuple(frame.loc[bad, ["key", "study_id"]].head(EXAMPLES).to_dict("records"))
    return Finding("masks", severity, f"{int(bad.sum())} of {int(among.sum())} masks {what}.", remedy, examples)
