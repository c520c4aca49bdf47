# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Reads one slice from a picture (PNG, JPEG) or a NumPy file; sizes that a header lies about take no memory."""

from __future__ import annotations

import struct
import warnings
import zlib
from pathlib import Path

import numpy as np
from PIL import Image

from monai_ich.utils.errors import ImageReadError

# What Pillow and NumPy raise on damaged files.
_READ_ERRORS = (
    OSError,
    EOFError,
    ValueError,
    TypeError,
    SyntaxError,
    ArithmeticError,
    LookupError,
    MemoryError,
    struct.error,
    zlib.error,
    Image.DecompressionBombError,
)


def read_picture(path: Path, mode: str = "") -> np.ndarray:
    """The values (rows, columns[, colours]) of a picture, converted to one of Pillow's modes if one is given.

    Raises:
        ImageReadError: it cannot be decoded, or gives more pixels than any slice has.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(path) as image:
                return np.asarray(image.convert(mode) if mode else image)
    except (*_READ_ERRORS, Image.DecompressionBombWarning) as error:
        raise ImageReadError(path, f"cannot be decoded ({error})", "Export it again.") from error


def read_array(path: Path) -> np.ndarray:
    """The array of an .npy file.

    Raises:
        ImageReadError: it cannot be decoded, holds Python objects or no numbers.
    """
    try:
        # mapped, not read: NumPy asks for as much memory as the header says before it looks at the file
        values = np.array(np.lib.format.open_memmap(path, mode="r"))
    except _READ_ERRORS as error:
        raise ImageReadError(path, f"cannot be decoded ({error})", "Export it again.") from error
    if values.dtype.kind not in "biuf":
        raise ImageReadError(path, f"holds {values.dtype}; expected numbers", "Export it again.")
    return values
