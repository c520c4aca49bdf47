# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Second pass: reads one series whole, checks it, brings its masks onto its slices, and describes it in rows."""

from __future__ import annotations

import gzip
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from pydicom.dataset import Dataset

from monai_ich.importers.mask_files import MaskFiles
from monai_ich.importers.mask_grids import Masks, mask_of_picture, masks_of_segmentation, masks_of_volume
from monai_ich.importers.progress import Refusal, refusal, state_of
from monai_ich.importers.redaction import Identity, Redactor, identity_of
from monai_ich.importers.series_slices import Slice, read_slice_files, series_order
from monai_ich.transforms.dicom_frames import open_dicom
from monai_ich.transforms.reading import frames_affine
from monai_ich.utils.errors import ImageReadError
from monai_ich.utils.files import replace_file

GAP_REMEDY = "Copy the missing slices, or accept uneven spacing with --allow-gaps."


@dataclass(frozen=True)
class SeriesOptions:
    """How series are taken.

    Attributes:
        dataset_dir: what the manifest's paths are relative to.
        output: folder for the files that the import makes.
        files: "refer" names the source's own files; "link" makes hard links under pseudonyms, "copy" copies.
        allow_gaps: take series whose slices are not evenly spaced.
        segment: Segment Label of the DICOM SEGs.
        instance_of: the name of a slice that labels use, from its file and header.
    """

    dataset_dir: Path
    output: Path
    files: str = "refer"
    allow_gaps: bool = False
    segment: str = ""
    instance_of: Callable[[Dataset, Path], str] = field(
        default=lambda dataset, _: str(dataset.get("SOPInstanceUID") or ""), repr=False
    )


@dataclass(frozen=True)
class SeriesItem:
    """One series: its files, and tokens in place of names."""

    redactor: Redactor
    paths: tuple[Path, ...]
    patient: str
    study: str
    series: str
    hospital: str
    masks: MaskFiles
    options: SeriesOptions

    @cached_property
    def name(self) -> str:
        return self.series

    @cached_property
    def state(self) -> str:
        parts = (self.patient, self.study, self.hospital, self.options, sorted(map(str, self.masks.pictures)))
        return self.redactor.pseudonyms.token("state", state_of([*self.paths, *self.masks.all_paths()], *parts))


def read_series_item(item: SeriesItem) -> dict[str, Any]:
    """Reads a series; whatever cannot be used is refused, with its reason.

    Returns:
        `rows`: one a slice from foot to head, with image, image_slice, mask, mask_slice (paths relative to the
        data set's folder), `instance` (a token), `shape`, and `blood` (1, 0, None without a mask); `header`: what the
        scanner was, nothing of the patient; `refused`; `notes`.
    """
    refused: list[Refusal] = []
    slices, identity, first = _readable_slices(item, refused)
    empty: dict[str, Any] = {"rows": [], "header": {}, "notes": []}
    if not slices:
        return {**empty, "refused": [entry.as_dict() for entry in refused]}
    try:
        ordered, notes = series_order(slices, item.options.allow_gaps)
    except ImageReadError as error:
        refused.append(_series_refusal(item, error, identity))
        return {**empty, "refused": [entry.as_dict() for entry in refused]}
    masks = _masks(item, ordered, identity, refused)
    mask_cells = _write_masks(item, ordered, masks)
    rows = [
        {
            **dict(zip(("image", "image_slice"), _image_cells(item, one, number), strict=True)),
            **dict(zip(("mask", "mask_slice"), mask_cells[number], strict=True)),
            "instance": one.instance,
            "shape": one.frame.shape_rc,
            "blood": None if (mask := masks[number]) is None else int(mask.any()),
        }
        for number, one in enumerate(ordered)
    ]
    header = _header(first, ordered)
    return {"rows": rows, "header": header, "notes": notes, "refused": [entry.as_dict() for entry in refused]}


def _readable_slices(item: SeriesItem, refused: list[Refusal]) -> tuple[list[Slice], Identity, Dataset]:
    """Every frame that decodes; a file that does not is refused by itself."""
    slices: list[Slice] = []
    identity, first = Identity(), Dataset()
    for path in item.paths:
        try:
            dataset, found = read_slice_files(path)
        except ImageReadError as error:
            refused.append(_file_refusal(item, path, error))
            continue
        if not slices:
            first = dataset
        identity |= identity_of(dataset)
        token = item.redactor.pseudonyms.token("instance", item.options.instance_of(dataset, path))
        sop = str(dataset.get("SOPInstanceUID") or "")
        multi = int(dataset.get("NumberOfFrames") or 1) > 1
        slices.extend(Slice(frame, token, sop, digest, multi) for frame, digest in found)
    return slices, identity, first


