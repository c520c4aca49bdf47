# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Second pass: reads one series whole, checks it, brings its masks onto its slices, and describes it in rows."""

from __future__ import annotations

import math
import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from pydicom.dataset import Dataset

from monai_ich.importers.balance_sheet import PASSED_OVER, REFUSED, USED
from monai_ich.importers.item_records import DIED, Refusal
from monai_ich.importers.mask_grids import PlacedMasks
from monai_ich.importers.redaction import identity_of
from monai_ich.importers.series_attributes import attributes_of_series
from monai_ich.importers.series_item import SeriesItem, refuse_file, refuse_series
from monai_ich.importers.series_masks import masks_of_series, write_masks
from monai_ich.importers.series_slices import Slice, read_slice_file, series_order
from monai_ich.reading.acquisition_notes import acquisition_notes, contrast_of, lossy_of
from monai_ich.reading.hounsfield import ValueCheck, ValueRule
from monai_ich.utils.errors import ImageReadError
from monai_ich.utils.files import replaced

# What series.csv says in column mask_grid of masks that took the nearest voxel of another grid.
RESAMPLED = "resampled"


def read_series_item(item: SeriesItem) -> dict[str, Any]:
    """Reads a series; whatever cannot be used is refused, with its reason.

    Returns:
        `rows`: one a slice from foot to head, with image, image_slice, mask, mask_slice (paths relative to the
        data set's folder), `instance` (a token), `shape`, and `blood` (1, 0, None without a mask); `header`: what the
        scanner was, and whether masks were resampled, nothing of the patient; `attributes`: the manifest's columns of
        it; `refused`; `notes`; `files`: fate -> places in the item's paths; `masks`: fate -> places among its mask
        files; `unfit`: refusals of masks by place that are not of this series, with their place as `mask`. A row's
        `file` is the place of its file.
    """
    refused: list[Refusal] = []
    check = ValueCheck()
    slices, first = _readable_slices(item, refused, check)
    empty: dict[str, Any] = {"rows": [], "header": {}, "notes": [], "masks": {}, "unfit": []}
    empty["files"] = {REFUSED: list(range(len(item.paths)))}
    if not slices:
        return {**empty, "refused": [entry.as_dict() for entry in refused]}
    try:
        ordered, notes = series_order(slices, item.options.allow_gaps)
        if ValueRule.parse(item.options.image_values).is_checked:
            check.refuse(None)
    except ImageReadError as error:
        refused.append(refuse_series(item, error))
        return {**empty, "refused": [entry.as_dict() for entry in refused]}
    placed, fates = masks_of_series(item, ordered, refused)
    masks = placed.masks
    place = {path: number for number, path in enumerate(item.paths)}
    mask_place = {path: number for number, path in enumerate(item.masks.all_paths())}
    used, read = ({place[one.frame.path] for one in group} for group in (ordered, slices))
    mask_cells = write_masks(item, ordered, masks)
    rows = [
        {
            **dict(zip(("image", "image_slice"), _image_cells(item, one, number), strict=True)),
            **dict(zip(("mask", "mask_slice"), mask_cells[number], strict=True)),
            "instance": one.instance,
            "file": place[one.frame.path],
            "shape": one.frame.shape_rc,
            "blood": None if (mask := masks[number]) is None else int(mask.any()),
        }
        for number, one in enumerate(ordered)
    ]
    header = {**_header(first, ordered), "mask_grid": _mask_grid(placed)}
    notes = [*notes, *placed.notes, *acquisition_notes([one.frame.acquisition for one in ordered])]
    return {
        "rows": rows,
        "header": header,
        "attributes": attributes_of_series(header, identity_of(first)),
        "notes": notes,
        "refused": [entry.as_dict() for entry in refused],
        "files": {
            USED: sorted(used),
            REFUSED: sorted(set(place.values()) - read),
            PASSED_OVER: sorted(read - used),
        },
        "masks": {
            USED: [mask_place[path] for path in fates.used],
            REFUSED: [mask_place[path] for path in fates.refused],
        },
        "unfit": [{"mask": mask_place[path], **entry.as_dict()} for path, entry in fates.unfit],
    }


