# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""The embedded phantom: seeded, volumetric head CTs with the four markers, written as eleven hospitals would."""

from monai_ich.data.phantom.gallery import gallery
from monai_ich.data.phantom.generate import generate_phantom
from monai_ich.data.phantom.hospitals import HOSPITALS, TRAINING_HOSPITALS, CaseMix, Hospital
from monai_ich.data.phantom.labels import SliceTruth
from monai_ich.data.phantom.patients import PatientTruth, draw_patient
from monai_ich.data.phantom.render import PhantomPatient, RenderedSlice, make_patient
from monai_ich.data.phantom.spec import TRANSFER_SYNTAXES, PhantomSpec, SpuriousDials

__all__ = [
    "HOSPITALS",
    "TRAINING_HOSPITALS",
    "TRANSFER_SYNTAXES",
    "CaseMix",
    "Hospital",
    "PatientTruth",
    "PhantomPatient",
    "PhantomSpec",
    "RenderedSlice",
    "SliceTruth",
    "SpuriousDials",
    "draw_patient",
    "gallery",
    "generate_phantom",
    "make_patient",
]
