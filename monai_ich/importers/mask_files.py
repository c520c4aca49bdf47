# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Finds the mask files that belong to a series: by what they are called, where they lie, or what they refer to."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
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
        segmentations: DICOM SEG files.
        pictures: image file -> PNG or NPY file of the same slice.
        shared: those of the volumes that may as well belong to a series of another frame of reference.
    """

    volumes: tuple[Path, ...] = ()
    segmentations: tuple[Path, ...] = ()
    pictures: dict[Path, Path] = field(default_factory=dict)
    shared: tuple[Path, ...] = ()

    def all_paths(self) -> list[Path]:
        """Every file, in a fixed order."""
        return [*self.volumes, *self.segmentations, *(self.pictures[path] for path in sorted(self.pictures))]


def volume_files(root: Path) -> list[Path]:
    """The volume files under a folder."""
    return [path for path in files_below(root) if is_volume(path)]


def picture_files(root: Path) -> dict[str, Path]:
    """PNG and NPY files by their path below `root`, without suffix."""
    files = [path for path in files_below(root) if path.suffix.lower() in PICTURE_SUFFIXES]
    return {name_without_suffix(path.relative_to(root)): path for path in files}


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

    def __init__(self, root: Path, pseudonyms: Pseudonyms) -> None:
        self.files = volume_files(root)
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
        pseudonyms: made the tokens.
    """

    def __init__(
        self, source: Path, root: Path | None, segmentations: dict[str, list[Path]], pseudonyms: Pseudonyms
    ) -> None:
        self.source = source
        self._segmentations = segmentations
        self._volumes = None if root is None else VolumeIndex(root, pseudonyms)
        self._pictures = {} if root is None else picture_files(root)

    def of_series(self, series: str, study: str, patient: str, paths: Sequence[Path]) -> MaskFiles:
        """The files that may belong to a series, given its tokens and its image files."""
        volumes: tuple[Path, ...] = ()
        if self._volumes is not None:
            volumes = self._volumes.of_series(series, study, patient, sorted({path.parent for path in paths}))
        names = {path: name_without_suffix(path.relative_to(self.source)) for path in paths}
        pictures = {path: self._pictures[name] for path, name in names.items() if name in self._pictures}
        return MaskFiles(volumes, tuple(sorted(set(self._segmentations.get(series, [])))), pictures)

    def count_unused(self, used: Sequence[MaskFiles]) -> int:
        """How many mask files are in none of `used`."""
        known = {path for paths in self._segmentations.values() for path in paths} | set(self._pictures.values())
        known |= set() if self._volumes is None else set(self._volumes.files)
        return len(known.difference(path for files in used for path in files.all_paths()))
