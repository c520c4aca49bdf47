# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Sizes that a compressed file gives itself are compared or bounded before anything of that size is asked for."""

from __future__ import annotations

import struct
import tracemalloc
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pydicom
import pytest
from awkward_files import SHIPPED, as_ct, source
from pydicom.encaps import encapsulate, generate_frames
from pydicom.uid import DeflatedExplicitVRLittleEndian, RLELossless

import monai_ich.reading.dicom_frames as module
from monai_ich.reading import read_slices
from monai_ich.reading.codestream import refuse_other_size
from monai_ich.reading.rle_lengths import refuse_rle_inflation
from monai_ich.utils.errors import ImageReadError

DAMAGED = "JPEG2000-embedded-sequence-delimiter.dcm"


def _compressed() -> list[Path]:
    """Every file with compressed pixel data that pydicom and pydicom-data have here, JPEG of all kinds.

    One is left out: pydicom has damaged its codestream by a delimiter right within the size.
    """
    found = []
    for path in sorted({*SHIPPED.glob("*.dcm"), *source("693_J2KR.dcm").parent.glob("*.dcm")}):
        data = pydicom.dcmread(path, stop_before_pixels=True, force=True)
        syntax = getattr(data, "file_meta", {}).get("TransferSyntaxUID")
        if path.name != DAMAGED and syntax and syntax.is_encapsulated and "JPEG" in syntax.name and "Rows" in data:
            found.append(path)
    return found


@pytest.mark.parametrize("path", _compressed(), ids=lambda path: path.name)
def test_no_real_file_is_refused(path: Path) -> None:
    data = pydicom.dcmread(path)
    refuse_other_size(data, path, int(data.get("NumberOfFrames") or 1))


def test_there_are_files_of_every_kind() -> None:
    names = {pydicom.dcmread(path, stop_before_pixels=True).file_meta.TransferSyntaxUID.name for path in _compressed()}
    assert any("JPEG 2000" in name for name in names)
    assert any("JPEG-LS" in name for name in names)
    assert any("JPEG Lossless" in name for name in names)
    assert any("JPEG Baseline" in name for name in names)


def _in_siz(rows: int, columns: int, samples: int = 1) -> Callable[[bytearray], None]:
    def change(frame: bytearray) -> None:
        place = frame.find(b"\xff\x4f\xff\x51") + 8
        struct.pack_into(">IIII", frame, place, columns, rows, 0, 0)
        struct.pack_into(">IIII", frame, place + 16, columns, rows, 0, 0)  # the tile's, too
        struct.pack_into(">H", frame, place + 32, samples)

    return change


def _in_frame_header(marker: int, rows: int, columns: int) -> Callable[[bytearray], None]:
    def change(frame: bytearray) -> None:
        struct.pack_into(">HH", frame, frame.find(bytes([0xFF, marker])) + 5, rows, columns)

    return change


def _with_samples(frame: bytearray) -> None:
    frame[frame.find(b"\xff\xc3") + 9] = 255


def _cut_before_the_size(frame: bytearray) -> None:
    del frame[2:]


@pytest.mark.parametrize(
    ("name", "change", "told"),
    [
        (
            "693_J2KR.dcm",
            _in_siz(60000, 60000),
            "has 60000 rows x 60000 columns, 1 sample(s) a pixel, but the header says 512 rows",
        ),
        ("693_J2KR.dcm", _in_siz(512, 512, samples=16384), "has 512 rows x 512 columns, 16384 sample(s)"),
        ("693_J2KR.dcm", _in_siz(512, 513), "has 512 rows x 513 columns"),
        ("693_J2KR.dcm", _cut_before_the_size, "has no size of its own"),
        ("MR_small_jpeg_ls_lossless.dcm", _in_frame_header(0xF7, 65535, 65535), "has 65535 rows x 65535 columns"),
        ("JPEG-LL.dcm", _in_frame_header(0xC3, 65535, 256), "has 65535 rows x 256 columns"),
        ("JPEG-LL.dcm", _with_samples, " columns, 255 sample(s)"),
        ("JPEG-LL.dcm", _cut_before_the_size, "has no size of its own"),
    ],
)
def test_a_picture_of_another_size_is_refused_before_it_is_decoded(
    tmp_path: Path, name: str, change: Callable[[bytearray], None], told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = pydicom.dcmread(source(name))
    as_ct(data)
    frame = bytearray(next(generate_frames(data.PixelData, number_of_frames=1)))
    change(frame)
    data.PixelData = encapsulate([bytes(frame)])
    data.save_as(tmp_path / "lies.dcm")

    def never(*_: object, **__: object) -> None:
        pytest.fail("it was decoded")

    monkeypatch.setattr(module, "pixel_array", never)
    with pytest.raises(ImageReadError) as caught:
        read_slices(tmp_path / "lies.dcm")
    assert told in str(caught.value)


def _deflated(path: Path, zeros: int) -> Path:
    """CT_small, deflated, with a private element of so many zeros before its patient."""
    data = pydicom.dcmread(source("CT_small.dcm"))
    data.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    data.save_as(path)
    content = path.read_bytes()
    begin = 144 + struct.unpack_from("<I", content, 140)[0]
    body = zlib.decompress(content[begin:], -zlib.MAX_WBITS)
    place = body.find(b"\x10\x00\x10\x00")
    packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    parts = [packer.compress(body[:place] + b"\x09\x00\x10\x00LO\x04\x00TEST\x09\x00\x01\x10OB\x00\x00")]
    parts += [packer.compress(struct.pack("<I", zeros))]
    parts += [packer.compress(bytes(1 << 20)) for _ in range(zeros >> 20)]
    parts += [packer.compress(body[place:]), packer.flush()]
    path.write_bytes(content[:begin] + b"".join(parts))
    return path


@pytest.mark.parametrize(
    "change",
    [
        lambda meta: meta[:8] + struct.pack("<I", 9) + meta[12:],
        lambda meta: meta[:8] + b"\xff" * 4 + meta[12:],
        lambda meta: meta[12:],
        lambda meta: b"\x02\x00\x16\x00AE" + struct.pack("<H", 2000) + bytes(2000) + meta,
        lambda meta: b"\x02\x00\x02\x01OB\0\0" + struct.pack("<I", 70000) + bytes(70000) + meta,
    ],
    ids=["wrong group length", "length beyond the end", "none", "a long element first", "a very long one first"],
)
def test_wherever_the_deflated_part_begins(tmp_path: Path, change: Callable[[bytes], bytes]) -> None:
    content = _deflated(tmp_path / "bomb.dcm", 70 << 20).read_bytes()
    begin = 144 + struct.unpack_from("<I", content, 140)[0]
    (tmp_path / "bomb.dcm").write_bytes(content[:132] + change(content[132:begin]) + content[begin:])
    with pytest.raises(ImageReadError, match="unpacks to more than"):
        read_slices(tmp_path / "bomb.dcm")


def test_a_small_file_that_unpacks_to_very_much_is_refused(tmp_path: Path) -> None:
    path = _deflated(tmp_path / "bomb.dcm", 128 << 20)
    tracemalloc.start()
    with pytest.raises(ImageReadError, match=f"has {path.stat().st_size} bytes and unpacks to more than {1 << 26}"):
        read_slices(path)
    assert tracemalloc.get_traced_memory()[1] < 16 << 20
    tracemalloc.stop()


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: content[:2000] + b"\xff" * 10 + content[2010:],
        lambda content: content[:3000],
    ],
    ids=["bytes", "cut"],
)
def test_a_damaged_deflated_file_is_refused(tmp_path: Path, damage: Callable[[bytes], bytes]) -> None:
    path = _deflated(tmp_path / "file.dcm", 0)
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(ImageReadError):
        read_slices(path)


