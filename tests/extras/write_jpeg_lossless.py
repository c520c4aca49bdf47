# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Writes a DICOM file again as JPEG lossless, first-order prediction: `write_jpeg_lossless.py SOURCE TARGET`."""

import sys

if __name__ == "__main__":
    import gdcm

    reader = gdcm.ImageReader()
    reader.SetFileName(sys.argv[1])
    assert reader.Read(), f"{sys.argv[1]} cannot be read"
    change = gdcm.ImageChangeTransferSyntax()
    change.SetTransferSyntax(gdcm.TransferSyntax(gdcm.TransferSyntax.JPEGLosslessProcess14_1))
    change.SetInput(reader.GetImage())
    assert change.Change(), "cannot be compressed"
    writer = gdcm.ImageWriter()
    writer.SetFileName(sys.argv[2])
    writer.SetFile(reader.GetFile())
    writer.SetImage(change.GetOutput())
    assert writer.Write(), f"{sys.argv[2]} cannot be written"
