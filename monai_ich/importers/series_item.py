# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""One series to import, and the words in which it, a file or a mask of it is refused."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

from pydicom.dataset import Dataset

from monai_ich.importers.item_records import Refusal, refusal, state_of
from monai_ich.importers.mask_files import MaskFiles
from monai_ich.importers.redaction import Identity, Redactor, identity_of
from monai_ich.reading.dicom_frames import open_dicom
from monai_ich.reading.series import GAP_REMEDY
from monai_ich.utils.errors import ImageReadError

GAP_OPTION = "Copy the missing slices, or accept uneven spacing with --allow-gaps."


@dataclass(frozen=True)
class SeriesOptions:
    """How series are taken.

    Attributes:
        dataset_dir: what the manifest's paths are relative to.
        output: folder for the files that the import makes.
        files: "refer" names the source's own files; "link" makes hard links under pseudonyms, "copy" copies.
        allow_gaps: take series whose slices are not evenly spaced.
        mask_labels: names or numbers of the labels of masks that are blood.
        image_values: how the values of the images are to be read, see `ValueRule`.
        instance_of: the name of a slice that labels use, from its file and header.
    """

    dataset_dir: Path
    output: Path
    files: str = "refer"
    allow_gaps: bool = False
    mask_labels: tuple[str, ...] = ()
    image_values: str = ""
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
        parts = (self.patient, self.study, self.hospital, self.options, sorted(map(str, self.masks.pictures)),
                 self.masks.shared)  # fmt: skip
        return self.redactor.pseudonyms.token("state", state_of([*self.paths, *self.masks.all_paths()], *parts))

    @cached_property
    def identity(self) -> Identity:
        """What identifies the patient in any header of the series; read only where something is refused."""
        known = Identity()
        for path in self.paths:
            try:
                known |= identity_of(open_dicom(path, pixels=False))
            except ImageReadError:
                continue  # it has a refusal of its own, which does not show its path
        return known


def refuse_file(item: SeriesItem, path: Path, error: ImageReadError) -> Refusal:
    """A file that cannot be used; when even its header cannot be read any more, its path is not shown."""
    try:
        identity = identity_of(open_dicom(path, pixels=False))
    except ImageReadError:
        return refusal(item.redactor.path(path, None), "can no longer be read", "Check the disk, and import again.")
    shown = item.redactor.path(path, identity)
    return item.redactor.refusal(shown, error, {path: shown}, identity)


def refuse_series(item: SeriesItem, error: ImageReadError) -> Refusal:
    """A series that is no volume."""
    shown = {path: item.redactor.path(path, item.identity) for path in item.paths}
    folder = item.redactor.path(item.paths[0].parent, item.identity) or "."
    entry = item.redactor.refusal(folder, error, shown, item.identity, len(item.paths))
    return replace(entry, remedy=GAP_OPTION) if error.remedy == GAP_REMEDY else entry


def refuse_mask(item: SeriesItem, path: Path, error: ImageReadError) -> Refusal:
    """A mask file; it may be named after the patient too, and may lie outside the source."""
    shown = "mask " + "/".join(item.redactor.shown_parts(path.parts[-2:], item.identity))
    return item.redactor.refusal(shown, error, {path: shown}, item.identity)
