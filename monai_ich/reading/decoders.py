# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Which decoder a DICOM transfer syntax takes, and what to install where it is missing."""

from __future__ import annotations

from pathlib import Path

from pydicom.pixels import get_decoder
from pydicom.uid import UID, JPEG2000TransferSyntaxes, JPEGLSTransferSyntaxes, JPEGTransferSyntaxes

from monai_ich.reading.codestream import HTJ2K
from monai_ich.utils.errors import ImageReadError

# The permissively licensed package that decodes each family; pydicom itself decodes native, deflated and RLE data.
_PACKAGES = (
    (tuple(JPEGLSTransferSyntaxes), "pyjpegls"),
    ((*JPEG2000TransferSyntaxes, *HTJ2K), "pylibjpeg-openjpeg"),
    (tuple(JPEGTransferSyntaxes), "python-gdcm"),
)
EXTRA = "pip install 'monai_ich[decoders]'"


def choose_decoder(syntax: UID, path: Path) -> str:
    """The plug-in to decode with; empty leaves the choice to pydicom, whose own order puts gdcm first.

    pyjpegls takes a quarter less time than gdcm for JPEG-LS.

    Raises:
        ImageReadError: when nothing that is installed decodes the file; the message names the package and the extra.
    """
    try:
        decoder = get_decoder(syntax)
    except NotImplementedError as error:
        raise ImageReadError(
            path,
            f"its transfer syntax {syntax} ({UID(syntax).name}) holds no CT slice that can be decoded",
            "Export it as Explicit VR Little Endian (uncompressed).",
        ) from error
    if decoder.is_available:
        return "pyjpegls" if "pyjpegls" in decoder.available_plugins else ""
    package = next((name for syntaxes, name in _PACKAGES if syntax in syntaxes), "")
    raise ImageReadError(
        path,
        f"is compressed as {decoder.UID.name} ({syntax}), which nothing that is installed decodes",
        f"Install the package {package}: {EXTRA}." if package else "Export it uncompressed.",
    )
