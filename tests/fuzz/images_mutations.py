# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Mutates image files, bytes and tags, and judges what the loader makes of them; one random source decides all."""

from __future__ import annotations

import gzip
import random
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pydicom
from image_bases import write_bases
from pydicom.dataelem import DataElement
from pydicom.errors import BytesLengthException, InvalidDicomError

from monai_ich.audit.acquisition import read_acquisition
from monai_ich.reading import read_series, read_slices
from monai_ich.transforms import LoadSlicesd
from monai_ich.utils.errors import ImageReadError

# Attributes that say nothing of pixels or geometry: whatever is in them, the slice is the same.
HARMLESS_TEXTS = ("PatientName", "PatientID", "StudyDescription", "SeriesDescription", "Manufacturer", "StudyID")
HARMLESS_NUMBERS = ("WindowCenter", "WindowWidth", "KVP", "InstanceNumber", "SliceLocation")
CRITICAL_TAGS = (
    *("Rows", "Columns", "BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation", "SamplesPerPixel"),
    *("NumberOfFrames", "PhotometricInterpretation", "RescaleSlope", "RescaleIntercept", "RescaleType", "Modality"),
    *("ImageOrientationPatient", "ImagePositionPatient", "PixelSpacing", "SliceThickness", "PixelPaddingValue"),
    *("ImageType", "SOPClassUID", "PixelData", "SpecificCharacterSet", "PlanarConfiguration", "SeriesNumber"),
    *("PerFrameFunctionalGroupsSequence", "SharedFunctionalGroupsSequence", "SeriesInstanceUID"),
)
NASTY_TEXTS = (
    *("", " ", "0", "1", "-1", "nan", "inf", "1e400", "1e30", "abc", "1\\2", "1\\0\\0\\0\\1\\0", "0\\0\\0\\0\\0\\0"),
    *("nan\\0\\0\\0\\1\\0", "inf\\1", "1\\1\\1", "0.5\\-0.5", "65535", "2147483647", "9" * 30, "CT", "1.2.3", "\\"),
    *("2\\0\\0\\0\\1\\0", "1\\0\\0\\1\\0\\0", "MONOCHROME1", "LOCALIZER", "1.2.840.10008.1.2.4.50", "\\\\\\", "1,5"),
)
SYNTAXES = (
    *("1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2", "1.2.840.10008.1.2.1.99", "1.2.3", ""),
    *("1.2.840.10008.1.2.4.80", "1.2.840.10008.1.2.4.90", "1.2.840.10008.1.2.5", "1.2.840.10008.1.2.4.50", "nonsense"),
)
NIFTI_FIELDS = (
    *("dim", "datatype", "bitpix", "pixdim", "vox_offset", "scl_slope", "scl_inter", "qform_code", "sform_code"),
    *("quatern_b", "qoffset_x", "srow_x", "srow_z", "magic", "sizeof_hdr", "xyzt_units", "intent_code"),
)


def mutate_bytes(rng: random.Random, data: bytes) -> bytes:
    kind, where = rng.randrange(6), rng.randrange(len(data) + 1)
    if rng.random() < 0.5:
        where = min(where, rng.randrange(1200))  # headers are where the structure is
    if kind == 0:
        return data[:where]
    if kind == 1:
        return data[:where] + rng.randbytes(rng.randrange(1, 9)) + data[where:]
    if kind == 2:
        return data[:where] + data[where + rng.randrange(1, 9) :]
    if kind == 3:
        number = struct.pack("<I", rng.choice([0, 1, 0x7FFFFFFF, 0xFFFFFFFF, 0xFFFF, 1 << 24]))
        return data[:where] + number + data[where + 4 :]
    if kind == 4:
        return data + rng.randbytes(rng.randrange(1, 3000))
    flipped = bytearray(data)
    for _ in range(rng.randrange(1, 6)):
        flipped[min(where + rng.randrange(40), len(flipped) - 1)] ^= 1 << rng.randrange(8)
    return bytes(flipped)