def _file_refusal(item: SeriesItem, path: Path, error: ImageReadError) -> Refusal:
    """The header was readable when the tree was scanned; should it not be now, the path is not shown."""
    try:
        identity = identity_of(open_dicom(path, pixels=False))
    except ImageReadError:
        return refusal(item.redactor.path(path, None), "can no longer be read. Check the disk, and import again.")
    shown = item.redactor.path(path, identity)
    return refusal(shown, item.redactor.message(str(error), {path: shown}, identity))


def _series_refusal(item: SeriesItem, error: ImageReadError, identity: Identity) -> Refusal:
    shown = {path: item.redactor.path(path, identity) for path in item.paths}
    text = item.redactor.message(str(error), shown, identity)
    folder = item.redactor.path(item.paths[0].parent, identity) or "."
    entry = refusal(folder, text, len(item.paths))
    return replace(entry, remedy=GAP_REMEDY) if "allow_gaps" in entry.remedy else entry


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
    target.parent.mkdir(parents=True, exist_ok=True)
    draft = target.with_name(f".{target.name}.{os.getpid()}")
    draft.unlink(missing_ok=True)
    if files == "link":
        os.link(source, draft)
    else:
        shutil.copyfile(source, draft)
    draft.replace(target)


def _masks(item: SeriesItem, ordered: Sequence[Slice], identity: Identity, refused: list[Refusal]) -> Masks:
    """The masks of the slices; files that contradict each other are all refused."""
    frames = [one.frame for one in ordered]
    found: list[tuple[Path, Masks]] = []
    for path, read in _mask_readers(item, ordered):
        try:
            found.append((path, read()))
        except ImageReadError as error:
            refused.append(_mask_refusal(item, path, str(error), identity))
    if len(found) > 1:
        for path, _ in found:
            message = f"{len(found)} mask files lie on this series. Keep the one that is to be learned from."
            refused.append(_mask_refusal(item, path, message, identity))
        found = []
    masks: Masks = found[0][1] if found else [None] * len(frames)
    for number, frame in enumerate(frames):
        picture = item.masks.pictures.get(frame.path)
        if picture is None or masks[number] is not None:
            continue
        try:
            masks[number] = mask_of_picture(picture, frame)
        except ImageReadError as error:
            refused.append(_mask_refusal(item, picture, str(error), identity))
    return masks


def _mask_readers(item: SeriesItem, ordered: Sequence[Slice]) -> Iterator[tuple[Path, Callable[[], Masks]]]:
    frames = [one.frame for one in ordered]
    for path in item.masks.volumes:
        yield path, lambda path=path: masks_of_volume(path, frames)  # type: ignore[misc]
    uids = [one.uid for one in ordered]
    for path in item.masks.segmentations:
        yield path, lambda path=path: masks_of_segmentation(path, frames, uids, item.options.segment)  # type: ignore[misc]


def _mask_refusal(item: SeriesItem, path: Path, message: str, identity: Identity) -> Refusal:
    """Mask files may be named after the patient too, and may lie outside the source."""
    parts = [f"[{item.redactor.pseudonyms.token('path', p)}]" if identity.is_in(p) else p for p in path.parts[-2:]]
    shown = "mask " + "/".join(parts)
    return refusal(shown, item.redactor.message(message, {path: shown}, identity))


def _write_masks(item: SeriesItem, ordered: Sequence[Slice], masks: Masks) -> list[tuple[str, int | None]]:
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
        "slice_thickness_mm": round(frame.thickness_mm, 4),
        "slice_step_mm": round(_step_mm(ordered), 4),
        "tilt_deg": round(float(np.degrees(np.arccos(np.clip(normal[2], 0, 1)))), 2),
    }


def _step_mm(ordered: Sequence[Slice]) -> float:
    if len(ordered) < 2:
        return ordered[0].frame.thickness_mm
    normal = ordered[0].frame.normal
    return float(np.median(np.abs(np.diff([float(one.frame.position_lps_mm @ normal) for one in ordered]))))
