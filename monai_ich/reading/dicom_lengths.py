# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Whether a DICOM file's pixel data are as long as its header and its fragments say, and its bits where they belong."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset
from pydicom.uid import RLELossless

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


def refuse_shifted_bits(dataset: Dataset, path: Path) -> None:
    """Raises ImageReadError when High Bit (0028,0102) is not Bits Stored (0028,0101) - 1, and values do not say why.

    The standard asks for it. In old files values may stand in the upper bits, and decoders do not shift them. A header
    that is only wrong shows in uncompressed values: all fit into the lower bits, and the lowest bits are in use. JPEG
    streams of all kinds have bits of their own, so there High Bit means nothing.
    """
    syntax = dataset.file_meta.TransferSyntaxUID
    if "HighBit" not in dataset or (syntax.is_encapsulated and syntax != RLELossless):
        return
    high, stored = int(dataset.HighBit), int(dataset.BitsStored)
    if high != stored - 1 and not _are_lower_bits(dataset, stored, high + 1 - stored):
        raise ImageReadError(
            path,
            f"HighBit is {high} with BitsStored {stored}; expected {stored - 1}, so its values may be shifted",
            "Export the original slice again, or correct the header after looking at the values.",
        )


def _are_lower_bits(dataset: Dataset, stored: int, shift: int) -> bool:
    """Whether uncompressed values fit into the lower bits, and would lose some if they were shifted."""
    syntax = dataset.file_meta.TransferSyntaxUID
    if syntax.is_encapsulated or "PixelData" not in dataset or dataset.BitsAllocated not in (8, 16, 32):
        return False
    is_signed = bool(dataset.get("PixelRepresentation"))
    kind = f"{'<' if syntax.is_little_endian else '>'}{'i' if is_signed else 'u'}{dataset.BitsAllocated // 8}"
    size = int(dataset.BitsAllocated) // 8
    raw = np.frombuffer(dataset.PixelData[: len(dataset.PixelData) // size * size], kind)
    if not raw.size or not 0 < stored <= dataset.BitsAllocated or not 0 < shift < dataset.BitsAllocated:
        return False
    low, high = (-(1 << (stored - 1)), 1 << (stored - 1)) if is_signed else (0, 1 << stored)
    fits = int(raw.min()) >= low and int(raw.max()) < high
    return fits and bool((raw & ((1 << shift) - 1)).any())


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
