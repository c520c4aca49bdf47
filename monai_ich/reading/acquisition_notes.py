# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""What a DICOM header says of how a slice was made that makes its values less than plain HU."""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from pydicom.dataset import Dataset
from pydicom.multival import MultiValue
from pydicom.uid import JPEGBaseline8Bit, JPEGExtended12Bit, JPEGLSNearLossless

from monai_ich.utils.errors import ImageReadError

MOST_LOSSY_RATIO = 15
_LOSSY_SYNTAXES = (JPEGBaseline8Bit, JPEGExtended12Bit, JPEGLSNearLossless)


def contrast_of(dataset: Dataset) -> str:
    """Whether a contrast agent is stated: "yes", "no", or "" where the header says nothing. Its name is not kept."""
    agent = str(dataset.get("ContrastBolusAgent") or "").strip().lower()
    return "" if not agent else "no" if agent in ("no", "none", "n") else "yes"


def lossy_of(dataset: Dataset) -> str:
    """Whether pixels were ever compressed with loss: "yes", "no", or "" where the header says nothing."""
    syntax = getattr(getattr(dataset, "file_meta", None), "TransferSyntaxUID", None)
    stated = {"00": "no", "01": "yes"}.get(str(dataset.get("LossyImageCompression") or ""), "")
    return "yes" if syntax in _LOSSY_SYNTAXES else stated


def lossy_ratio(dataset: Dataset) -> float:
    """Lossy Image Compression Ratio (0028,2112), of several steps their product; NaN where it is not stated as numbers.

    >>> dataset = Dataset()
    >>> dataset.LossyImageCompressionRatio = ["10", "4"]
    >>> lossy_ratio(dataset)
    40.0
    """
    try:
        stated = dataset.get("LossyImageCompressionRatio")
        return math.prod(map(float, stated if isinstance(stated, MultiValue) else [stated]))
    except (TypeError, ValueError):  # missing, empty, or text such as "10:1"; no slice is lost for a remark
        return math.nan


@dataclass(frozen=True)
class Acquisition:
    """How a slice was made, as far as its values suffer from it.

    Attributes:
        lossy: its pixels were compressed with loss.
        ratio: of that compression, as stated, or else by the size of the file; NaN where neither tells it.
        derived: it was computed from other images.
        contrast: a contrast agent was given.
    """

    lossy: bool = False
    ratio: float = math.nan
    derived: bool = False
    contrast: bool = False

    @classmethod
    def of(cls, dataset: Dataset, path: Path) -> Acquisition:
        """What the header and the size of its file say."""
        image_type = [str(part).upper() for part in dataset.get("ImageType") or ()]
        return cls(
            lossy_of(dataset) == "yes",
            _ratio(dataset, path),
            "DERIVED" in image_type[:1],
            contrast_of(dataset) == "yes",
        )


def _ratio(dataset: Dataset, path: Path) -> float:
    """The ratio as stated; without it, of a file that is compressed now, how much smaller it is than its pixels."""
    stated, syntax = lossy_ratio(dataset), dataset.file_meta.TransferSyntaxUID
    # an unknown syntax has no such property; whoever decodes the file refuses it by its name
    if not math.isnan(stated) or not syntax.is_transfer_syntax or not syntax.is_compressed:
        return stated
    bits = int(dataset.get("BitsAllocated") or 0) * int(dataset.get("SamplesPerPixel") or 1)
    pixels = int(dataset.get("Rows") or 0) * int(dataset.get("Columns") or 0) * int(dataset.get("NumberOfFrames") or 1)
    return pixels * bits / 8 / path.stat().st_size


def refuse_lossy(acquisition: Acquisition, path: Path) -> None:
    """Raises ImageReadError where pixels were compressed with so much loss that the density of tissue is gone."""
    if acquisition.lossy and acquisition.ratio > MOST_LOSSY_RATIO:
        raise ImageReadError(
            path,
            f"its pixels were compressed with loss at {acquisition.ratio:.3g}:1; expected {MOST_LOSSY_RATIO}:1 or "
            "less, since more changes the density of brain by 10 HU and more",
            "Take the original series, or accept the loss with --allow-lossy.",
        )


def acquisition_notes(slices: Collection[Acquisition]) -> tuple[str, ...]:
    """What a reader of the result has to know of a series, in words; of several ratios the highest."""
    notes = []
    if any(one.lossy for one in slices):
        known = [one.ratio for one in slices if one.lossy and not math.isnan(one.ratio)]
        by = f" at {max(known):g}:1" if known else ""
        notes.append(f"pixels were compressed with loss{by}: fine differences of density may be gone")
    if any(one.derived for one in slices):
        notes.append("the image is derived, such as a reformat or a projection, and was not acquired so")
    if any(one.contrast for one in slices):
        notes.append("a contrast agent was given: vessels may look like blood")
    return tuple(notes)
