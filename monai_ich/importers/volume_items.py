# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Volumes of a public data set: each read whole with its mask, as training will, and described slice by slice."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np

from monai_ich.importers.assembly import PROGRESS_FOLDER, Card, ImportedSlices, ImportResult, finish
from monai_ich.importers.balance_sheet import REFUSED, USED, Balance
from monai_ich.importers.item_records import DIED, Records, Refusal, do_items, refusal, refuse_odd_name, state_of
from monai_ich.importers.pseudonyms import PublishedNames
from monai_ich.importers.redaction import Redactor
from monai_ich.reading import read_slices
from monai_ich.reading.file_tree import files_in
from monai_ich.reading.geometry import find_reorientation, volume_shape
from monai_ich.reading.volumes import read_volume
from monai_ich.transforms import LoadSlicesd
from monai_ich.utils.errors import ConfigurationError, ImageReadError
from monai_ich.utils.keys import ANY_HAEMORRHAGE, IMAGE_VALUES, MASK_LABELS


@dataclass(frozen=True)
class PublicRequest:
    """What every import of a public set is told.

    Attributes:
        source: the data set's folder, as unpacked.
        manifest: the CSV to write.
        output: folder for reports, progress, and what has to be converted.
        workers: processes; None takes one for each available core.
        image_values: how the values of the images are to be read, see `ValueRule`.
    """

    source: Path
    manifest: Path
    output: Path
    workers: int | None = None
    image_values: str = ""

    def refuse_without_source(self, expected: Path) -> None:
        """Raises ConfigurationError where `expected`, a part of the set's layout, is not there."""
        if not expected.exists():
            raise ConfigurationError(
                f"{expected} does not exist, so {self.source} is not this data set as it is published. Name the folder "
                "that holds what the archive unpacks to."
            )


@dataclass(frozen=True)
class VolumeItem:
    """One volume.

    Attributes:
        root: what paths in the manifest are relative to.
        patient: the set's own name of the patient, whose one study this is.
        mask_labels: value in the mask -> label of the slices that hold it; any value above 0 is any haemorrhage.
        slice_labels: slice number from 0 -> its labels.
        made_from: files that the volume is converted from, where it is not published as one.
        image_values: how its values are to be read, see `ValueRule`.
    """

    root: Path
    image: Path
    mask: Path | None
    patient: str
    mask_labels: Mapping[int, str] = field(default_factory=dict)
    slice_labels: Mapping[int, Mapping[str, int]] = field(default_factory=dict)
    made_from: tuple[Path, ...] = ()
    image_values: str = ""

    @property
    def published(self) -> dict[str, list[Path]]:
        """Kind, in the plural -> the set's own files of this volume."""
        if self.made_from:
            return {"pictures of slices and masks": list(self.made_from)}
        return {"volumes": [self.image], "masks": [] if self.mask is None else [self.mask]}

    @cached_property
    def name(self) -> str:
        return PublishedNames().token("volume", self.patient)

    @cached_property
    def state(self) -> str:
        published = [self.image] if self.mask is None else [self.image, self.mask]
        return state_of(
            self.made_from or published, self.mask_labels, self.slice_labels, str(self.image), self.image_values
        )


def read_volume_item(item: VolumeItem, convert: Callable[[VolumeItem], None] | None = None) -> dict[str, Any]:
    """Reads a volume and its mask by the transform of training, which refuses pairs that do not lie together.

    `convert` first makes a volume of what is published otherwise.

    Returns:
        `rows`, one a slice in stored order; `refused`; `contradicting`: slices with blood by label or mask, not both.
    """
    try:
        refuse_odd_name(item.image, item.image.relative_to(item.root).as_posix())
        if convert is not None:
            convert(item)
        count = len(read_slices(item.image).pixels)
        outside = sorted(number + 1 for number in item.slice_labels if not 0 <= number < count)
        if outside:
            raise ImageReadError(
                item.image,
                f"has {count} slices, but the labels name slice {', '.join(map(str, outside))} (counted from 1)",
                "Check that the table belongs to this release.",
            )
        masks = _load(item, count)
    except ImageReadError as error:
        shown = item.image.relative_to(item.root).as_posix()
        entry = Redactor(PublishedNames(), item.root, is_public=True).refusal(shown, error, {item.image: shown}, None)
        return {"rows": [], "refused": [entry.as_dict()], "contradicting": 0}
    rows = [_row(item, number, None if masks is None else masks[number]) for number in range(count)]
    differ = sum(
        row["blood"] is not None and row["labels"].get(ANY_HAEMORRHAGE, row["blood"]) != row["blood"] for row in rows
    )  # fmt: skip
    return {"rows": rows, "refused": [], "contradicting": differ}


