# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""What a file is that an import passes over: by its name, or, of DICOM, by its class. Nothing of a patient is in it."""

from __future__ import annotations

from pathlib import Path

from pydicom.dataset import Dataset
from pydicom.uid import UID, MediaStorageDirectoryStorage

from monai_ich.reading.file_tree import is_litter
from monai_ich.reading.volumes import is_volume

LITTER = "files that macOS or Windows left"
_SUFFIXES = {
    "archives (unpack them)": "zip 7z rar tar tgz gz bz2 xz zst iso mrb",
    "tables": "csv tsv xlsx xlsm xls ods",
    "text files": "txt md log rtf json xml html htm yaml yml ini inf dcmdir",
    "documents": "pdf doc docx odt ppt pptx",
    "pictures": "png jpg jpeg bmp tif tiff gif webp",
    "NumPy arrays": "npy npz",
    "surfaces and scenes": "stl obj vtk vtp vtm ply mrml",
    "programs": "exe dll bat sh so jar bin cab msi ocx com app",
    "volumes of kinds that are not read": "mgz mgh img hdr mnc raw zraw",
}
_KIND_OF_SUFFIX = {f".{suffix}": kind for kind, suffixes in _SUFFIXES.items() for suffix in suffixes.split()}


def kind_by_name(path: Path) -> str:
    """What a file is by its name alone, in the plural. An ending that is not known may name a patient: it is not told.

    >>> [kind_by_name(Path(name)) for name in ("a.zip", "b.nii.gz", "c.CSV", "scan.yamada")]
    ['archives (unpack them)', 'volumes', 'tables', 'files of unknown kinds']
    """
    if any(is_litter(part) for part in path.parts[-1:]):
        return LITTER
    if is_volume(path):
        return "volumes"
    return _KIND_OF_SUFFIX.get(path.suffix.lower(), "files of unknown kinds")


def kind_of_file(path: Path) -> str:
    """What a file that is no DICOM is; an empty one is empty, whatever its name says."""
    try:
        is_empty = path.stat().st_size == 0
    except OSError:  # a link to nothing, which whoever reads it refuses
        is_empty = False
    return "empty files" if is_empty else kind_by_name(path)


def kind_of_dicom(dataset: Dataset) -> str:
    """What a DICOM file that holds no CT slice is, by its SOP Class (0008,0016).

    >>> dataset = Dataset()
    >>> dataset.SOPClassUID = "1.2.840.10008.5.1.4.1.1.4"
    >>> kind_of_dicom(dataset)
    'DICOM: MR Image (not read)'
    """
    uid = UID(str(dataset.get("SOPClassUID") or ""))
    if uid == MediaStorageDirectoryStorage:
        return "DICOMDIR"
    known = uid.name if uid.is_valid and uid.name != str(uid) else "unknown class"
    return f"DICOM: {known.removesuffix(' Storage')} (not read)"
