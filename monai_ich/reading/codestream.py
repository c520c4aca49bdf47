# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""What size a compressed picture gives itself: a decoder asks for that much memory before anything can be checked."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path

from pydicom.dataset import Dataset
from pydicom.encaps import generate_frames
from pydicom.uid import JPEG2000TransferSyntaxes, JPEGLSTransferSyntaxes, JPEGTransferSyntaxes

from monai_ich.utils.errors import ImageReadError

# High-throughput JPEG 2000, lossless and lossy (DICOM PS3.5 A.4.10).
HTJ2K = ("1.2.840.10008.1.2.4.201", "1.2.840.10008.1.2.4.202", "1.2.840.10008.1.2.4.203")
_JPEG_2000 = (*JPEG2000TransferSyntaxes, *HTJ2K)
_JPEG = (*JPEGTransferSyntaxes, *JPEGLSTransferSyntaxes)

_START_AND_SIZE = b"\xff\x4f\xff\x51"  # SOC and SIZ, the first two markers of a codestream (ISO 15444-1, A.4 and A.5)
_MOST_BEFORE = 1 << 12  # bytes that a file's wrapping may put before the codestream
# Markers that begin a frame (ISO 10918-1, table B.1; ISO 14495-1, C.1.1): SOF0..SOF15 but DHT, JPG, DAC; and SOF55.
_FRAME_MARKERS = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC} | {0xF7}
_ALONE = frozenset({0x01, *range(0xD0, 0xD9)})  # markers without a segment


def refuse_other_size(dataset: Dataset, path: Path, count: int) -> None:
    """Raises ImageReadError when a compressed frame has not the rows, columns and samples that the header gives.

    Args:
        dataset: with its pixel data.
        path: of the file.
        count: frames by the header.
    """
    syntax = dataset.file_meta.TransferSyntaxUID
    if "PixelData" not in dataset or syntax not in (*_JPEG_2000, *_JPEG):
        return
    size_of = _size_of_jpeg_2000 if syntax in _JPEG_2000 else _size_of_jpeg
    expected = (int(dataset.Rows), int(dataset.Columns), int(dataset.get("SamplesPerPixel", 1)))
    for number, frame in enumerate(generate_frames(dataset.PixelData, number_of_frames=count)):
        found = size_of(frame)
        if found != expected:
            told = "no size of its own" if found is None else _words(found)
            raise ImageReadError(
                path,
                f"its compressed frame {number} has {told}, but the header says {_words(expected)}",
                "Copy the file again from its source, or export it as Explicit VR Little Endian (uncompressed).",
            )


def _words(size: tuple[int, int, int]) -> str:
    return f"{size[0]} rows x {size[1]} columns, {size[2]} sample(s) a pixel"


def _size_of_jpeg_2000(frame: bytes) -> tuple[int, int, int] | None:
    """Rows, columns and samples of the image area; None where no codestream begins."""
    start = frame.find(_START_AND_SIZE, 0, _MOST_BEFORE)
    if start < 0 or len(frame) < start + 42:
        return None
    right, bottom, left, top = struct.unpack_from(">IIII", frame, start + 8)
    (samples,) = struct.unpack_from(">H", frame, start + 40)
    return bottom - top, right - left, samples


def _size_of_jpeg(frame: bytes) -> tuple[int, int, int] | None:
    """Rows, columns and samples of the first frame header; None where there is none."""
    for marker, place in _segments(frame):
        if marker in _FRAME_MARKERS:
            if len(frame) < place + 8:
                return None
            rows, columns, samples = struct.unpack_from(">HHB", frame, place + 3)
            return rows, columns, samples
    return None


def _segments(frame: bytes) -> Iterator[tuple[int, int]]:
    """Each marker with the place of its segment, up to the first scan, after which pixels follow."""
    place = 0
    while place + 4 <= len(frame) and frame[place] == 0xFF:
        marker = frame[place + 1]
        if marker == 0xFF:  # any marker may be preceded by fill bytes
            place += 1
        elif marker in _ALONE:
            place += 2
        else:
            yield marker, place + 2
            if marker == 0xDA:
                return
            place += 2 + struct.unpack_from(">H", frame, place + 2)[0]