def mutate_tag(rng: random.Random, data: pydicom.Dataset) -> None:
    """Changes one attribute to what its own VR hardly allows, takes it away, or changes its VR."""
    name = rng.choice(CRITICAL_TAGS)
    kind = rng.randrange(5)
    if kind == 0:
        if name in data:
            del data[name]
    elif kind == 1:
        data[name] = DataElement(name, "UN", rng.randbytes(rng.randrange(12)))
    elif name == "PixelData":
        data.PixelData = data.PixelData[: rng.randrange(len(data.PixelData))]
    else:
        tag = pydicom.datadict.tag_for_keyword(name)
        vr = pydicom.datadict.dictionary_VR(tag)
        if vr in ("US", "US or SS"):
            number = rng.choice([0, 1, 7, 12, 16, 31, 33, 64, 512, 4096, 65535])
            data[name] = DataElement(tag, "US", rng.choice([number, [number, 3]]))
        elif vr == "SQ":
            data[name] = DataElement(tag, "SQ", [pydicom.Dataset()] * rng.randrange(3))
        else:
            data[name] = DataElement(tag, "UN", rng.choice(NASTY_TEXTS).encode())
            data[name].VR = "UN"
    if rng.random() < 0.15:
        data.file_meta.TransferSyntaxUID = rng.choice(SYNTAXES)


def _write_dicom(data: pydicom.Dataset, path: Path) -> None:
    """As it is, whatever it is."""
    with pydicom.config.disable_value_validation():
        data.save_as(path)


def _mutate_nifti(rng: random.Random, path: Path, target: Path) -> None:
    packed = path.suffix == ".gz"
    content = gzip.decompress(path.read_bytes()) if packed else path.read_bytes()
    size = 540 if int.from_bytes(content[:4], "little") == 540 else 348
    header = np.frombuffer(content[:size], nib.nifti1.header_dtype if size == 348 else nib.nifti2.header_dtype).copy()
    name = rng.choice(NIFTI_FIELDS)
    values = header[name] if header[name].ndim == 1 and header[name].shape == (1,) else header[name][0]
    if header.dtype[name].kind == "S":
        header[name] = rng.choice([b"ni1", b"n+1", b"", b"n+3"])
    else:
        position = rng.randrange(len(values))
        nasty = [0, 1, -1, 2, 7, 64, 128, 512, 1024, 1792, 2048, 32767, 100, 4, 348, 352]
        floats = [*nasty, float("nan"), float("inf"), 1e30, -0.5, 1e-30]
        chosen = rng.choice(floats if values.dtype.kind == "f" else nasty)
        values[position] = chosen if values.dtype.kind == "f" or values.dtype.itemsize > 1 else chosen % 256
    changed = header.tobytes() + content[size:]
    target.write_bytes(gzip.compress(changed) if packed else changed)


def mutate(rng: random.Random, base: Path, target: Path) -> str:
    """Writes a mutated copy of `base`; returns the kind of mutation."""
    target.write_bytes(base.read_bytes())
    kind = rng.choice(["bytes", "bytes", "header", "header", "harmless"])
    if kind == "harmless" and base.suffix == ".dcm":
        data = pydicom.dcmread(base)
        name = rng.choice(HARMLESS_TEXTS)
        setattr(data, name, rng.choice(["", "^^^", "é" * 30, "A\\B", "x" * 300, "=1+1", "\t"]))
        setattr(data, rng.choice(HARMLESS_NUMBERS), rng.choice(["0", "-1", "7", "2147483647"]))
        data.add_new(0x00091001, "UN", rng.randbytes(rng.randrange(50)))
        _write_dicom(data, target)
    elif kind == "harmless" and base.name.endswith(".nii.gz"):
        target.write_bytes(gzip.compress(gzip.decompress(base.read_bytes()), rng.randrange(10)))
    elif kind == "header" and base.suffix == ".dcm":
        data = pydicom.dcmread(base)
        try:
            for _ in range(rng.choice([1, 1, 2])):
                mutate_tag(rng, data)
            _write_dicom(data, target)
        except (
            ValueError,
            TypeError,
            AttributeError,
            OSError,
            struct.error,
            NotImplementedError,
            LookupError,
            OverflowError,
            BytesLengthException,
        ):
            kind = "not written"  # pydicom refuses such a file: there is nothing to read
    elif kind == "header" and ".nii" in base.name:
        _mutate_nifti(rng, base, target)
    elif kind != "harmless":
        kind = "bytes"
        data_bytes = base.read_bytes()
        if base.suffix == ".gz" and rng.random() < 0.6:
            data_bytes = gzip.compress(mutate_bytes(rng, gzip.decompress(data_bytes)))
        else:
            data_bytes = mutate_bytes(rng, data_bytes)
        target.write_bytes(data_bytes)
    return kind


