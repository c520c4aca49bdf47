# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""The masks of one series: read from whatever files it has, and written anew on its own grid."""

from __future__ import annotations

import gzip
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import nibabel as nib
import numpy as np

from monai_ich.importers.item_records import Refusal
from monai_ich.importers.mask_grids import Masks, PlacedMasks, mask_of_picture
from monai_ich.importers.mask_segmentations import masks_of_segmentation
from monai_ich.importers.mask_volumes import masks_of_volume
from monai_ich.importers.series_item import SeriesItem, refuse_mask
from monai_ich.importers.series_slices import Slice
from monai_ich.reading.slice_reading import frames_affine
from monai_ich.utils.errors import ImageReadError
from monai_ich.utils.files import replace_file


@dataclass
class MaskFates:
    """What became of the mask files of one series; a file in none of the lists was not needed.

    Attributes:
        used, refused: the files.
        unfit: files that name no series, with why they are not of this one; they may be of another.
    """

    used: list[Path] = field(default_factory=list)
    refused: list[Path] = field(default_factory=list)
    unfit: list[tuple[Path, Refusal]] = field(default_factory=list)


def masks_of_series(
    item: SeriesItem, ordered: Sequence[Slice], refused: list[Refusal]
) -> tuple[PlacedMasks, MaskFates]:
    """The masks of the slices; where several files lie on the series' own pixels, or else near them, none is taken."""
    frames = [one.frame for one in ordered]
    fates = MaskFates()

    def refuse(path: Path, error: ImageReadError) -> None:
        refused.append(refuse_mask(item, path, error))
        fates.refused.append(path)

    found: list[tuple[Path, PlacedMasks]] = []
    for path, read in _mask_readers(item, ordered):
        try:
            found.append((path, read()))
        except ImageReadError as error:
            if path in item.masks.by_place:
                fates.unfit.append((path, refuse_mask(item, path, error)))
            else:
                refuse(path, error)
    # what has to be resampled here was drawn on another series of the study
    found = [(path, placed) for path, placed in found if not placed.is_resampled] or found
    if len(found) > 1:
        for path, _ in found:
            several = f"{len(found)} mask files lie on this series"
            refuse(path, ImageReadError(path, several, "Keep the one that is to be learned from."))
        found = []
    placed = found[0][1] if found else PlacedMasks([None] * len(frames))
    fates.used += [path for path, _ in found]
    masks = placed.masks
    for number, frame in enumerate(frames):
        picture = item.masks.pictures.get(frame.path)
        if picture is None or masks[number] is not None:
            continue
        try:
            masks[number] = mask_of_picture(picture, frame, item.options.mask_labels)
            fates.used.append(picture)
        except ImageReadError as error:
            refuse(picture, error)
    return placed, fates


def _mask_readers(item: SeriesItem, ordered: Sequence[Slice]) -> Iterator[tuple[Path, Callable[[], PlacedMasks]]]:
    frames, chosen = [one.frame for one in ordered], item.options.mask_labels
    for path in item.masks.volumes:
        shared = path in item.masks.shared
        yield path, lambda path=path, shared=shared: masks_of_volume(path, frames, shared, chosen)  # type: ignore[misc]
    for path in (*item.masks.segmentations, *item.masks.by_place):
        yield path, lambda path=path: masks_of_segmentation(path, ordered, chosen)  # type: ignore[misc]


def write_masks(item: SeriesItem, ordered: Sequence[Slice], masks: Masks) -> list[tuple[str, int | None]]:
    """Writes the masks as NIfTI on the series' own grid; returns the cells `mask` and `mask_slice` of each slice.

    One volume holds an evenly spaced series. An uneven one has no affine that is right for every slice, so each slice
    gets a file.
    """
    cells: list[tuple[str, int | None]] = [("", None)] * len(ordered)
    if all(mask is None for mask in masks):
        return cells
    frames = [one.frame for one in ordered]
    affine, uneven = frames_affine(frames)
    folder = item.options.output / "masks" / item.study
    if not uneven:
        path = folder / f"{item.series}.nii.gz"
        empty = np.zeros(frames[0].shape_rc, np.uint8)
        _write_nifti(path, np.stack([empty if mask is None else mask for mask in masks]), affine)
        inside = path.relative_to(item.options.dataset_dir).as_posix()
        return [("", None) if mask is None else (inside, number) for number, mask in enumerate(masks)]
    for number, (mask, frame) in enumerate(zip(masks, frames, strict=True)):
        if mask is not None:
            path = folder / item.series / f"{number + 1:04d}.nii.gz"
            _write_nifti(path, mask[None], frames_affine([frame])[0])
            cells[number] = (path.relative_to(item.options.dataset_dir).as_posix(), 0)
    return cells


def _write_nifti(path: Path, masks: np.ndarray, affine: np.ndarray) -> None:
    """(N, rows, columns) as stored in DICOM -> a NIfTI file with axes (column, row, slice)."""
    image = nib.Nifti1Image(np.ascontiguousarray(masks.transpose(2, 1, 0)), affine)
    image.set_sform(affine, code=1)
    image.set_qform(affine, code=0)  # a sheared stack (tilted gantry) has no exact qform, so none is claimed
    image.header.set_xyzt_units("mm")
    replace_file(path, gzip.compress(image.to_bytes(), compresslevel=3, mtime=0))
