# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Imports a folder tree of DICOM series, of one hospital or several, with its labels and masks."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from monai_ich.data.manifest_card import add_place_faults
from monai_ich.importers.assembly import (
    PROGRESS_FOLDER,
    Card,
    ImportedSlices,
    ImportResult,
    fill_hospital,
    finish,
)
from monai_ich.importers.balance_sheet import PASSED_OVER, REFUSED, USED, Balance
from monai_ich.importers.item_records import Records, Refusal, do_items
from monai_ich.importers.mask_files import MaskFinder
from monai_ich.importers.pseudonyms import Pseudonyms, load_key, refuse_other_pseudonyms
from monai_ich.importers.redaction import Redactor
from monai_ich.importers.scanning import Chunk, ScanOptions, add_shape, chunks, scan_chunk, scan_one_by_one
from monai_ich.importers.series_attributes import SERIES_ATTRIBUTES
from monai_ich.importers.series_item import SeriesItem, SeriesOptions
from monai_ich.importers.series_reading import died_with_series, read_series_item
from monai_ich.importers.series_rows import clash_of, with_resampled, without_unknown
from monai_ich.importers.tree_items import claim_files, refuse_masks_of_no_series, series_items
from monai_ich.labels.label_grids import TableOptions
from monai_ich.labels.label_matching import POSITIVES, Labels, match_labels, refuse_unmatched
from monai_ich.labels.label_tables import read_labels
from monai_ich.utils.errors import ConfigurationError, FaultList
from monai_ich.utils.keys import IMAGE_VALUES

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
        labels: CSV or xlsx, see `read_labels`; `columns` maps labels to columns that are called otherwise, and `table`
            says how the table is kept.
        positives: which slices of a positive study are positive, see `apply_labels`.
        masks: folder of mask files; the source itself may be named.
        files: "refer", "link" or "copy", see `SeriesOptions`.
        scan, allow_gaps: which files and series are taken.
        mask_labels: names or numbers of the labels of masks that are blood, see `mask_labels.choose_segments`.
        image_values: how the values of the images are to be read, see `ValueRule`.
        workers: processes; None takes one for each available core.
        project: gives pseudonyms of its own, see `Pseudonyms.of_project`; empty for the key's own.
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
    table: TableOptions = field(default_factory=TableOptions)
    positives: str = "blood"
    masks: Path | None = None
    files: str = "refer"
    scan: ScanOptions = field(default_factory=ScanOptions)
    mask_labels: tuple[str, ...] = ()
    allow_gaps: bool = False
    image_values: str = ""
    workers: int | None = None
    project: str = ""


@dataclass(frozen=True, eq=False)
class Tree:
    """What one folder tree holds, after its headers were read: series in the order of their tokens."""

    series: dict[str, list[dict[str, Any]]]  # token -> entries of scan_chunk, with `path`
    segmentations: dict[str, list[Path]]  # token of a series -> DICOM SEGs that refer to it
    by_place: dict[str, list[Path]]  # token of a frame of reference -> DICOM SEGs in it that refer to no series
    refused: list[Refusal]
    refused_series: frozenset[str] = frozenset()  # tokens of series that were left out, with a refusal
    shapes: dict[str, list[str]] = field(default_factory=dict)  # level -> what some names look like

    def names(self, level: str) -> set[str]:
        """The tokens of all patients, studies, series or instances."""
        return {entry[level] for entries in self.series.values() for entry in entries}


def import_dicom(request: DicomRequest) -> ImportResult:
    """Imports; run again after an interruption, it goes on, and what was read is not read again.

    Raises:
        ConfigurationError, ManifestError: the request, the key or the labels cannot be used, or no slice is left.
    """
    source, output = request.source.resolve(), request.output.resolve()
    check_request(request)
    pseudonyms = Pseudonyms(load_key(request.key_file, (source, output))).of_project(request.project)
    refuse_other_pseudonyms(output / PROGRESS_FOLDER, pseudonyms)
    labels = read_labels(request.labels, pseudonyms, request.columns, request.table) if request.labels else None
    options = SeriesOptions(
        _dataset_dir(request), output, request.files, request.allow_gaps, request.mask_labels, request.image_values
    )
    tables = [] if request.labels is None else [request.labels.parent.resolve() / request.labels.name]
    return import_tree(request, Redactor(pseudonyms, source), request_scan(request), options, labels, source, tables)


