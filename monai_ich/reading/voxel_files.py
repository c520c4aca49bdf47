# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Where the voxels of an NRRD or MetaImage file lie, in the file itself or beside it, and whether all are there."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from monai_ich.utils.errors import ImageReadError

# Deflate packs at most 1032 bytes into one.
MOST_PACKED = 1032
_MOST_HEADER_BYTES = 1 << 20
_META_SUFFIXES = (".mha", ".mhd")


@dataclass(frozen=True)
class VoxelFile:
    """The file that holds the voxels.

    Attributes:
        path: of that file.
        is_detached: it is another file than the header's.
        is_raw: one value after the other, neither packed nor written as text.
        skipped: bytes before the first voxel of a detached file; None when only the reader finds out.
    """

    path: Path
    is_detached: bool
    is_raw: bool
    skipped: int | None

    def refuse_other_size(self, needed: int, shape: list[int], header: Path) -> None:
        """Raises ImageReadError when the file holds fewer bytes than the header gives, or, detached and raw, more.

        A surplus shows that the header is another's, or its size wrong by a column: the picture would be sheared.
        """
        held = self.path.stat().st_size
        gives = f"cannot be decoded: its header gives {shape} voxels"
        if self.is_raw and self.is_detached and self.skipped is not None and held != needed + self.skipped:
            raise ImageReadError(
                header,
                f"{gives}, {needed} bytes after {self.skipped}, but its data file {self.path.name} holds {held} bytes",
                "Copy both again from their source.",
            )
        if needed > held * (1 if self.is_raw else MOST_PACKED):
            where = f"its data file {self.path.name}" if self.is_detached else "the file"
            fault = f"{gives}, {needed} bytes, more than {where} can hold"
            raise ImageReadError(header, fault, "Copy it again from its source.")


def voxel_file(header: Path) -> VoxelFile:
    """Reads the fields of a header that say where its voxels lie.

    Sources: the NRRD format, fields `data file`, `encoding`, `byte skip`, `line skip`; MetaIO, tags `ElementDataFile`,
    `BinaryData`, `CompressedData`, `HeaderSize`.

    Raises:
        ImageReadError: the header is too long, or names several data files, or one that is no file.
    """
    if header.suffix.lower() in _META_SUFFIXES:
        fields = dict(_meta_fields(header))
        name = fields.get("elementdatafile", "local")
        name = "" if name.lower() == "local" else name
        is_raw = _says(fields, "binarydata", "true") and not _says(fields, "compresseddata", "true")
        skipped = fields.get("headersize", "0")
    else:
        fields = dict(_nrrd_fields(header))
        name, is_raw = fields.get("datafile", ""), _says(fields, "encoding", "raw")
        skipped = fields.get("byteskip", "0") if _says(fields, "lineskip", "0") else ""
    if not name:
        return VoxelFile(header, False, is_raw, None)
    return VoxelFile(
        _beside(header, name), True, is_raw, int(skipped) if re.fullmatch("[0-9]{1,18}", skipped) else None
    )


def _says(fields: dict[str, str], name: str, value: str) -> bool:
    return fields.get(name, "0").lower() == value


def _beside(header: Path, name: str) -> Path:
    """The data file that a header names; raises ImageReadError when it names several, or what is no file."""
    if "%" in name or name.split()[:1] == ["LIST"]:
        raise ImageReadError(
            header, f"its voxels lie in several files ({name[:60]!r}); expected one", "Save it again as .nii.gz."
        )
    path = header.parent / name
    if "\0" in name or not path.is_file():
        raise ImageReadError(
            header, f"names the data file {name[:120]!r}, and there is no such file", "Copy it beside the header."
        )
    return path


def _nrrd_fields(header: Path) -> Iterator[tuple[str, str]]:
    """`field: value` until an empty line, names in lower case without blanks; `key:=value` is no field."""
    for line in _lines(header):
        if not line:
            return
        name, colon, value = line.partition(":")
        if colon and not line.startswith("#") and not value.startswith("="):
            yield name.lower().replace(" ", ""), value.strip()


def nrrd_pairs(header: Path) -> dict[str, str]:
    r"""The `key:=value` lines of an NRRD header, which hold what a program adds; `\n` and `\\` are unescaped.

    Raises:
        ImageReadError: the header does not end within a megabyte.
    """
    pairs: dict[str, str] = {}
    for line in _lines(header):
        if not line:
            break
        key, marked, value = line.partition(":=")
        if marked and not line.startswith("#"):
            pairs[key] = re.sub(r"\\([n\\])", lambda found: "\n" if found[1] == "n" else "\\", value)
    return pairs


def _meta_fields(header: Path) -> Iterator[tuple[str, str]]:
    """`Name = value` up to ElementDataFile, after which the voxels may follow."""
    for line in _lines(header):
        name, *value = re.split("[=:]", line, maxsplit=1)
        yield name.strip().lower(), "".join(value).strip()
        if name.strip().lower() == "elementdatafile":
            return


def _lines(header: Path) -> Iterator[str]:
    """Raises ImageReadError when the header does not end within a megabyte."""
    left = _MOST_HEADER_BYTES
    with header.open("rb") as stream:
        while line := stream.readline(left):
            left -= len(line)
            if left <= 0:
                raise ImageReadError(header, "cannot be decoded: its header does not end", "Copy it again.")
            yield line.decode("utf-8", errors="surrogateescape").strip()
