# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Imports a folder tree of DICOM series, of one hospital or several, with its labels and masks."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pandas as pd

from monai_ich.data.manifest_card import add_place_faults
from monai_ich.importers.assembly import (
    PROGRESS_FOLDER,
    SERIES_FILE,
    Card,
    ImportedSlices,
    ImportResult,
    fill_hospital,
    finish,
)
from monai_ich.importers.item_records import Records, Refusal, do_items
from monai_ich.importers.label_tables import POSITIVES, Labels, read_labels
from monai_ich.importers.mask_files import MaskFinder
from monai_ich.importers.pseudonyms import Pseudonyms, load_key
from monai_ich.importers.redaction import Redactor
from monai_ich.importers.scanning import ScanOptions, chunks, scan_chunk
from monai_ich.importers.series_attributes import SERIES_ATTRIBUTES
from monai_ich.importers.series_item import SeriesItem, SeriesOptions
from monai_ich.importers.series_reading import RESAMPLED, read_series_item
from monai_ich.utils.errors import ConfigurationError, FaultList

FILE_WAYS = ("refer", "link", "copy")


@dataclass(frozen=True)
class DicomRequest:
    """What to import and how.

    Attributes:
        source: folder of the series, in whatever subfolders.
        manifest: the CSV to write.
        output: folder for what the import makes: masks, linked or copied slices, reports, its progress.
        card: name, description and licence of the data.
        key_file: the key of the pseudonyms; made if it is not there.
        hospital, hospital_level: see `ScanOptions`; a column `hospital` of the labels comes before them.
        labels: CSV or xlsx, see `read_labels`; `columns` maps labels to columns that are called otherwise.
        positives: which slices of a positive study are positive, see `apply_labels`.
        masks: folder of mask files; the source itself may be named.
        files: "refer", "link" or "copy", see `SeriesOptions`.
        scan, allow_gaps: which files and series are taken.
        mask_labels: names or numbers of the labels of masks that are blood, see `mask_labels.choose_segments`.
        workers: processes; None takes one for each available core.
    """

    source: Path
    manifest: Path
    output: Path
    card: Card
    key_file: Path
    hospital: str = ""
    hospital_level: int = 0
    labels: Path | None = None
    columns: Mapping[str, str] = field(default_factory=dict)
    positives: str = "blood"
    masks: Path | None = None
    files: str = "refer"
    scan: ScanOptions = field(default_factory=ScanOptions)
    mask_labels: tuple[str, ...] = ()
    allow_gaps: bool = False
    workers: int | None = None


@dataclass(frozen=True, eq=False)
class Tree:
    """What one folder tree holds, after its headers were read: series in the order of their tokens."""

    series: dict[str, list[dict[str, Any]]]  # token -> entries of scan_chunk, with `path`
    segmentations: dict[str, list[Path]]  # token of a series -> DICOM SEGs that refer to it
    refused: list[Refusal]
    other: int


def import_dicom(request: DicomRequest) -> ImportResult:
    """Imports; run again after an interruption, it goes on, and what was read is not read again.

    Raises:
        ConfigurationError, ManifestError: the request, the key or the labels cannot be used, or no slice is left.
    """
    source, output = request.source.resolve(), request.output.resolve()
    check_request(request)
    pseudonyms = Pseudonyms(load_key(request.key_file, (source, output)))
    labels = read_labels(request.labels, pseudonyms, request.columns) if request.labels else None
    dataset_dir = common_folder(source, output) if request.files == "refer" else output
    prefix = f"{source.relative_to(dataset_dir).as_posix()}/" if request.files == "refer" else None
    scan = replace(request.scan, hospital=request.hospital, hospital_level=request.hospital_level, prefix=prefix)
    redactor = Redactor(pseudonyms, source)
    options = SeriesOptions(dataset_dir, output, request.files, request.allow_gaps, request.mask_labels)
    return import_tree(request, redactor, scan, options, labels)


def import_tree(
    request: DicomRequest,
    redactor: Redactor,
    scan: ScanOptions,
    options: SeriesOptions,
    labels: Labels | None,
    choose: Callable[[Tree], Tree] = lambda tree: tree,
    importer: str = "dicom",
) -> ImportResult:
    """Scans, groups and reads a tree; `choose` may leave series out in between."""
    output = request.output.resolve()
    tree = choose(scan_tree(redactor, scan, output, request.workers, skip=(output,)))
    masks = find_masks(request, redactor, tree)
    items, refused = series_items(tree, redactor, options, masks)
    notes = (
        [f"{tree.other} files are no CT images, or of series not asked for, and were passed over."]
        if tree.other
        else []
    )
    unused = masks.count_unused([item.masks for item in items])
    if unused:
        notes.append(
            f"{unused} mask files belong to no series that was read: neither names, folders nor references fit."
        )
    return import_series(items, [*tree.refused, *refused], notes, request, labels, importer)


