# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Whether a DICOM file's pixel data are as long as its header and its fragments say."""

from __future__ import annotations

import struct
from pathlib import Path

from pydicom.dataset import Dataset

from monai_ich.utils.errors import ImageReadError


def refuse_cut_fragments(dataset: Dataset, path: Path) -> None:
    """Raises ImageReadError when compressed pixel data end within a fragment (DICOM PS3.5 A.4).

    JPEG 2000 decoders accept a stream that is cut short, and give a blurred picture without a word.
    """
    if "PixelData" not in dataset or not dataset.file_meta.TransferSyntaxUID.is_encapsulated:
        return
    data = dataset.PixelData
    offset = 0
    while offset + 8 <= len(data):
        offset += 8 + struct.unpack_from("<I", data, offset + 4)[0]
    if offset > len(data):
        raise ImageReadError(
            path,
            f"its compressed pixel data are cut short ({offset - len(data)} bytes are missing)",
            "Copy the file again from its source.",
        )


def refuse_other_length(dataset: Dataset, path: Path, count: int) -> None:
    """Raises ImageReadError when uncompressed pixel data have not the length that the header gives.

    pydicom ignores what is too much. A file whose Columns is too small by one would then be read as a sheared picture:
    the surplus is a row or a column at least. Fewer bytes are padding, which real files have.
    """
    if "PixelData" not in dataset or dataset.file_meta.TransferSyntaxUID.is_encapsulated:
        return
    rows, columns, samples = int(dataset.Rows), int(dataset.Columns), int(dataset.get("SamplesPerPixel", 1))
    pixel_bits = int(dataset.BitsAllocated) * samples
    expected = -(-count * rows * columns * pixel_bits // 8)
    surplus = len(dataset.PixelData) - expected
    if not 0 <= surplus <= max(1, min(rows, columns) * pixel_bits // 8 - 1):
        raise ImageReadError(
            path,
            f"holds {len(dataset.PixelData)} bytes of pixel data, but {count} frames of {rows} rows x "
            f"{columns} columns at {pixel_bits} bits take {expected}",
            "Copy the file again from its source.",
        )