def died_with_series(item: SeriesItem) -> dict[str, Any]:
    """The result of a series that killed the process which read it; its headers were read before, and do no harm."""
    entry = refuse_series(item, ImageReadError(None, *DIED))
    return {
        **{"rows": [], "header": {}, "notes": [], "masks": {}, "unfit": [], "attributes": {}},
        "files": {REFUSED: list(range(len(item.paths)))},
        "refused": [entry.as_dict()],
    }


def _readable_slices(item: SeriesItem, refused: list[Refusal], check: ValueCheck) -> tuple[list[Slice], Dataset]:
    """Every frame that decodes, its values seen by `check`; a file that does not is refused by itself."""
    offset_hu = ValueRule.parse(item.options.image_values).offset_hu
    slices: list[Slice] = []
    first = Dataset()
    for path in item.paths:
        try:
            dataset, frames = read_slice_file(path, offset_hu, check)
        except ImageReadError as error:
            refused.append(refuse_file(item, path, error))
            continue
        if not slices:
            first = dataset
        token = item.redactor.pseudonyms.token("instance", item.options.instance_of(dataset, path))
        sop = str(dataset.get("SOPInstanceUID") or "")
        multi = int(dataset.get("NumberOfFrames") or 1) > 1
        reference = str(dataset.get("FrameOfReferenceUID") or "")
        slices.extend(Slice(frame, token, sop, multi, reference) for frame in frames)
    return slices, first


def _image_cells(item: SeriesItem, one: Slice, number: int) -> tuple[str, int | None]:
    """The cells `image` and `image_slice`; files are linked or copied first where they get names of their own."""
    frame, options = one.frame, item.options
    index = frame.number if one.is_multi_frame else None
    path = frame.path
    if options.files != "refer":
        path = options.output / "images" / item.study / item.series / f"{number + 1:04d}.dcm"
        if one.is_multi_frame:  # one file for all frames
            path = path.with_name("frames.dcm")
        _place(frame.path, path, options.files)
    return path.relative_to(options.dataset_dir).as_posix(), index


def _place(source: Path, target: Path, files: str) -> None:
    """Links or copies a file; what stands there from an interrupted import is replaced."""
    if target.exists() and target.samefile(source):
        return
    with replaced(target) as partial:
        (os.link if files == "link" else shutil.copyfile)(source, partial)


def _header(first: Dataset, ordered: Sequence[Slice]) -> dict[str, Any]:
    """What the scanner was and how it was set; nothing of the patient, no dates, no free text."""
    frame = ordered[0].frame
    normal = np.abs(frame.normal)
    return {
        "slices": len(ordered),
        "rows": frame.shape_rc[0],
        "columns": frame.shape_rc[1],
        "manufacturer": str(first.get("Manufacturer") or ""),
        "model": str(first.get("ManufacturerModelName") or ""),
        "kernel": str(first.get("ConvolutionKernel") or ""),
        "kvp": str(first.get("KVP") or ""),
        "pixel_spacing_mm": round(frame.spacing_mm_rc[0], 4),
        "slice_thickness_mm": _known(frame.thickness_mm),
        "slice_step_mm": _known(_step_mm(ordered)),
        "tilt_deg": round(float(np.degrees(np.arccos(np.clip(normal[2], 0, 1)))), 2),
        "contrast": "yes" if any(one.frame.acquisition.contrast for one in ordered) else contrast_of(first),
        "lossy": "yes" if any(one.frame.acquisition.lossy for one in ordered) else lossy_of(first),
    }


def _known(length_mm: float) -> float | str:
    """A length for the report, or "" where it is unknown."""
    return "" if math.isnan(length_mm) else round(length_mm, 4)


def _mask_grid(placed: PlacedMasks) -> str:
    """ "own" when the masks have the slices' own pixels, "resampled" when they had another grid, "" without masks."""
    if all(mask is None for mask in placed.masks):
        return ""
    return RESAMPLED if placed.is_resampled else "own"


def _step_mm(ordered: Sequence[Slice]) -> float:
    if len(ordered) < 2:
        return ordered[0].frame.thickness_mm
    normal = ordered[0].frame.normal
    return float(np.median(np.abs(np.diff([float(one.frame.position_lps_mm @ normal) for one in ordered]))))
