# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Segmentations of 3D Slicer (.seg.nrrd, and every NRRD that names segments): which voxels are blood."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from monai_ich.importers.mask_labels import Segment, choose_segments, counts_in_words, label_counts
from monai_ich.reading.volumes import read_layers
from monai_ich.reading.voxel_files import nrrd_pairs
from monai_ich.utils.errors import ImageReadError

_SUFFIXES = (".nrrd", ".nhdr")
_FIELD = re.compile(r"Segment(\d{1,4})_(\w+)")
_REMEDY = "Save the segmentation again with 3D Slicer."


@dataclass(frozen=True)
class _Place:
    """Where a segment's voxels are: those of one value in one layer."""

    name: str
    layer: int
    value: int


def names_segments(path: Path) -> bool:
    """Whether a file is an NRRD with fields of segments (`Segment0_Name:=haematoma`).

    Raises:
        ImageReadError: its header does not end.
    """
    return path.suffix.lower() in _SUFFIXES and any(_FIELD.fullmatch(key) for key in nrrd_pairs(path))


def blood_of_segments(path: Path, chosen: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """uint8 (A,B,C), 1 in the segments that are blood, and the (4,4) affine to RAS mm.

    Source: the fields `SegmentN_Name`, `SegmentN_LabelValue`, `SegmentN_Layer` of 3D Slicer. Before layers were
    shared, each segment had a layer of its own, the value 1, and neither of the last two fields.

    Args:
        path: the file; one value a voxel, or a layer first (kind `list`).
        chosen: names or label values of the segments that are blood; empty when the file has but one.

    Raises:
        ImageReadError: it cannot be read, is fractional, has values that no segment has, or several segments and no
            choice.
    """
    pairs = nrrd_pairs(path)
    layers, affine = read_layers(path)
    kind = pairs.get("Segmentation_MasterRepresentation", pairs.get("Segmentation_SourceRepresentation", ""))
    if "fractional" in kind.lower():
        raise ImageReadError(path, f"holds probabilities ({kind!r}), no labels", "Threshold the segments first.")
    places = _places(pairs, layers, path)
    counts = [label_counts(layer) for layer in layers]
    _refuse_strange(places, counts, path)
    found = [(counts[place.layer] or {}).get(place.value, 0) for place in places]
    segments = [Segment(place.name, place.value, count) for place, count in zip(places, found, strict=True)]
    blood = np.zeros(layers.shape[1:], bool)
    for number in choose_segments(segments, chosen, path):
        blood |= layers[places[number].layer] == places[number].value
    return np.ascontiguousarray(blood).view(np.uint8), affine


def _places(pairs: Mapping[str, str], layers: np.ndarray, path: Path) -> list[_Place]:
    """Raises ImageReadError with every segment whose voxels cannot be told."""
    fields: dict[int, dict[str, str]] = {}
    for key, text in pairs.items():
        if field := _FIELD.fullmatch(key):
            fields.setdefault(int(field[1]), {})[field[2]] = text
    shares_layers = any("Layer" in of_one or "LabelValue" in of_one for of_one in fields.values())
    places, faults = [], []
    for number, of_one in sorted(fields.items()):
        name = of_one.get("Name") or of_one.get("ID") or f"segment {number}"
        own = "0" if shares_layers or len(layers) == 1 else str(number)
        layer, value = of_one.get("Layer", own), of_one.get("LabelValue", "1" if own != "0" or len(fields) == 1 else "")
        if not shares_layers and len(layers) > 1:
            value = "1"
        if not (_is_number(layer) and _is_number(value) and int(layer) < len(layers) and int(value) > 0):
            faults.append(f"{name!r} has layer {layer!r} and label value {value!r}")
        else:
            places.append(_Place(name, int(layer), int(value)))
    if faults:
        raise ImageReadError(
            path,
            f"has {len(layers)} layers, and segments that are in none of them: {'; '.join(faults[:6])}; expected a "
            f"layer below {len(layers)} and a value above 0",
            _REMEDY,
        )
    return places


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 10


def _refuse_strange(places: Sequence[_Place], counts: Sequence[dict[int, int] | None], path: Path) -> None:
    """Raises ImageReadError when voxels have a value that no segment of their layer has."""
    for layer, of_layer in enumerate(counts):
        if of_layer is None:
            raise ImageReadError(path, f"layer {layer} holds values that are no labels", _REMEDY)
        known = {place.value for place in places if place.layer == layer}
        strange = {value: count for value, count in of_layer.items() if value not in known}
        if strange:
            fault = f"holds labels that none of its segments has: {counts_in_words(strange)}"
            raise ImageReadError(path, f"{fault}, in layer {layer}", _REMEDY)