def request_scan(request: DicomRequest) -> ScanOptions:
    """Which files are taken, and what of their paths a manifest would show."""
    below = request.source.resolve().relative_to(_dataset_dir(request)) if request.files == "refer" else None
    prefix = None if below is None else f"{below.as_posix()}/"
    return replace(request.scan, hospital=request.hospital, hospital_level=request.hospital_level, prefix=prefix)


def _dataset_dir(request: DicomRequest) -> Path:
    source, output = request.source.resolve(), request.output.resolve()
    return common_folder(source, output) if request.files == "refer" else output


def import_tree(
    request: DicomRequest,
    redactor: Redactor,
    scan: ScanOptions,
    options: SeriesOptions,
    labels: Labels | None,
    whole: Path,
    tables: Sequence[Path] = (),
    choose: Callable[[Tree], Tree] = lambda tree: tree,
    importer: str = "dicom",
) -> ImportResult:
    """Scans, groups and reads a tree; `choose` may leave series out in between.

    Args:
        request: what to import.
        redactor: of the tree.
        scan: how files are read.
        options: how series are taken.
        labels: the labels, if there are any.
        whole: the folder that the user named; every file in it has its place in the balance sheet.
        tables: files that labels were read from.
        choose: leaves series out.
        importer: what the manifest's card calls the way.
    """
    output, source = request.output.resolve(), redactor.source
    balance = Balance()
    if not whole.is_relative_to(source):  # the set has files beside the folder of its series
        balance.meet_folder(whole, skip=(output, source))
    scanned = scan_tree(redactor, scan, output, request.workers, balance, skip=(output,))
    tree = choose(scanned)
    if labels is not None and labels.table is not None:
        labels = labels_of_tree(labels, tree)
    for series in scanned.series.keys() - tree.series.keys():
        paths = [entry["path"] for entry in scanned.series[series]]
        fate = REFUSED if series in tree.refused_series else PASSED_OVER
        balance.claim(fate, "CT images of series that were not chosen", paths)
    masks, redactors, not_masks = find_masks(request, redactor, tree, balance)
    items, refused = series_items(tree.series, redactor, options, masks)
    read = {item.series for item in items}
    for series in tree.series.keys() - read:
        balance.claim(REFUSED, "CT images", (entry["path"] for entry in tree.series[series]))
    balance.claim(USED, "tables of labels", [path for path in tables if balance.has_met(path)])
    found = Found(items, masks, redactors, [*tree.refused, *not_masks, *refused], balance)
    return import_series(found, request, labels, importer)


def labels_of_tree(labels: Labels, tree: Tree) -> Labels:
    """The labels by the names that the tree's images have; it is known before the images are read.

    Raises:
        ManifestError: none of the labels' names is of an image.
    """
    present = tree.names(labels.level)
    matched = match_labels(labels, present)
    refuse_unmatched(matched, present, tree.shapes.get(labels.level, ()))
    return matched


