# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Awkward DICOM files, each with the HU that it must give or the words of its refusal; writes the table of the docs.

python tests/reading/awkward_files.py > docs/awkward_dicom.md
"""

from __future__ import annotations

import shutil
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pydicom
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.pixels import apply_rescale
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian

from monai_ich.reading import read_series
from monai_ich.reading.hounsfield import ValueRule
from monai_ich.utils.errors import ImageReadError

SHIPPED = Path(str(get_testdata_file("CT_small.dcm", download=False))).parent
DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "awkward_dicom.md"


@dataclass(frozen=True)
class Case:
    """One awkward file or folder.

    Attributes:
        what: what is awkward.
        file: where it comes from.
        make: puts it into a folder and returns its path.
        expected: HU (N,H,W) before the clamp at -1024, or the words of the refusal.
    """

    what: str
    file: str
    make: Callable[[Path], Path]
    expected: Callable[[], np.ndarray] | str


def source(name: str) -> Path:
    """A file of pydicom's or of the package pydicom-data's; nothing is downloaded."""
    found = get_testdata_file(name, download=False)
    if found is None:
        raise FileNotFoundError(f"{name}: expected in pydicom or pydicom-data; pip install 'monai_ich[test]'.")
    return Path(str(found))


def shipped(name: str, change: Callable[[Dataset], None] | None = None) -> Callable[[Path], Path]:
    """A file of `source`, copied, or changed and saved."""

    def make(folder: Path) -> Path:
        target = folder / "file.dcm"
        if change is None:
            return Path(shutil.copy(source(name), target))
        data = pydicom.dcmread(source(name), force=True)
        change(data)
        data.save_as(target)
        return target

    return make


def as_ct(data: Dataset) -> None:
    """Makes a CT of any image, so that its encoding can be tried; the pixels stay as they are."""
    data.SOPClassUID = data.file_meta.MediaStorageSOPClassUID = CTImageStorage
    data.Modality, data.RescaleSlope, data.RescaleIntercept = "CT", 1, 0
    data.ImageOrientationPatient, data.ImagePositionPatient = [1, 0, 0, 0, 1, 0], [0, 0, 0]
    data.setdefault("PixelSpacing", [1, 1])


def values(name: str) -> Callable[[], np.ndarray]:
    """pydicom's own decoding and rescale (none for files that have none), with the plug-in that pydicom prefers."""

    def decode() -> np.ndarray:
        data = pydicom.dcmread(source(name))
        return np.asarray(apply_rescale(data.pixel_array, data), np.float32)[None]

    return decode


def small(**changes: object) -> Callable[[Path], Path]:
    """CT_small, a native CT of 128 x 128, with attributes changed; None deletes one."""

    def change(data: Dataset) -> None:
        for keyword, value in changes.items():
            if value is None:
                delattr(data, keyword)
            else:
                setattr(data, keyword, value)

    return shipped("CT_small.dcm", change)


def with_pixels(stored: np.ndarray, bits: int, **changes: object) -> Callable[[Path], Path]:
    def change(data: Dataset) -> None:
        for keyword, value in changes.items():
            setattr(data, keyword, value)
        data.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        data.set_pixel_data(stored, "MONOCHROME2", bits, generate_instance_uid=False)

    return shipped("CT_small.dcm", change)


def upper_bits(folder: Path) -> Path:
    """CT_small with its 12 bits in the upper bits, as old scanners stored them."""

    def change(data: Dataset) -> None:
        data.PixelData = (data.pixel_array << 4).astype("<i2").tobytes()
        data.BitsStored, data.HighBit = 12, 15

    return shipped("CT_small.dcm", change)(folder)


