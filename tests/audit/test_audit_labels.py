# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""An audit of any label of a manifest, and of a manifest without one."""

from __future__ import annotations

import nibabel as nib
import numpy as np
import pytest
from audit_support import Planted, findings

from monai_ich.utils.errors import ConfigurationError

SUBDURAL = "label_subdural"


def test_a_label_is_audited_as_a_marker_is(planted: Planted) -> None:
    _, by_marker = planted.audit()
    planted.frame = planted.frame.assign(**{SUBDURAL: planted.frame["hypodensity"]}).assign(hypodensity=np.nan)
    with pytest.raises(ConfigurationError, match=r"hypodensity is unknown in all .*label_subdural. Choose one of them"):
        planted.audit()
    _, by_label = planted.audit(marker=SUBDURAL)
    assert by_label["hospitals"] == by_marker["hospitals"]
    for check in ("balance", "headers", "power", "canary"):
        (one, other) = ([(f["severity"], f["examples"]) for f in r["findings"] if f["check"] == check]
                        for r in (by_marker, by_label))  # fmt: skip
        assert one == other
        assert one


def test_without_any_label_the_images_are_audited_all_the_same(planted: Planted) -> None:
    labels = ("hypodensity", "margin_irregularity", "blend_sign", "fluid_level")
    planted.frame = planted.frame.assign(**dict.fromkeys(labels, np.nan))
    status, report = planted.audit()
    assert status == 0
    severity = {f["check"]: f["severity"] for f in report["findings"]}
    assert [severity.pop(check) for check in ("balance", "headers", "background", "power")] == ["skipped"] * 4
    assert set(severity.values()) == {"passed"}
    with pytest.raises(ConfigurationError, match="marker 'subdural' is unknown"):
        planted.audit(marker="subdural")


def test_an_empty_mask_beside_a_label_of_blood_is_a_warning(planted: Planted) -> None:
    for mask in set(planted.frame["mask"]) - {""}:
        image = nib.load(planted.data / mask)
        empty = np.zeros(image.shape, np.uint8)
        nib.save(nib.Nifti1Image(empty, image.affine, image.header), planted.data / mask)
    labels = ("margin_irregularity", "blend_sign", "fluid_level")
    planted.frame = planted.frame.assign(**{SUBDURAL: planted.frame["hypodensity"]})
    planted.frame = planted.frame.assign(hypodensity=0, **dict.fromkeys(labels, 0))
    status, report = planted.audit(marker=SUBDURAL)
    (finding,) = findings(report, "masks", "warning")
    assert "a label says that the slice shows blood" in finding["summary"]
    planted.frame = planted.frame.rename(columns={SUBDURAL: "label_fracture"})
    status, report = planted.audit(marker="label_fracture")  # which says nothing of blood
    assert (status, len(findings(report, "masks", "passed"))) == (0, 1)