def check_request(request: DicomRequest, writes: bool = True) -> None:
    """Raises ConfigurationError with everything that is wrong with a request; the manifest's folder is made.

    Args:
        request: the request.
        writes: whether anything is to be written; or else the manifest's place does not matter, and no folder is made.
    """
    faults = FaultList("the import cannot start:")
    for what, folder in (("source", request.source), ("masks", request.masks)):
        if folder is not None and not folder.is_dir():
            faults.add(f"{what}: there is no folder {folder}; correct the path")
    if writes:
        add_place_faults(request.manifest, faults)
    if request.files not in FILE_WAYS:
        faults.add(f"files is {request.files!r}; expected one of {', '.join(FILE_WAYS)}")
    if request.positives not in POSITIVES:
        faults.add(f"positives is {request.positives!r}; expected one of {', '.join(POSITIVES)}")
    if request.hospital and request.hospital_level:
        faults.add("hospital and hospital_level are both given; give one")
    if not (request.hospital or request.hospital_level or request.labels):
        faults.add("no hospital: name it (--hospital), its folder (--hospital-level), or in a column of the labels")
    request.table.add_faults(request.labels is not None, faults)
    if request.columns and request.labels is None:
        faults.add("columns of a table of labels are named (--column), but no table is given (--labels)")
    if request.project and request.files == "refer":
        faults.add(
            "a project has pseudonyms of its own, but with --files refer its manifest names the source's files, which "
            "are the same in every project; give --files link or --files copy"
        )
    can_link = not request.source.is_dir() or _disk(request.output) == _disk(request.source)
    if request.files == "link" and not can_link:
        faults.add(f"{request.output} is on another disk than the source, so nothing can be linked; use copy")
    try:
        re.compile(request.scan.description)
    except re.error as error:
        faults.add(f"series description is {request.scan.description!r}, which is not a regular expression ({error})")
    faults.raise_if_any(ConfigurationError)


def _disk(folder: Path) -> int:
    """The disk that a folder is on, or would be made on."""
    folder = folder.resolve()
    return next(parent for parent in (folder, *folder.parents) if parent.exists()).stat().st_dev


def common_folder(*folders: Path) -> Path:
    """The deepest folder that holds all of them."""
    return Path(os.path.commonpath(folders))


@dataclass(frozen=True, eq=False)
class Found:
    """What is to be read, and what is known of the rest: all series, all masks, and the redactors of their folders."""

    items: list[SeriesItem]
    masks: MaskFinder
    redactors: list[Redactor]
    refused: list[Refusal]
    balance: Balance


def scan_tree(
    redactor: Redactor,
    options: ScanOptions,
    output: Path,
    workers: int | None,
    balance: Balance,
    skip: tuple[Path, ...] = (),
) -> Tree:
    """Reads all headers of a tree. Every file is met; those that are neither slices nor segmentations are claimed."""
    tree = Tree({}, {}, {}, [])
    balance.meet_left_out(redactor.source, skip)
    records = Records(output / PROGRESS_FOLDER / "headers")
    todo = list(chunks(redactor, options, skip))

    def one_by_one(chunk: Chunk) -> dict[str, Any]:
        return scan_one_by_one(chunk, scan_chunk)

    for chunk, found in do_items(scan_chunk, todo, records, "reading headers", workers, one_by_one):
        for entry in found["slices"]:
            tree.series.setdefault(entry["series"], []).append({**entry, "path": chunk.paths[entry["place"]]})
        for entry in found["segmentations"]:
            for series in entry["series"]:
                tree.segmentations.setdefault(series, []).append(chunk.paths[entry["place"]])
            if not entry["series"]:
                tree.by_place.setdefault(entry["reference"], []).append(chunk.paths[entry["place"]])
        tree.refused.extend(Refusal(**entry) for entry in found["refused"])
        for level, shapes in found["shapes"].items():
            for shape in shapes:
                add_shape(tree.shapes, level, shape)
        balance.meet(chunk.paths)
        balance.claim(REFUSED, "DICOM files", (chunk.paths[place] for place in found["refused_places"]))
        for kind, places in found["passed_over"].items():
            balance.claim(PASSED_OVER, kind, (chunk.paths[place] for place in places))
    return replace(tree, series=dict(sorted(tree.series.items())))


