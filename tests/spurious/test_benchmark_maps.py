# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""The summary of heat maps over networks, against figures worked out by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd

from monai_ich.spurious.benchmark_maps import maps_summary


def test_the_summary_counts_pairs_and_ranks_networks() -> None:
    line = {"method": "hirescam", "layer": "a", "pairs": 10, "clot_uniform": 0.02, "cause_uniform": 0.1}
    networks = pd.DataFrame(
        [
            line
            | {"ace": 0.4, "empty_maps": 1, "clot_energy": 0.1, "cause_energy": 0.3, "moved": 9}
            | {"false_acquittals": 1 / 3},
            line
            | {"ace": -0.2, "empty_maps": 0, "clot_energy": 0.2, "cause_energy": 0.2, "moved": 3}
            | {"false_acquittals": 1.0},
            line
            | {"ace": 0.0, "empty_maps": 2, "clot_energy": 0.3, "cause_energy": 0.1, "moved": 0}
            | {"false_acquittals": np.nan},
        ]
    )
    opposite = networks.assign(method="gradcam", cause_energy=[0.1, 0.2, 0.3])
    summary = maps_summary(pd.concat([networks, opposite])).set_index("method")
    found = summary.loc["hirescam"]
    assert found["networks"] == 3
    assert found["moved"] == 12
    np.testing.assert_allclose(
        found[["empty_maps", "clot_energy", "cause_energy", "cause_uniform", "false_acquittals"]].astype(float),
        [0.1, 0.2, 0.2, 0.1, 6 / 12],
    )
    assert found["rank_correlation"] == 1  # by the size of the effect: .4, .2, 0
    assert summary.loc["gradcam", "rank_correlation"] == -1


def test_without_a_pair_that_depends_there_is_nothing_to_acquit() -> None:
    network = {"method": "hirescam", "layer": "a", "pairs": 4, "empty_maps": 0, "moved": 0, "false_acquittals": np.nan}
    energies = {"ace": 0.0, "clot_energy": 0.1, "clot_uniform": 0.1, "cause_energy": 0.1, "cause_uniform": 0.1}
    found = maps_summary(pd.DataFrame([network | energies])).iloc[0]
    assert np.isnan(found["false_acquittals"])
    assert np.isnan(found["rank_correlation"])  # one network has no order
