# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""How a series was acquired, as attributes of its slices in the manifest: technical values alone."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

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
_LONGEST = 64  # characters, as DICOM allows for a model's name


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