def _died(item: VolumeItem) -> dict[str, Any]:
    """The result of a volume that killed the process which read it."""
    entry = refusal(item.image.relative_to(item.root).as_posix(), *DIED)
    return {"rows": [], "refused": [entry.as_dict()], "contradicting": 0}


def _load(item: VolumeItem, count: int) -> np.ndarray | None:
    """Label values (N,H,W) of the mask, where there is one, after image and mask were read as training reads them."""
    references: dict[str, list[Any]] = {"image": [(item.image, n) for n in range(count)]}
    references[IMAGE_VALUES] = [item.image_values] * count
    if item.mask is not None:
        references["mask"] = [(item.mask, n) for n in range(count)]
        references[MASK_LABELS] = [_mask_labels(item)] * count
    read = LoadSlicesd()(references)
    if item.mask is None:
        return None
    binary = np.asarray(read["mask"])
    if not item.mask_labels:
        return binary
    array, affine = read_volume(item.mask)
    values = find_reorientation(affine, item.mask).apply(array.reshape(volume_shape(array.shape)))
    strange = sorted({int(value) for value in np.unique(values)} - {0, *item.mask_labels})
    if strange:
        raise ImageReadError(
            item.mask,
            f"holds the classes {strange}; expected 0 and {sorted(item.mask_labels)}",
            "Check that the file belongs to this release.",
        )
    return values


def _mask_labels(item: VolumeItem) -> str:
    """The manifest's cell `mask_labels`: every class of the set is haemorrhage."""
    return " ".join(map(str, sorted(item.mask_labels)))


def _row(item: VolumeItem, number: int, mask: np.ndarray | None) -> dict[str, Any]:
    labels = dict(item.slice_labels.get(number, {}))
    if mask is not None and not item.slice_labels:
        present = {int(value) for value in np.unique(mask)}
        labels = {label: int(value in present) for value, label in item.mask_labels.items()}
        labels[ANY_HAEMORRHAGE] = int(present != {0})
    inside = None if item.mask is None else item.mask.relative_to(item.root).as_posix()
    return {
        "key": f"{item.patient}-{number:03d}",
        "image": item.image.relative_to(item.root).as_posix(),
        "image_slice": number,
        "mask": inside or "",
        "mask_slice": None if inside is None else number,
        "blood": None if mask is None else int(mask.any()),
        "labels": labels,
        IMAGE_VALUES: item.image_values,
        MASK_LABELS: _mask_labels(item) if inside else "",
    }


def _one_for_each_patient(items: Sequence[VolumeItem]) -> tuple[list[VolumeItem], list[Refusal]]:
    """Without the patients of whom there are several volumes, such as 001.nii beside 001.nii.gz: which one is meant?"""
    of_patient: dict[str, list[VolumeItem]] = {}
    for item in items:
        of_patient.setdefault(item.patient, []).append(item)
    refused = []
    for several in (group for group in of_patient.values() if len(group) > 1):
        names = [item.image.relative_to(item.root).as_posix() for item in several]
        fault = f"the patient has {len(several)} volumes, expected one: {', '.join(names)}"
        refused.append(refusal(names[0], fault, "Keep the one that the release holds.", len(several)))
    return [group[0] for group in of_patient.values() if len(group) == 1], refused


