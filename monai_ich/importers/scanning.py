# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""First pass over a folder tree: reads every header once, says which files are CT slices, and of which series."""

from __future__ import annotations

import functools
import operator
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from pydicom.dataset import Dataset

from monai_ich.importers.file_kinds import kind_of_dicom, kind_of_file
from monai_ich.importers.item_records import DIED, Refusal, refuse_odd_name, state_of
from monai_ich.importers.mask_contours import CONTOUR_STORAGE, series_of_contours
from monai_ich.importers.mask_segmentations import SEGMENTATION_STORAGE
from monai_ich.importers.redaction import Identity, Redactor, identity_of
from monai_ich.labels.label_cells import shape_of
from monai_ich.reading.acquisition_notes import Acquisition, refuse_lossy
from monai_ich.reading.dicom_frames import damage_refused, open_dicom, refuse_unless_ct
from monai_ich.reading.file_tree import walk_files
from monai_ich.reading.series import CT_STORAGE, starts_like_dicom
from monai_ich.reading.volumes import is_volume
from monai_ich.utils.errors import ImageReadError
from monai_ich.utils.worker_pool import map_in_processes

FILES_A_CHUNK = 400
SHAPES_KEPT = 3
NOT_ASKED_FOR = "CT images of series that were not asked for"


@dataclass(frozen=True)
class Names:
    """What a file belongs to, by its own header (or, in public sets, its path)."""

    patient: str
    study: str
    series: str
    instance: str


def names_in_header(dataset: Dataset, path: Path) -> Names:
    """Patient ID (0010,0020) and the three Instance UIDs; a patient without an ID is known by the study.

    Raises:
        ImageReadError: when the study's or the series' UID is missing.
    """
    for keyword in ("StudyInstanceUID", "SeriesInstanceUID"):
        if not str(dataset.get(keyword) or ""):
            raise ImageReadError(path, f"{keyword} is missing, so it belongs to no series", "Export the series again.")
    study = str(dataset.StudyInstanceUID)
    patient = str(dataset.get("PatientID") or "").strip() or f"patient of study {study}"
    return Names(patient, study, str(dataset.SeriesInstanceUID), str(dataset.get("SOPInstanceUID") or ""))


@dataclass(frozen=True)
class ScanOptions:
    """Which files are taken.

    Attributes:
        allow_derived: take images with Image Type (0008,0008) DERIVED.
        allow_burnt_in: take images with Burned In Annotation (0028,0301) YES.
        allow_lossy: take images that were compressed with loss at more than 15:1.
        description: a regular expression that Series Description (0008,103E) must contain; empty takes every series.
        hospital: name of the hospital; empty when a folder or the table of labels says it.
        hospital_level: the folder below the source that is named after the hospital, counted from 1; 0 for none.
        names: what a file belongs to.
        prefix: what the manifest puts before a path below the source, when it names the source's own files; it is part
            of what must not mention a patient. None: files get names of their own.
    """

    allow_derived: bool = False
    allow_burnt_in: bool = False
    allow_lossy: bool = False
    description: str = ""
    hospital: str = ""
    hospital_level: int = 0
    names: Callable[[Dataset, Path], Names] = field(default=names_in_header, repr=False)
    prefix: str | None = None


@dataclass(frozen=True)
class Chunk:
    """Some files of one folder."""

    redactor: Redactor
    paths: tuple[Path, ...]
    options: ScanOptions

    @cached_property
    def name(self) -> str:
        return self.redactor.pseudonyms.token("chunk", str(self.paths[0]))

    @cached_property
    def state(self) -> str:
        return self.redactor.pseudonyms.token("state", state_of(self.paths, self.options))


def chunks(redactor: Redactor, options: ScanOptions, skip: tuple[Path, ...] = ()) -> Iterator[Chunk]:
    """The files under the redactor's source, folder by folder in the order of their names; `skip` are folders."""
    for _, paths in walk_files(redactor.source, skip):
        for start in range(0, len(paths), FILES_A_CHUNK):
            yield Chunk(redactor, tuple(paths[start : start + FILES_A_CHUNK]), options)