def test_a_deflated_slice_that_packs_well_is_read(tmp_path: Path) -> None:
    """A file that gets five hundred times as large, but not large."""
    path = _deflated(tmp_path / "air.dcm", 32 << 20)
    assert path.stat().st_size * 300 < 32 << 20
    np.testing.assert_array_equal(read_slices(path).pixels, read_slices(source("CT_small.dcm")).pixels)


def _rle(path: Path, segments: list[bytes], starts: list[int] | None = None) -> Path:
    """CT_small as RLE with segments of one's own."""
    data = pydicom.dcmread(source("CT_small.dcm"))
    places = np.cumsum([64, *map(len, segments)])[:-1].tolist() if starts is None else starts
    header = struct.pack("<16L", len(segments), *places, *[0] * (15 - len(places)))
    data.file_meta.TransferSyntaxUID = RLELossless
    data.PixelData = encapsulate([header + b"".join(segments)])
    data.save_as(path)
    return path


def _runs(length: int) -> bytes:
    """Zeros in packets of 128 and a rest."""
    return b"\x81\x00" * (length // 128) + (bytes([257 - length % 128, 0]) if length % 128 > 1 else b"")


PIXELS = 128 * 128


@pytest.mark.parametrize(
    ("segments", "starts", "told"),
    [
        ([_runs(PIXELS), _runs(64 << 20)], None, f"unpacks to more than {PIXELS + 256} bytes; expected {PIXELS}"),
        ([_runs(PIXELS), _runs(PIXELS - 128)], None, f"unpacks to {PIXELS - 128} bytes"),
        ([_runs(PIXELS)], None, "has 1 segments; expected 2"),
        ([_runs(PIXELS)] * 3, None, "has 3 segments; expected 2"),
        ([_runs(PIXELS)] * 2, [64, 1 << 30], "no table of segments"),
        ([_runs(PIXELS)] * 2, [300, 64], "no table of segments"),
        ([_runs(PIXELS)] * 2, [0, 64], "no table of segments"),
    ],
)
def test_an_rle_frame_of_another_length_is_refused_before_it_is_unpacked(
    tmp_path: Path, segments: list[bytes], starts: list[int] | None, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_: object, **__: object) -> None:
        pytest.fail("it was decoded")

    path = _rle(tmp_path / "lies.dcm", segments, starts)
    monkeypatch.setattr(module, "pixel_array", never)
    with pytest.raises(ImageReadError) as caught:
        read_slices(path)
    assert told in str(caught.value)


def test_rle_frames_of_every_encoder_and_padding_are_read(tmp_path: Path) -> None:
    """A packet of padding more; literal packets of one byte, as simple encoders write; and packets that say nothing."""
    simple = b"\x80" + b"\x00\x00" * PIXELS
    stack = read_slices(_rle(tmp_path / "a.dcm", [simple, _runs(PIXELS + 128)]))
    np.testing.assert_array_equal(stack.pixels, np.full((1, 128, 128), -1024))
    data = pydicom.dcmread(source("CT_small.dcm"))
    data.compress(RLELossless)
    data.save_as(tmp_path / "b.dcm")
    np.testing.assert_array_equal(read_slices(tmp_path / "b.dcm").pixels, read_slices(source("CT_small.dcm")).pixels)


def test_shipped_rle_files_have_the_lengths_that_they_say() -> None:
    found = 0
    for path in sorted(SHIPPED.glob("*RLE*.dcm")) + sorted(SHIPPED.glob("*rle*.dcm")):
        data = pydicom.dcmread(path)
        if data.file_meta.TransferSyntaxUID == RLELossless:
            refuse_rle_inflation(data, path, int(data.get("NumberOfFrames") or 1))
            found += 1
    assert found >= 5