def find_masks(
    request: DicomRequest, redactor: Redactor, tree: Tree, balance: Balance
) -> tuple[MaskFinder, list[Redactor], list[Refusal]]:
    """The mask files: those in the folder of masks, and the DICOM SEGs of the source itself.

    Returns:
        The finder; the redactors of the folders that masks lie in; and what was refused in the folder of masks.
    """
    root = None if request.masks is None else request.masks.resolve()
    output = request.output.resolve()
    trees, redactors, refused = [tree], [redactor], []
    if root is not None and not root.is_relative_to(redactor.source):
        beside = Redactor(redactor.pseudonyms, root)
        found = scan_tree(beside, ScanOptions(), output, request.workers, balance, skip=(output, redactor.source))
        for entries in found.series.values():
            balance.claim(PASSED_OVER, "CT images in the folder of masks", (entry["path"] for entry in entries))
        trees, redactors = [tree, found], [redactor, beside]
        refused = [replace(entry, path=f"mask {entry.path}") for entry in found.refused]
    of_series, by_place = (_joined([getattr(one, what) for one in trees]) for what in ("segmentations", "by_place"))
    finder = MaskFinder(redactor.source, root, of_series, by_place, redactor.pseudonyms, skip=(output,))
    return finder, redactors, refused


def _joined(indices: Sequence[Mapping[str, Sequence[Path]]]) -> dict[str, list[Path]]:
    joined: dict[str, list[Path]] = {}
    for index in indices:
        for name, paths in index.items():
            joined.setdefault(name, []).extend(paths)
    return joined


def import_series(found: Found, request: DicomRequest, labels: Labels | None, importer: str) -> ImportResult:
    """Reads every series, names its slices, joins the labels and writes the manifest."""
    output, items, balance, refused = request.output.resolve(), found.items, found.balance, found.refused
    records = Records(output / PROGRESS_FOLDER / "series")
    pseudonyms = items[0].redactor.pseudonyms if items else Pseudonyms(b"")
    table, series = ImportedSlices((*SERIES_ATTRIBUTES, IMAGE_VALUES)), []
    shapes: dict[tuple[str, str], tuple[int, ...]] = {}
    unfit: dict[Path, Refusal] = {}
    files: list[Path] = []
    for item, result in do_items(read_series_item, items, records, "reading series", request.workers, died_with_series):
        refused.extend(Refusal(**entry) for entry in result["refused"])
        clash = clash_of(item, result["rows"], shapes)
        claim_files(balance, item, result, is_imported=clash is None)
        if clash is not None:
            refused.append(clash)
            continue
        masks = item.masks.all_paths()
        unfit |= {masks[entry.pop("mask")]: Refusal(**entry) for entry in result["unfit"]}
        for number, row in enumerate(result["rows"], start=1):
            names = {"patient": item.patient, "study": item.study, "series": item.series, "hospital": item.hospital}
            identity = {"key": f"{item.series}-{number:04d}", "study_id": item.study, "file": len(files) + row["file"]}
            table.add({**row, **names, **result["attributes"], **identity, IMAGE_VALUES: item.options.image_values})
        if result["rows"]:
            files.extend(item.paths)
            annotated = sum(row["mask"] != "" for row in result["rows"])
            about = {"series": item.series, "study_id": item.study, **result["header"], "annotated": annotated}
            series.append({**about, "notes": "; ".join(result["notes"])})
    refused += refuse_masks_of_no_series(found.masks, items, unfit, found.redactors, balance)
    card, notes = with_resampled(request.card, [], series)
    before = table.frame()
    frame = fill_hospital(without_unknown(before), labels, refused, pseudonyms.token)
    balance.claim(USED, "CT images", (files[place] for place in frame["file"].unique()))
    balance.claim_rest(REFUSED, "CT images without a hospital", (files[place] for place in before["file"].unique()))
    return finish(
        frame, refused, series, notes,
        manifest=request.manifest,
        dataset_dir=items[0].options.dataset_dir if items else output,
        output=output,
        card=card,
        labels=labels,
        positives=request.positives,
        importer=importer,
        balance=balance,
    )  # fmt: skip