def check_request(request: DicomRequest) -> None:
    """Raises ConfigurationError with everything that is wrong with a request."""
    faults = FaultList("the import cannot start:")
    for what, folder in (("source", request.source), ("masks", request.masks)):
        if folder is not None and not folder.is_dir():
            faults.add(f"{what}: there is no folder {folder}; correct the path")
    add_place_faults(request.manifest, faults)
    if request.files not in FILE_WAYS:
        faults.add(f"files is {request.files!r}; expected one of {', '.join(FILE_WAYS)}")
    if request.positives not in POSITIVES:
        faults.add(f"positives is {request.positives!r}; expected one of {', '.join(POSITIVES)}")
    if request.hospital and request.hospital_level:
        faults.add("hospital and hospital_level are both given; give one")
    if not (request.hospital or request.hospital_level or request.labels):
        faults.add("no hospital: name it (--hospital), its folder (--hospital-level), or in a column of the labels")
    if request.files == "link" and request.source.is_dir():
        request.output.mkdir(parents=True, exist_ok=True)
        if request.output.stat().st_dev != request.source.stat().st_dev:
            faults.add(f"{request.output} is on another disk than the source, so nothing can be linked; use copy")
    try:
        re.compile(request.scan.description)
    except re.error as error:
        faults.add(f"series description is {request.scan.description!r}, which is not a regular expression ({error})")
    faults.raise_if_any(ConfigurationError)


def common_folder(*folders: Path) -> Path:
    """The deepest folder that holds all of them."""
    return Path(os.path.commonpath(folders))


def scan_tree(
    redactor: Redactor, options: ScanOptions, output: Path, workers: int | None, skip: tuple[Path, ...] = ()
) -> Tree:
    """Reads all headers of a tree."""
    tree = Tree({}, {}, [], 0)
    other = 0
    records = Records(output / PROGRESS_FOLDER / "headers")
    for chunk, found in do_items(
        scan_chunk, list(chunks(redactor, options, skip)), records, "reading headers", workers
    ):
        for entry in found["slices"]:
            tree.series.setdefault(entry["series"], []).append({**entry, "path": chunk.paths[entry["place"]]})
        for entry in found["segmentations"]:
            for series in entry["series"]:
                tree.segmentations.setdefault(series, []).append(chunk.paths[entry["place"]])
        tree.refused.extend(Refusal(**entry) for entry in found["refused"])
        other += found["other"]
    return replace(tree, series=dict(sorted(tree.series.items())), other=other)


def find_masks(request: DicomRequest, redactor: Redactor, tree: Tree) -> MaskFinder:
    """The mask files: those in the folder of masks, and the DICOM SEGs of the source itself."""
    root = None if request.masks is None else request.masks.resolve()
    segmentations = {series: list(paths) for series, paths in tree.segmentations.items()}
    if root is not None and not root.is_relative_to(redactor.source):
        beside = Redactor(redactor.pseudonyms, root)
        found = scan_tree(beside, ScanOptions(), request.output.resolve(), request.workers)
        for series, paths in found.segmentations.items():
            segmentations.setdefault(series, []).extend(paths)
    return MaskFinder(redactor.source, root, segmentations, redactor.pseudonyms)


def series_items(
    tree: Tree,
    redactor: Redactor,
    options: SeriesOptions,
    masks: MaskFinder,
) -> tuple[list[SeriesItem], list[Refusal]]:
    """One item a series; a series UID that two patients, studies or hospitals share is refused."""
    items, refused = [], []
    for series, entries in tree.series.items():
        owners = {(entry["patient"], entry["study"], entry["hospital"]) for entry in entries}
        if len(owners) > 1:
            reason = f"one series UID is used by {len(owners)} patients, studies or hospitals"
            refused.append(Refusal(f"series {series}", len(entries), reason, "Export those series again."))
            continue
        patient, study, hospital = owners.pop()
        paths = tuple(entry["path"] for entry in entries)
        found = masks.of_series(series, study, patient, paths)
        items.append(SeriesItem(redactor, paths, patient, study, series, hospital, found, options))
    return with_shared_masks(items, tree), refused


