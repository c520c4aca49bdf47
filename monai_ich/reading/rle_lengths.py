# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""How much an RLE frame (DICOM PS3.5 annex G) unpacks to: counted by its packets before anything is unpacked."""

from __future__ import annotations

import itertools
import struct
from pathlib import Path

from pydicom.dataset import Dataset
from pydicom.encaps import generate_frames
from pydicom.uid import RLELossless

from monai_ich.utils.errors import ImageReadError

_HEADER_BYTES = 64
_MOST_SEGMENTS = 15
_LONGEST_PACKET = 128
_REMEDY = "Copy the file again from its source, or export it as Explicit VR Little Endian (uncompressed)."


def refuse_rle_inflation(dataset: Dataset, path: Path, count: int) -> None:
    """Raises ImageReadError when an RLE frame has other segments, or unpacks to another length, than the header gives.

    Two bytes may stand for 128, so a file of 64 MiB may unpack to 4 GiB. A row and a packet more than expected are
    padding, which real files have.

    Args:
        dataset: with its pixel data.
        path: of the file.
        count: frames by the header.
    """
    if "PixelData" not in dataset or dataset.file_meta.TransferSyntaxUID != RLELossless:
        return
    rows, columns = int(dataset.Rows), int(dataset.Columns)
    segments = int(dataset.get("SamplesPerPixel", 1)) * (int(dataset.BitsAllocated) // 8)
    for number, frame in enumerate(generate_frames(dataset.PixelData, number_of_frames=count)):
        bounds = _segment_bounds(frame)
        if bounds is None or len(bounds) != segments:
            found = "no table of segments" if bounds is None else f"{len(bounds)} segments"
            raise ImageReadError(path, f"its RLE frame {number} has {found}; expected {segments}", _REMEDY)
        for start, end in bounds:
            most = rows * columns + columns + _LONGEST_PACKET
            length = _unpacked_length(frame, start, end, most)
            if not rows * columns <= length <= most:
                told = f"more than {most}" if length > most else str(length)
                raise ImageReadError(
                    path,
                    f"a segment of its RLE frame {number} unpacks to {told} bytes; expected {rows * columns}",
                    _REMEDY,
                )


def _segment_bounds(frame: bytes) -> list[tuple[int, int]] | None:
    """Where each segment begins and ends; None when the header gives no such places within the frame."""
    if len(frame) < _HEADER_BYTES:
        return None
    count, *starts = struct.unpack_from("<16L", frame)
    if not 1 <= count <= _MOST_SEGMENTS:
        return None
    places = [*starts[:count], len(frame)]
    if places[0] < _HEADER_BYTES or any(end < start for start, end in itertools.pairwise(places)):
        return None
    return list(itertools.pairwise(places))


def _unpacked_length(frame: bytes, place: int, end: int, most: int) -> int:
    """Bytes that the packets from `place` to `end` stand for; counted no further than past `most`."""
    length = 0
    while place < end and length <= most:
        head = frame[place]
        if head < 128:  # so many bytes and one follow as they are
            length += min(head + 1, end - place - 1)
            place += head + 2
        elif head == 128:  # nothing
            place += 1
        else:  # the next byte, 257 - head times
            length += 257 - head if place + 1 < end else 0
            place += 2
    return length
