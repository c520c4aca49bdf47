# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Every label of a manifest is a marker to split by; one that nobody filled in is refused with those that are known."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from manifest_cases import make, table
from split_cases import cohort

from monai_ich.data import read_manifest
from monai_ich.data.manifest_labels import known_labels
from monai_ich.data.splits import PROTOCOLS, protocol_counts
from monai_ich.utils.errors import ManifestError
from monai_ich.utils.keys import haemorrhage_labels

SETTINGS = {"hospital": {"held_out": ["5"]}}


@pytest.mark.parametrize("name", PROTOCOLS)
def test_a_protocol_treats_every_label_alike(name: str) -> None:
    frame = cohort()
    by_marker = PROTOCOLS[name](frame, **SETTINGS.get(name, {}))
    renamed = frame.rename(columns={"hypodensity": "label_subdural"}).assign(hypodensity=np.nan)
    by_label = PROTOCOLS[name](renamed, marker="label_subdural", **SETTINGS.get(name, {}))
    pd.testing.assert_series_equal(by_label["split"], by_marker["split"])
    assert protocol_counts(by_label)["train"]["positives"] == {
        "hypodensity": 0,
        "blend_sign": 0,
        "label_subdural": protocol_counts(by_marker)["train"]["positives"]["hypodensity"],
    }


@pytest.mark.parametrize("name", PROTOCOLS)
def test_a_protocol_names_the_labels_that_are_known(name: str) -> None:
    frame = cohort(2).rename(columns={"hypodensity": "label_subdural"}).assign(hypodensity="", blend_sign=np.nan)
    said = f"hypodensity is unknown in all {len(frame)} rows; known in some are label_subdural. Choose one of them"
    with pytest.raises(ManifestError, match=re.escape(said)):
        PROTOCOLS[name](frame, **SETTINGS.get(name, {}))
    with pytest.raises(ManifestError, match=r"the labels of the table are .*label_subdural. Did you mean 'label_sub"):
        PROTOCOLS[name](frame, marker="label_subdurall", **SETTINGS.get(name, {}))
    with pytest.raises(ManifestError, match=r"and so is every other label. Fill in one of them"):
        PROTOCOLS[name](frame.assign(label_subdural=np.nan), **SETTINGS.get(name, {}))


def test_a_label_that_nobody_filled_in_cannot_be_learned(tmp_path: Path) -> None:
    frame = table().assign(label_subdural=table()["hypodensity"], hypodensity=None)
    path = make(tmp_path, frame)
    with pytest.raises(ManifestError) as caught:
        read_manifest(path)
    assert "hypodensity is unknown in all 8 rows; known in some are blend_sign, fluid_level, label_subdural." in str(
        caught.value
    )
    assert "AUC needs both" not in str(caught.value)  # said once, not again for each split
    with pytest.raises(ManifestError, match="hypodensity is unknown in all 8 rows"):
        read_manifest(path, markers=("hypodensity", "label_subdural"))
    read_manifest(path, markers=("hypodensity", "label_subdural"), required_splits=())  # to be tested on, not learned
    assert known_labels(read_manifest(path, markers=("label_subdural",)).frame) == [
        "blend_sign",
        "fluid_level",
        "label_subdural",
    ]


def test_labels_of_blood() -> None:
    columns = ["key", "label_mass_effect", "label_any_haemorrhage", "blend_sign", "label_epidural"]
    assert haemorrhage_labels(columns) == ["blend_sign", "label_any_haemorrhage", "label_epidural"]