def with_shared_masks(items: Sequence[SeriesItem], tree: Tree) -> list[SeriesItem]:
    """Marks the mask volumes that may be of several series whose positions cannot be compared.

    A mask that is named after the patient may be of any examination. Only where it has the pixels of a series is it
    known to be that one's.
    """
    references: dict[Path, set[tuple[str, str]]] = {}
    for item in items:
        of_item = {(item.study, entry["reference"]) for entry in tree.series[item.series]}
        for path in item.masks.volumes:
            references.setdefault(path, set()).update(of_item)
    marked = []
    for item in items:
        shared = tuple(path for path in item.masks.volumes if len(references[path]) > 1)
        marked.append(replace(item, masks=replace(item.masks, shared=shared)))
    return marked


def import_series(
    items: Sequence[SeriesItem],
    refused: list[Refusal],
    notes: Sequence[str],
    request: DicomRequest,
    labels: Labels | None,
    importer: str,
) -> ImportResult:
    """Reads every series, names its slices, joins the labels and writes the manifest."""
    output = request.output.resolve()
    records = Records(output / PROGRESS_FOLDER / "series")
    pseudonyms = items[0].redactor.pseudonyms if items else Pseudonyms(b"")
    table, series = ImportedSlices(tuple(SERIES_ATTRIBUTES)), []
    shapes: dict[tuple[str, str], tuple[int, ...]] = {}
    for item, result in do_items(read_series_item, items, records, "reading series", request.workers):
        refused.extend(Refusal(**entry) for entry in result["refused"])
        clash = _clash(item, result["rows"], shapes)
        if clash is not None:
            refused.append(clash)
            continue
        for number, row in enumerate(result["rows"], start=1):
            names = {"patient": item.patient, "study": item.study, "series": item.series, "hospital": item.hospital}
            # an import that goes on may find records from before attributes were read
            table.add(
                {
                    **row,
                    **names,
                    **result.get("attributes", {}),
                    "key": f"{item.series}-{number:04d}",
                    "study_id": item.study,
                }
            )
        if result["rows"]:
            annotated = sum(row["mask"] != "" for row in result["rows"])
            about = {"series": item.series, "study_id": item.study, **result["header"], "annotated": annotated}
            series.append({**about, "notes": "; ".join(result["notes"])})
    card, notes = _with_resampled(request.card, notes, series)
    frame = fill_hospital(_without_unknown(table.frame()), labels, refused, pseudonyms.token)
    return finish(
        frame, refused, series, notes,
        manifest=request.manifest,
        dataset_dir=items[0].options.dataset_dir if items else output,
        output=output,
        card=card,
        labels=labels,
        positives=request.positives,
        importer=importer,
    )  # fmt: skip


def _without_unknown(frame: pd.DataFrame) -> pd.DataFrame:
    """The table without the attributes that no series states."""
    return frame.drop(columns=[name for name in SERIES_ATTRIBUTES if (frame[name].fillna("") == "").all()])


def _with_resampled(card: Card, notes: Sequence[str], series: Sequence[dict[str, Any]]) -> tuple[Card, Sequence[str]]:
    """Says in the card's description, which later splits keep, and in a note, how many masks were resampled."""
    resampled = [one["annotated"] for one in series if one["mask_grid"] == RESAMPLED]
    if not resampled:
        return card, notes
    what = f"The masks of {len(resampled)} series ({sum(resampled)} slices) were drawn on another grid and resampled"
    note = f"{what}: look at some of them. {SERIES_FILE} names them, in column mask_grid."
    return replace(card, description=f"{card.description} {what} onto the slices.".strip()), [*notes, note]


def _clash(
    item: SeriesItem, rows: Sequence[dict[str, Any]], shapes: dict[tuple[str, str], tuple[int, ...]]
) -> Refusal | None:
    """Slices of one study in one folder are read together, so they must have one size."""
    for row in rows:
        if row["image_slice"] is None:
            place = (item.study, row["image"].rpartition("/")[0])
            shape = tuple(row["shape"])
            if shapes.setdefault(place, shape) != shape:
                reason = f"its slices have another size {shape} than another series of the study in the same folder"
                remedy = "Separate the series, or give files names of their own with --files link."
                return Refusal(f"series {item.series}", len(rows), reason, remedy)
    return None