def one_frame(data: Dataset) -> None:
    """As CT, the first of several frames, uncompressed."""
    as_ct(data)
    data.NumberOfFrames = 1
    data.PixelData = data.PixelData[: data.Rows * data.Columns * data.BitsAllocated // 8]


def bare(folder: Path) -> Path:
    """CT_small as a data set alone: no preamble, no file meta information."""
    data = pydicom.dcmread(source("CT_small.dcm"))
    data.preamble, data.file_meta = None, FileMetaDataset()
    data.save_as(folder / "file.dcm", implicit_vr=False, little_endian=True, enforce_file_format=False)
    return folder / "file.dcm"


def rescaled_by_frame(data: Dataset) -> None:
    """The enhanced perfusion map as a CT in HU, with another rescale for each frame and none that is shared."""
    shared = data.SharedFunctionalGroupsSequence[0]
    del shared.RealWorldValueMappingSequence, shared.PixelValueTransformationSequence
    for group, (slope, intercept) in zip(data.PerFrameFunctionalGroupsSequence, ENHANCED_RESCALE, strict=True):
        rescale = Dataset()
        rescale.RescaleSlope, rescale.RescaleIntercept, rescale.RescaleType = slope, intercept, "HU"
        group.PixelValueTransformationSequence = [rescale]


def enhanced_values() -> np.ndarray:
    """Columns turned round: the file's rows run towards the patient's right."""
    stored = pydicom.dcmread(source("eCT_Supplemental.dcm")).pixel_array.astype(np.float32)
    slopes, intercepts = np.array(ENHANCED_RESCALE, np.float32).T[:, :, None, None]
    return (stored * slopes + intercepts)[:, :, ::-1]


def folder_of(name: str) -> Callable[[Path], Path]:
    return lambda folder: Path(shutil.copytree(SHIPPED / "dicomdirtests" / name, folder / "series"))


def twice(folder: Path) -> Path:
    for name in ("a.dcm", "b.dcm"):
        shutil.copy(SHIPPED / "CT_small.dcm", folder / name)
    return folder


ENHANCED_RESCALE = ((1, -1024), (2, -1000))
_MR = values("MR_small.dcm")  # the compressed files hold this very picture
_WRAPPED = np.array([[3096, 4095], [0, 3095]], np.uint16)
_METAL = np.pad(np.array([[3096, 4095], [40, 1100]], np.uint16), 4)
_DENSE = np.array([[20, 4000], [40, 30]], np.uint16)
_PADDED = np.array([[-2000, -1000], [0, 40]], np.int16)

CASES = (
    Case("JPEG-LS", "MR_small_jpeg_ls_lossless, as CT", shipped("MR_small_jpeg_ls_lossless.dcm", as_ct), _MR),
    Case("JPEG-LS, near-lossless, 8 bit", "JPEGLSNearLossless_08, as CT",
         shipped("JPEGLSNearLossless_08.dcm", as_ct), values("JPEGLSNearLossless_08.dcm")),
    Case("JPEG-LS, near-lossless, 16 bit", "JPEGLSNearLossless_16, as CT",
         shipped("JPEGLSNearLossless_16.dcm", as_ct), values("JPEGLSNearLossless_16.dcm")),
    Case("JPEG lossless", "JPEG-LL, as CT", shipped("JPEG-LL.dcm", as_ct), values("JPEG-LL.dcm")),
    Case("JPEG lossy, 12 bit", "JPEG-lossy, as CT", shipped("JPEG-lossy.dcm", as_ct), "of a kind that no decoder here"),
    Case("JPEG 2000", "MR_small_jp2klossless, as CT", shipped("MR_small_jp2klossless.dcm", as_ct), _MR),
    Case("RLE", "MR_small_RLE, as CT", shipped("MR_small_RLE.dcm", as_ct), _MR),
    Case("big-endian", "MR_small_bigendian, as CT", shipped("MR_small_bigendian.dcm", as_ct), _MR),
    Case("JPEG 2000, signedness of header and stream differ; gantry tilt; padding -2000", "J2K_pixelrep_mismatch",
         shipped("J2K_pixelrep_mismatch.dcm"), values("J2K_pixelrep_mismatch.dcm")),
    Case("JPEG 2000, padding -2000", "693_J2KR", shipped("693_J2KR.dcm"), values("693_UNCR.dcm")),
    Case("signed 14 bit, padding -2000", "693_UNCR", shipped("693_UNCR.dcm"), values("693_UNCR.dcm")),
    Case("deflated", "image_dfl, as CT", shipped("image_dfl.dcm", as_ct), values("image_dfl.dcm")),
    Case("32 bit, big-endian", "rtdose_expb, first frame, as CT", shipped("rtdose_expb.dcm", one_frame),
         lambda: values("rtdose_expb.dcm")()[0, :1]),
    Case("no preamble", "CT_small, changed", bare, values("CT_small.dcm")),
    Case("value representations unknown (UN); rows from back to front", "explicit_VR-UN",
         shipped("explicit_VR-UN.dcm"), lambda: values("explicit_VR-UN.dcm")()[:, ::-1]),
    Case("enhanced CT, a rescale for each frame", "eCT_Supplemental, changed",
         shipped("eCT_Supplemental.dcm", rescaled_by_frame), enhanced_values),
    Case("enhanced CT, a map of blood flow", "eCT_Supplemental", shipped("eCT_Supplemental.dcm"),
         "is a map computed from CT, in ml/100ml/s and not in HU"),
    Case("signed 16 bit, intercept -1024", "CT_small", shipped("CT_small.dcm"), values("CT_small.dcm")),
    Case("unsigned 12 bit, negative HU wrapped", "CT_small, changed",
         with_pixels(_WRAPPED, 12, RescaleIntercept=0), lambda: np.array([[[-1000, -1], [0, 3095]]], np.float32)),
    Case("unsigned 12 bit, metal, and 0 where air was cut off", "CT_small, changed",
         with_pixels(_METAL, 12, RescaleIntercept=0), lambda: _METAL[None].astype(np.float32)),
    Case("unsigned 12 bit, metal or wrapped", "CT_small, changed", with_pixels(_DENSE, 12, RescaleIntercept=0),
         "they are metal, or negative HU that were stored modulo 4096"),
    Case("values in the upper bits", "CT_small, changed", upper_bits, "HighBit is 15 with BitsStored 12; expected 11"),
    Case("High Bit wrong, values in the lower bits", "CT_small, changed", small(BitsStored=13, HighBit=15),
         values("CT_small.dcm")),
    Case("padding below air", "CT_small, changed",
         with_pixels(_PADDED, 16, RescaleIntercept=0, PixelPaddingValue=-2000),
         lambda: _PADDED[None].astype(np.float32)),
    Case("no rescale", "CT_small, changed", small(RescaleSlope=None), "RescaleSlope is missing"),
    Case("MONOCHROME1", "CT_small, changed", small(PhotometricInterpretation="MONOCHROME1"), "expected PhotometricInt"),
    Case("MONOCHROME1, not CT", "RG1_UNCR", shipped("RG1_UNCR.dcm"), "expected Modality CT, got CR"),
    Case("MONOCHROME1, radiograph", "RG1_UNCR, as CT", shipped("RG1_UNCR.dcm", as_ct), "expected PhotometricInt"),
    Case("no preamble, not CT", "OT-PAL-8-face", shipped("OT-PAL-8-face.dcm"), "expected Modality CT, got OT"),
    Case("no preamble, palette colours", "OT-PAL-8-face, as CT", shipped("OT-PAL-8-face.dcm", as_ct),
         "got PALETTE COLOR"),
    Case("rescale to something else than HU", "CT_small, changed", small(RescaleType="Z_EFF"), "RescaleType is"),
    Case("no position", "CT_small, changed", small(ImagePositionPatient=None), "ImagePositionPatient is missing"),
    Case("localizer", "CT_small, changed", small(ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"]), "is a localizer"),
    Case("coronal", "CT_small, changed", small(ImageOrientationPatient=[1, 0, 0, 0, 0, -1]), "is a coronal slice"),
    Case("MR", "MR_small", shipped("MR_small.dcm"), "expected Modality CT, got MR"),
    Case("MR, cut short", "MR_truncated", shipped("MR_truncated.dcm"), "expected Modality CT, got MR"),
    Case("cut short", "MR_truncated, as CT", shipped("MR_truncated.dcm", as_ct), "holds 8130 bytes of pixel data"),
    Case("32-bit dose, big-endian", "rtdose_expb", shipped("rtdose_expb.dcm"), "expected Modality CT, got RTDOSE"),
    Case("deflated, not CT", "image_dfl", shipped("image_dfl.dcm"), "expected Modality CT"),
    Case("no pixels", "rtplan", shipped("rtplan.dcm"), "expected Modality CT, got RTPLAN"),
    Case("no pixels, private", "priv_SQ", shipped("priv_SQ.dcm"), "is cut short or damaged within its data set"),
    Case("no pixel data", "CT_small, changed", small(PixelData=None), "cannot be decoded"),
    Case("missing slices", "dicomdirtests/77654033/CT2", folder_of("77654033/CT2"), "mm apart where the series has"),
    Case("a slice twice", "CT_small", twice, "lie at the same position"),
)  # fmt: skip


def outcome(case: Case, folder: Path) -> np.ndarray | str:
    """What reading gives: HU, or the refusal without the folder's name."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            as_they_are = ValueRule(is_checked=False)  # most of these files show no head
            return read_series(case.make(folder), values=as_they_are, allow_lossy=True).pixels
    except ImageReadError as error:
        text = str(error).replace(f"{folder}/", "")
        return " ".join(text.partition("\n  - ")[2].split() or text.split())  # without the headline over all faults


def table() -> str:
    """The document: what happens to each file."""
    return "\n".join(_lines()) + "\n"


def _lines() -> Iterator[str]:
    yield "# What happens to awkward DICOM files\n"
    yield "This page is made by `tests/reading/awkward_files.py`. The tests compare each outcome with pydicom's own"
    yield "decoding and rescale. Values below -1024 HU become -1024. The files are those of pydicom and of the package"
    yield "pydicom-data. In some, one attribute was changed, or the header was made that of a CT with the same pixels"
    yield "(as CT). They were read with `--any-values --allow-lossy`, since most of them show no head.\n"
    yield "| what | file | outcome |"
    yield "|---|---|---|"
    for case in CASES:
        with tempfile.TemporaryDirectory() as folder:
            got = outcome(case, Path(folder))
        if isinstance(got, str):
            got = "refused: " + got.replace("|", "\\|")
        else:
            got = f"right values, {got.min():g} to {got.max():g} HU"
        yield f"| {case.what} | {case.file} | {got} |"


if __name__ == "__main__":
    sys.stdout.write(table())