def judge(path: Path, base: Path, kind: str) -> str:
    """Reads a file in every way that training, prediction and the audit do; returns "read" or "refused".

    Raises:
        AssertionError: a message without the file's name, or values that are not those of an independent reading.
        Exception: any error that is not the project's own.
    """
    stack = _attempt(lambda: read_slices(path), path)
    series = _attempt(lambda: read_series(path, allow_gaps=True), path)
    mask = _attempt(lambda: read_slices(path, [0], "mask"), path)
    item = {"image": [(path, 0)], "mask": [(path, 0)], "key": ["k0"]}
    _attempt(lambda: LoadSlicesd()(item), path)
    _attempt(lambda: read_acquisition(path), path)
    if kind == "harmless":
        assert stack is not None
        np.testing.assert_array_equal(stack.pixels, read_slices(base).pixels)
    for read in (stack, series):
        if read is not None:
            _check_stack(read, path, base)
    if mask is not None:
        assert set(np.unique(mask.pixels)) <= {0, 1}
    return "refused" if stack is None else "read"


def _attempt(read: Callable[[], Any], path: Path) -> Any:
    try:
        return read()
    except ImageReadError as error:
        message = str(error)
    assert path.name in message, message
    assert len(message) < 5000, message
    return None


def _check_stack(stack: Any, path: Path, base: Path) -> None:
    assert min(stack.pixels.shape) > 0
    assert np.isfinite(stack.pixels).all()
    assert np.isfinite(stack.affine_ras_mm).all()
    assert min(stack.spacing_mm_rc) > 0
    if path.suffix == ".dcm":
        reference = _dicom_reference(path, base)
        if reference is not None:
            got = np.stack([stack.reorientation.undo(stack.pixels)[..., n].T for n in range(len(stack.pixels))])
            np.testing.assert_allclose(np.sort(got.ravel()), np.sort(reference.ravel()), rtol=1e-5, atol=1e-2)
    elif ".nii" in path.name:
        stored = nib.load(path)
        volume = np.asanyarray(stored.dataobj)
        volume = volume.reshape(volume.shape[:3] if volume.ndim > 2 else (*volume.shape, 1))
        flips = nib.orientations.io_orientation(stored.affine)
        reference = nib.orientations.apply_orientation(volume, flips)
        expected = np.maximum(reference[::-1, ::-1].transpose(2, 1, 0).astype(np.float32), -1024)
        backwards = stack.source_affine_ras_mm[2, stack.reorientation.axes[0]] < 0
        np.testing.assert_array_equal(stack.pixels, expected[::-1] if backwards else expected)


def _dicom_reference(path: Path, base: Path) -> np.ndarray | None:
    """HU by pydicom alone; None where compressed data were changed, which no reader can notice."""
    try:
        data = pydicom.dcmread(path)
    except InvalidDicomError:
        data = pydicom.dcmread(path, force=True)
    except MemoryError:  # pydicom asks for as much as a damaged length says
        return None
    compressed = "TransferSyntaxUID" in data.file_meta and data.file_meta.TransferSyntaxUID.is_encapsulated
    if compressed and data.PixelData != pydicom.dcmread(base).PixelData:
        return None
    if "TransferSyntaxUID" not in data.file_meta or "PerFrameFunctionalGroupsSequence" in data:
        return None
    stored = data.pixel_array.astype(np.float64)
    if data.get("PixelPaddingValue") is not None or (data.BitsStored == 12 and data.PixelRepresentation == 0):
        return None
    return np.maximum(stored * float(data.RescaleSlope) + float(data.RescaleIntercept), -1024.0)


def prepare(folder: Path) -> Callable[[random.Random], str]:
    """Makes the base files; returns one case of the fuzzer."""
    bases = write_bases(folder / "bases")

    def case(rng: random.Random) -> str:
        base = rng.choice(bases)
        suffix = "".join(base.suffixes)
        target = folder / f"mutated{suffix}"
        kind = mutate(rng, base, target)
        return kind if kind == "not written" else judge(target, base, kind)

    return case
