# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Finds the mask files that belong to a series: by what they are called, where they lie, or what they refer to."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from monai_ich.importers.pseudonyms import Pseudonyms
from monai_ich.reading.file_tree import files_below
from monai_ich.reading.volumes import is_volume

PICTURE_SUFFIXES = (".png", ".npy")


@dataclass(frozen=True)
class MaskFiles:
    """Mask files that may belong to one series; whether they do, their geometry decides.

    Attributes:
        volumes: NIfTI, NRRD or MetaImage files.
        segmentations: DICOM SEG files that name the series.
        by_place: DICOM SEG files that name no series, and have the series' frame of reference.
        pictures: image file -> PNG or NPY file of the same slice.
        shared: those of the volumes that may as well belong to a series of another frame of reference.
    """

    volumes: tuple[Path, ...] = ()
    segmentations: tuple[Path, ...] = ()
    by_place: tuple[Path, ...] = ()
    pictures: dict[Path, Path] = field(default_factory=dict)
    shared: tuple[Path, ...] = ()

    def all_paths(self) -> list[Path]:
        """Every file, in a fixed order."""
        return [
            *self.volumes,
            *self.segmentations,
            *self.by_place,
            *(self.pictures[path] for path in sorted(self.pictures)),
        ]


def picture_files(files: Sequence[Path], root: Path) -> dict[str, Path]:
    """PNG and NPY files by their path below `root`, without suffix."""
    pictures = [path for path in files if path.suffix.lower() in PICTURE_SUFFIXES]
    return {name_without_suffix(path.relative_to(root)): path for path in pictures}


def name_without_suffix(path: Path) -> str:
    """The path without the suffix of a DICOM or picture file; the last number of a UID is no suffix.

    >>> name_without_suffix(Path("a/1.2.840.7.dcm")), name_without_suffix(Path("a/1.2.840.7"))
    ('a/1.2.840.7', 'a/1.2.840.7')
    """
    known = (*PICTURE_SUFFIXES, ".dcm", ".dicom", ".ima")
    return (path.with_suffix("") if path.suffix.lower() in known else path).as_posix()


def names_of(path: Path, root: Path) -> Iterator[str]:
    """What a mask file may be named after, the innermost first: its stem, the stem without endings, its folders.

    >>> list(names_of(Path("m/P17/1.2.840_ich.nii.gz"), Path("m")))
    ['1.2.840_ich', '1.2.840', 'P17']
    >>> list(names_of(Path("m/P17.seg.nrrd"), Path("m")))
    ['P17']
    """
    parts = path.relative_to(root).parts
    stem = re.sub(r"(\.nii|\.nii\.gz|(\.seg)?\.(nrrd|nhdr)|\.mha|\.mhd)$", "", parts[-1], flags=re.IGNORECASE)
    yield stem
    while (shorter := re.sub(r"[_\- ][^_\- ]*$", "", stem)) != stem:
        stem = shorter
        yield stem
    yield from reversed(parts[:-1])


class VolumeIndex:
    """Volume masks by the tokens of the series, studies and patients that they are named after.

    A mask whose name says nothing is offered to the series in whose folder it lies.
    """

    def __init__(self, files: Sequence[Path], root: Path, pseudonyms: Pseudonyms) -> None:
        self.files = [path for path in files if is_volume(path)]
        self._by_token: dict[str, list[Path]] = {}
        self._by_folder: dict[Path, list[Path]] = {}
        for path in self.files:
            for name in names_of(path, root):
                for level in ("series", "study", "patient"):
                    self._by_token.setdefault(pseudonyms.token(level, name), []).append(path)
            self._by_folder.setdefault(path.parent, []).append(path)

    def of_series(self, series: str, study: str, patient: str, folders: Sequence[Path]) -> tuple[Path, ...]:
        """The masks that may be the series', by the most telling name: of series, folder, study, then patient."""
        in_folders = [path for folder in folders for path in self._by_folder.get(folder, [])]
        for found in (
            self._by_token.get(series, []),
            in_folders,
            self._by_token.get(study, []),
            self._by_token.get(patient, []),
        ):
            if found:
                return tuple(sorted(set(found)))
        return ()


class MaskFinder:
    """Finds the mask files of a series.

    Args:
        source: the folder of the images; a picture lies at its image's path below it.
        root: the folder of the masks, or None.
        segmentations: token of a series -> the DICOM SEGs that refer to it.
        by_place: token of a frame of reference -> the DICOM SEGs in it that refer to no series.
        pseudonyms: made the tokens.
        skip: folders that hold no masks, such as the import's own.
    """

    def __init__(
        self,
        source: Path,
        root: Path | None,
        segmentations: Mapping[str, Sequence[Path]],
        by_place: Mapping[str, Sequence[Path]],
        pseudonyms: Pseudonyms,
        skip: Sequence[Path] = (),
    ) -> None:
        self.source = source
        self.root = root
        self._segmentations = segmentations
        self._by_place = by_place
        files = [] if root is None else files_below(root, skip)
        self._volumes = None if root is None else VolumeIndex(files, root, pseudonyms)
        self._pictures = {} if root is None else picture_files(files, root)
        self._picture_files = [path for path in files if path.suffix.lower() in PICTURE_SUFFIXES]

    def of_series(
        self, series: str, study: str, patient: str, paths: Sequence[Path], references: Collection[str] = ()
    ) -> MaskFiles:
        """The files that may belong to a series, given its tokens, its image files and its frames of reference."""
        volumes: tuple[Path, ...] = ()
        if self._volumes is not None:
            volumes = self._volumes.of_series(series, study, patient, sorted({path.parent for path in paths}))
        names = {path: name_without_suffix(path.relative_to(self.source)) for path in paths}
        pictures = {path: self._pictures[name] for path, name in names.items() if name in self._pictures}
        by_place = {path for reference in references for path in self._by_place.get(reference, ())}
        return MaskFiles(
            volumes, tuple(sorted(set(self._segmentations.get(series, ())))), tuple(sorted(by_place)), pictures
        )

    def all_files(self) -> set[Path]:
        """Every mask file, whether or not a series has it."""
        known = {path for index in (self._segmentations, self._by_place) for paths in index.values() for path in paths}
        return known.union(self._picture_files, () if self._volumes is None else self._volumes.files)
