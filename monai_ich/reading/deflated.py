# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Deflated DICOM files: how much they unpack to is found out before pydicom unpacks them whole."""

from __future__ import annotations

import os
import struct
import zlib
from pathlib import Path
from typing import BinaryIO

from pydicom.uid import DeflatedExplicitVRLittleEndian

from monai_ich.utils.errors import ImageReadError

# Deflate makes CT slices two to ten times smaller. A slice of nothing but air gets much smaller, but is small unpacked.
_MOST_TIMES = 50
_ALWAYS_ALLOWED = 1 << 26
_META_AT = 132
_LONG = (b"OB", b"OW", b"OF", b"SQ", b"UN", b"UT")  # value representations whose length has four bytes (PS3.5, 7.1.2)
_CHUNK = 1 << 16


def refuse_inflation(file: BinaryIO, path: Path) -> None:
    """Raises ImageReadError when a deflated file unpacks to more than 64 MiB and more than 50 times its size.

    Args:
        file: open at its start, where it is left again.
        path: of the file, for the message.
    """
    is_dicom = file.read(_META_AT)[128:] == b"DICM"
    if not is_dicom or _transfer_syntax(file) != DeflatedExplicitVRLittleEndian:
        file.seek(0)
        return
    packed = path.stat().st_size
    most = max(_ALWAYS_ALLOWED, _MOST_TIMES * packed)
    unpacker, total = zlib.decompressobj(-zlib.MAX_WBITS), 0
    while total <= most and not unpacker.eof:
        data = unpacker.unconsumed_tail or file.read(_CHUNK)
        if not data:
            break
        total += len(unpacker.decompress(data, _CHUNK))
    file.seek(0)
    if total > most:
        raise ImageReadError(
            path,
            f"has {packed} bytes and unpacks to more than {most}, which no CT slice does",
            "Copy the file again from its source; where it is right, export it as Explicit VR Little Endian.",
        )


def _transfer_syntax(file: BinaryIO) -> str:
    """Reads on to the end of the file meta information, group 0002, whose own length (0002,0000) may be wrong."""
    found = ""
    while len(head := file.read(8)) == 8 and head[:2] == b"\x02\x00":
        (length,) = struct.unpack("<H", head[6:])
        if head[4:6] in _LONG:
            (length,) = struct.unpack("<I", file.read(4).ljust(4, b"\0"))
        if head[2:4] == b"\x10\x00":
            found = file.read(length).decode("latin-1").rstrip("\0 ")
        else:
            file.seek(length, os.SEEK_CUR)
    file.seek(-len(head), os.SEEK_CUR)
    return found