def _count_rows(rows: Mapping[str, int], used: Mapping[str, int], refused: list[Refusal], balance: Balance) -> None:
    """Rows of labels of slices that were not imported are refused, and their patients named."""
    left = {patient: count - used.get(patient, 0) for patient, count in rows.items() if count > used.get(patient, 0)}
    balance.add_rows(sum(rows.values()), used=sum(used.values()), refused=sum(left.values()))
    if left:
        shown = ", ".join(list(left)[:20]) + (", ..." if len(left) > 20 else "")
        reason = f"{sum(left.values())} rows are about slices that were not imported, of the patients {shown}"
        refused.append(Refusal("labels", sum(left.values()), reason, "Unpack the archive again, or mend the volumes."))


def masks_alone(folder: Path, items: Sequence[VolumeItem]) -> list[Path]:
    """The volumes in a folder of masks that belong to no item."""
    taken = {item.mask for item in items}
    return [path for path in files_in(folder, "*.nii*") if path not in taken]


def import_volumes(
    request: PublicRequest,
    items: Sequence[VolumeItem],
    card: Card,
    hospital: str,
    labels: Sequence[str],
    notes: Sequence[str] = (),
    refused: Sequence[Refusal] = (),
    convert: Callable[[VolumeItem], None] | None = None,
    tables: Sequence[Path] = (),
    rows: Mapping[str, int] | None = None,
    alone: Sequence[Path] = (),
) -> ImportResult:
    """Reads every volume and writes the manifest.

    Args:
        request: what to import.
        items: the volumes.
        card: what the manifest's card says of the set.
        hospital: the hospital of every slice.
        labels: the label columns.
        notes: what is to be said already.
        refused: what is refused already.
        convert: makes volumes of what is published otherwise.
        tables: files that the items' labels were read from.
        rows: patient -> how many rows of those tables are about the patient.
        alone: masks of which there is no image; they are refused.
    """
    output = request.output.resolve()
    table, said = ImportedSlices((*labels, IMAGE_VALUES, MASK_LABELS)), list(notes)
    items = [replace(item, image_values=item.image_values or request.image_values) for item in items]
    balance = Balance()
    balance.meet_folder(request.source.resolve(), skip=(output,))
    balance.claim(USED, "tables of labels", tables)
    balance.claim(REFUSED, "masks", alone)
    everything, used_rows = items, dict.fromkeys(rows or (), 0)
    items, ambiguous = _one_for_each_patient(items)
    left_out = [*refused, *ambiguous]
    for path in alone:
        shown = path.relative_to(request.source.resolve()).as_posix()
        left_out.append(refusal(shown, "is a mask without an image of that name", "Unpack the archive again."))
    for item in everything:
        for kind, files in item.published.items():
            balance.claim(REFUSED, kind, files)
    records = Records(output / PROGRESS_FOLDER / "volumes")
    series, contradicting = [], 0
    read = partial(read_volume_item, convert=convert)
    for item, result in do_items(read, items, records, "reading volumes", request.workers, _died):
        left_out.extend(Refusal(**entry) for entry in result["refused"])
        contradicting += result["contradicting"]
        for row in result["rows"]:
            names = {"patient_id": item.patient, "study_id": item.patient, "hospital": hospital}
            table.add({**row, **row["labels"], **names})
        if result["rows"]:
            for kind, files in item.published.items():
                balance.claim(USED, kind, files)
            used_rows[item.patient] = len(item.slice_labels)
            series.append({"study_id": item.patient, "slices": len(result["rows"])})
    if contradicting:
        said.append(f"{contradicting} slices have blood by label or by mask, but not by both; both are as published.")
    if rows is not None:
        _count_rows(rows, used_rows, left_out, balance)
    return finish(
        table.frame(), left_out, series, said,
        manifest=request.manifest,
        dataset_dir=items[0].root if items else request.source,
        output=output,
        card=card,
        importer=hospital,
        balance=balance,
    )  # fmt: skip
