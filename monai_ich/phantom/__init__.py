# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Floor 3: the embedded phantom: seeded head CT volumes with the four markers, written as eleven hospitals would."""

from monai_ich.phantom.ensure import ensure_phantom, phantom_folder
from monai_ich.phantom.gallery import gallery, pair_gallery
from monai_ich.phantom.generate import generate_phantom
from monai_ich.phantom.hospitals import HOSPITALS, TRAINING_HOSPITALS, CaseMix, Hospital
from monai_ich.phantom.patients import PatientTruth, draw_patient
from monai_ich.phantom.render import PhantomPatient, RenderedSlice, make_patient
from monai_ich.phantom.slice_truth import SliceTruth
from monai_ich.phantom.spec import (
    TRANSFER_SYNTAXES,
    CounterfactualPairs,
    IncidentalRates,
    PhantomSpec,
    SpuriousDials,
)
from monai_ich.phantom.spec_options import spec_from_options

__all__ = [
    "HOSPITALS",
    "TRAINING_HOSPITALS",
    "TRANSFER_SYNTAXES",
    "CaseMix",
    "CounterfactualPairs",
    "Hospital",
    "IncidentalRates",
    "PatientTruth",
    "PhantomPatient",
    "PhantomSpec",
    "RenderedSlice",
    "SliceTruth",
    "SpuriousDials",
    "draw_patient",
    "ensure_phantom",
    "gallery",
    "generate_phantom",
    "make_patient",
    "pair_gallery",
    "phantom_folder",
    "spec_from_options",
]
