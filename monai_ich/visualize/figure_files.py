# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""The one place that turns a figure into bytes and files."""

from __future__ import annotations

import io
from pathlib import Path

import matplotlib
from matplotlib.figure import Figure

from monai_ich.utils.files import replace_file

DPI = 150
# Nothing in a file says when or by which version it was drawn, so that the same figure gives the same bytes.
_NO_DATES = {"png": {"Software": None}, "pdf": {"CreationDate": None}}


def figure_bytes(figure: Figure, file_format: str = "png", dpi: int = DPI) -> bytes:
    """The figure as `png` or `pdf`. A PDF holds curves and text as vectors, and its fonts as TrueType."""
    stream = io.BytesIO()
    with matplotlib.rc_context({"pdf.fonttype": 42}):  # 42: TrueType, which journals take and editors can change
        figure.savefig(stream, format=file_format, dpi=dpi, metadata=_NO_DATES[file_format])
    return stream.getvalue()


def save_figure(figure: Figure, png: Path) -> Path:
    """Writes a figure as PNG, for screens and MLflow, and beside it under the same name as PDF, for print.

    Returns:
        The PNG's path.
    """
    if png.suffix != ".png":
        raise ValueError(f"expected a path that ends in .png, got {png}")
    replace_file(png, figure_bytes(figure, "png"))
    replace_file(png.with_suffix(".pdf"), figure_bytes(figure, "pdf"))
    return png