def scan_chunk(chunk: Chunk) -> dict[str, Any]:
    """Reads the headers of a chunk.

    Returns:
        `slices` and `segmentations`: one entry a file, its place in the chunk, and tokens in place of names;
        `refused`: refusals, and `refused_places` of their files; `passed_over`: kind -> places of files that are
        something else; `shapes`: for each level what some of the slices' names look like.
    """
    result = _empty_result()
    unreadable: list[tuple[Path, ImageReadError]] = []
    readable: list[Path] = []
    for place, path in enumerate(chunk.paths):
        try:
            if not starts_like_dicom(path):
                result["passed_over"].setdefault(kind_of_file(path), []).append(place)
                continue
            dataset = open_dicom(path, pixels=False)
        except ImageReadError as error:
            unreadable.append((path, error))
            result["refused_places"].append(place)
            continue
        readable.append(path)
        try:
            with damage_refused(path, "its header is malformed", "Copy the file again from its source."):
                kind, entry = _describe(dataset, path, chunk)
        except ImageReadError as error:
            result["refused"].append(_refused(chunk.redactor, path, error, identity_of(dataset)).as_dict())
            result["refused_places"].append(place)
            continue
        if kind == "passed_over":
            result["passed_over"].setdefault(entry["kind"], []).append(place)
        else:
            shapes = entry.pop("shapes", {})
            result[kind].append({"place": place, **entry})
            for level, shape in shapes.items():
                add_shape(result["shapes"], level, shape)
    known = _identity_of_files(readable) if unreadable else None
    for path, fault in unreadable:
        result["refused"].append(_refused(chunk.redactor, path, fault, known).as_dict())
    return result


def add_shape(shapes: dict[str, list[str]], level: str, shape: str) -> None:
    """Keeps the first few shapes of a level, each once."""
    known = shapes.setdefault(level, [])
    if shape not in known and len(known) < SHAPES_KEPT:
        known.append(shape)


def scan_one_by_one(chunk: Chunk, scan: Callable[[Chunk], dict[str, Any]]) -> dict[str, Any]:
    """What `scan_chunk` gives for a chunk that killed the process which read it: each file gets a process of its own.

    A file that kills this one, too, is refused. Its header was not read, so its path is not shown.
    """

    def died(single: Chunk) -> dict[str, Any]:
        error = ImageReadError(single.paths[0], *DIED)
        entry = _refused(chunk.redactor, single.paths[0], error, None).as_dict()
        return {**_empty_result(), "refused": [entry], "refused_places": [0]}

    def scan_single(single: Chunk) -> dict[str, Any]:
        try:
            return scan(single)
        except MemoryError:
            return died(single)

    singles = [replace(chunk, paths=(path,)) for path in chunk.paths]
    result = _empty_result()
    for place, (_, found) in enumerate(map_in_processes(scan_single, singles, None, died)):
        for what in ("slices", "segmentations"):
            result[what] += [{**entry, "place": place} for entry in found[what]]
        result["refused"] += found["refused"]
        result["refused_places"] += [place] * len(found["refused_places"])
        for kind in found["passed_over"]:
            result["passed_over"].setdefault(kind, []).append(place)
        for level, shapes in found["shapes"].items():
            for shape in shapes:
                add_shape(result["shapes"], level, shape)
    return result


def _empty_result() -> dict[str, Any]:
    lists: dict[str, Any] = {"slices": [], "segmentations": [], "refused": [], "refused_places": []}
    return {**lists, "passed_over": {}, "shapes": {}}


def _identity_of_files(paths: Sequence[Path]) -> Identity | None:
    """What identifies the patients of the files; None when there are no files."""
    identities = [identity_of(open_dicom(path, pixels=False)) for path in paths]
    return functools.reduce(operator.or_, identities) if identities else None


def _refused(redactor: Redactor, path: Path, error: ImageReadError, identity: Identity | None) -> Refusal:
    shown = redactor.path(path, identity)
    return redactor.refusal(shown, error, {path: shown}, identity)


def _describe(dataset: Dataset, path: Path, chunk: Chunk) -> tuple[str, dict[str, Any]]:
    if dataset.SOPClassUID in (*SEGMENTATION_STORAGE, *CONTOUR_STORAGE):
        return "segmentations", _segmentation(dataset, path, chunk.redactor)
    if dataset.get("Modality") != "CT" and dataset.SOPClassUID not in CT_STORAGE:
        return "passed_over", {"kind": kind_of_dicom(dataset)}
    _refuse_unfit(dataset, path, chunk.options)
    if not re.search(chunk.options.description, str(dataset.get("SeriesDescription") or "")):
        return "passed_over", {"kind": NOT_ASKED_FOR}
    return "slices", _slice(dataset, path, chunk)


def _slice(dataset: Dataset, path: Path, chunk: Chunk) -> dict[str, Any]:
    redactor, options = chunk.redactor, chunk.options
    names = options.names(dataset, path)
    inside = path.relative_to(redactor.source).as_posix()
    is_shown = options.prefix is not None and not redactor.is_public
    if is_shown or redactor.is_public:
        refuse_odd_name(path, inside)
        if is_volume(path):
            raise ImageReadError(
                path, "is a DICOM slice with the name of a volume, and would be read as one", "Rename it to .dcm."
            )
    if is_shown and (identity := identity_of(dataset)).is_in(f"{options.prefix}{inside}"):
        raise ImageReadError(
            path,
            f"its path mentions the patient's name, number, date or UID ({_place_of(identity, options, inside)}), and "
            "a manifest with it would too",
            "Give the files names of their own with --files link (no space needed) or --files copy. If it is a "
            "hospital or a ward that is called as the patient is, you can rename that folder instead.",
        )
    token = redactor.pseudonyms.token
    return {
        "patient": token("patient", names.patient),
        "study": token("study", names.study),
        "series": token("series", names.series),
        "instance": token("instance", names.instance),
        "shapes": {level: shape_of(name) for level, name in asdict(names).items()},
        "reference": token("frame of reference", str(dataset.get("FrameOfReferenceUID") or "")),
        "hospital": _hospital(dataset, path, redactor, options),
        "z_mm": _height(dataset),
    }


