# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Protocols: each is one function that takes a table of slices and returns it with `split` filled in."""

from collections.abc import Callable

import pandas as pd

from monai_ich.data.splits.counts import protocol_counts
from monai_ich.data.splits.hospital import hospital_protocol
from monai_ich.data.splits.kfold import kfold_protocol
from monai_ich.data.splits.outcome import check_patients_apart, shared_patients
from monai_ich.data.splits.paper import paper_protocol
from monai_ich.data.splits.patient import patient_protocol

PROTOCOLS: dict[str, Callable[..., pd.DataFrame]] = {
    "paper": paper_protocol,
    "patient": patient_protocol,
    "hospital": hospital_protocol,
    "kfold": kfold_protocol,
}

__all__ = [
    "PROTOCOLS",
    "check_patients_apart",
    "hospital_protocol",
    "kfold_protocol",
    "paper_protocol",
    "patient_protocol",
    "protocol_counts",
    "shared_patients",
]
