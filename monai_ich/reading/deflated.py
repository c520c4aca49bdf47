# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Deflated DICOM files: how much they unpack to is found out before pydicom unpacks them whole."""

from __future__ import annotations

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
_CHUNK = 1 << 16


def refuse_inflation(file: BinaryIO, path: Path) -> None:
    """Raises ImageReadError when a deflated file unpacks to more than 64 MiB and more than 50 times its size.

    Args:
        file: open at its start, where it is left again.
        path: of the file, for the message.
    """
    start = file.read(1024)
    file.seek(0)
    if start[128:132] != b"DICM" or DeflatedExplicitVRLittleEndian.encode() not in start:
        return
    packed = path.stat().st_size
    most = max(_ALWAYS_ALLOWED, _MOST_TIMES * packed)
    # File Meta Information Group Length (0002,0000), of which the standard says that it comes first (PS3.10, 7.1)
    file.seek(_META_AT + 12 + struct.unpack_from("<I", start, _META_AT + 8)[0])
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