def _place_of(identity: Identity, options: ScanOptions, inside: str) -> str:
    """Which part of a path mentions the patient; it says nothing of the part itself."""
    *folders, name = inside.split("/")
    places = [f"folder level {level}" for level, folder in enumerate(folders, start=1) if identity.is_in(folder)]
    places += ["the file's name"] if identity.is_in(name) else []
    places += ["SOURCE itself or a folder above it"] if identity.is_in(options.prefix or "") else []
    return "in " + (", ".join(places) or "several parts of it together")


def _height(dataset: Dataset) -> float | None:
    """Where the slice lies along the patient, mm; None where the header does not say it in one place."""
    position = dataset.get("ImagePositionPatient")
    return float(position[2]) if position is not None and len(position) == 3 else None


def _hospital(dataset: Dataset, path: Path, redactor: Redactor, options: ScanOptions) -> str:
    if not options.hospital_level:
        return options.hospital
    folders = path.relative_to(redactor.source).parts[:-1]
    if len(folders) < options.hospital_level:
        raise ImageReadError(
            path,
            f"lies in {len(folders)} folders below the source, so there is no hospital at level "
            f"{options.hospital_level}",
            "Move it into its hospital's folder, or choose another --hospital-level.",
        )
    hospital = folders[options.hospital_level - 1]
    if identity_of(dataset).is_in(hospital):
        raise ImageReadError(
            path,
            f"the folder at level {options.hospital_level} mentions a patient of the files below it by name, number, "
            "date or UID, so it may be no hospital",
            "Choose another --hospital-level. If it is a hospital that is called as the patient is, name it with "
            "--hospital or in the labels' column 'hospital', or rename the folder.",
        )
    return hospital


def _refuse_unfit(dataset: Dataset, path: Path, options: ScanOptions) -> None:
    """Raises ImageReadError for what is no axial acquisition: secondary captures, localizers, derived images."""
    image_type = [str(part).upper() for part in dataset.get("ImageType") or ()]
    if dataset.SOPClassUID not in CT_STORAGE:
        raise ImageReadError(
            path,
            f"is a {dataset.SOPClassUID.name}, not a CT image; secondary captures and the like may show names "
            "and hold no HU",
            "Export the original slices.",
        )
    refuse_unless_ct(dataset, path)
    if not options.allow_lossy:
        refuse_lossy(Acquisition.of(dataset, path), path)
    if str(dataset.get("BurnedInAnnotation") or "").upper() == "YES" and not options.allow_burnt_in:
        raise ImageReadError(
            path,
            "says that text is burnt into its pixels (BurnedInAnnotation YES), which may name the patient",
            "Export the slices without annotation, or take them after looking with --allow-burnt-in.",
        )
    if "DERIVED" in image_type[:1] and not options.allow_derived:
        raise ImageReadError(
            path,
            f"is a derived image ({'/'.join(image_type)}), such as a reformat or a projection",
            "Export the original series, or take derived images after looking with --allow-derived.",
        )


def _segmentation(dataset: Dataset, path: Path, redactor: Redactor) -> dict[str, Any]:
    """The series that a DICOM SEG was drawn on: Referenced Series Sequence (0008,1115), which it may lack (type 1C).

    An RT Structure Set names it in Referenced Frame of Reference Sequence (3006,0010).

    Then its Frame of Reference (0020,0052) and its frames' positions say where it belongs.

    Raises:
        ImageReadError: it has neither.
    """
    token = redactor.pseudonyms.token
    named = [str(series.get("SeriesInstanceUID") or "") for series in dataset.get("ReferencedSeriesSequence") or ()]
    reference = str(dataset.get("FrameOfReferenceUID") or "")
    if dataset.SOPClassUID in CONTOUR_STORAGE:
        named, reference = series_of_contours(dataset)
    if not any(named) and not reference:
        raise ImageReadError(
            path,
            "is a segmentation that names neither the series that it was drawn on (ReferencedSeriesSequence) nor its "
            "frame of reference, so it belongs nowhere",
            "Export it again, with one of them.",
        )
    return {
        "series": [token("series", uid) for uid in named if uid],
        "reference": token("frame of reference", reference),
    }
