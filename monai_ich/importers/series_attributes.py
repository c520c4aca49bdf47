# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""How a series was acquired, as attributes of its slices in the manifest: technical values alone."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from pydicom.dataset import Dataset
from pydicom.uid import JPEGBaseline8Bit, JPEGExtended12Bit, JPEGLSNearLossless

from monai_ich.importers.redaction import Identity
from monai_ich.utils.keys import ATTRIBUTE

# the manifest's column, and where the report of series, series.csv, has it
SERIES_ATTRIBUTES = {
    f"{ATTRIBUTE}scanner": "model",
    f"{ATTRIBUTE}kernel": "kernel",
    f"{ATTRIBUTE}slice_thickness_mm": "slice_thickness_mm",
    f"{ATTRIBUTE}contrast": "contrast",
    f"{ATTRIBUTE}lossy": "lossy",
}
_LOSSY_SYNTAXES = (JPEGBaseline8Bit, JPEGExtended12Bit, JPEGLSNearLossless)
_LONGEST = 64  # characters, as DICOM allows for a model's name


def contrast_of(dataset: Dataset) -> str:
    """Whether a contrast agent is stated: "yes", "no", or "" where the header says nothing. Its name is not kept."""
    agent = str(dataset.get("ContrastBolusAgent") or "").strip().lower()
    return "" if not agent else "no" if agent in ("no", "none", "n") else "yes"


def lossy_of(dataset: Dataset) -> str:
    """Whether pixels were ever compressed with loss: "yes", "no", or "" where the header says nothing."""
    syntax = getattr(getattr(dataset, "file_meta", None), "TransferSyntaxUID", None)
    stated = {"00": "no", "01": "yes"}.get(str(dataset.get("LossyImageCompression") or ""), "")
    return "yes" if syntax in _LOSSY_SYNTAXES else stated


def attributes_of_series(header: Mapping[str, Any], identity: Identity) -> dict[str, str]:
    """The manifest's attributes of a series, "" where unknown.

    Args:
        header: of the series, as series.csv has it.
        identity: the patient; a value that mentions the patient is left out.
    """
    cells = {column: _technical(header.get(name, "")) for column, name in SERIES_ATTRIBUTES.items()}
    return {column: "" if identity.is_in(text) else text for column, text in cells.items()}


def _technical(value: object) -> str:
    """A value as a short text of letters, digits and the signs that names of kernels and scanners have."""
    text = f"{value:g}" if isinstance(value, float) else str(value)
    text = re.sub(r"\s+", " ", re.sub(r"[^\w .+/()-]", " ", text, flags=re.ASCII)).strip()
    return text if len(text) <= _LONGEST else ""
