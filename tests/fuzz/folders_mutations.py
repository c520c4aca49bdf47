# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Mutates a series' folder: mixed series, missing and empty slices, odd names, links, folders called x.dcm."""

from __future__ import annotations

import os
import random
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
from image_bases import phantom_series
from images_mutations import mutate_bytes

from monai_ich.reading import read_series
from monai_ich.utils.errors import ImageReadError

ODD_NAMES = ("no_suffix", "IM 1.DCM", "ä ö.dcm", ".hidden.dcm", "a\nb.dcm", "x" * 200, "1.2.840.1", "\udcff.dcm")
HARMLESS = (
    "renamed",
    "sub-folder",
    "text file",
    "empty file",
    "folder called x.dcm",
    "link to itself",
    "link to a slice",
)


def mutate(rng: random.Random, folder: Path) -> list[str]:
    """Changes a folder of one series; returns what was done."""
    done = []
    for _ in range(rng.choice([1, 1, 2, 3])):
        kind = rng.choice([*HARMLESS, "missing", "damaged", "dangling link", "second series", "duplicate", "emptied"])
        slices = sorted(path for path in folder.rglob("*") if path.is_file() and path.stat().st_size > 500)
        if not slices:
            return done
        done.append(kind)
        _change(rng, kind, folder, rng.choice(slices))
    return done


def _change(rng: random.Random, kind: str, folder: Path, chosen: Path) -> None:
    free = folder / f"extra{rng.randrange(10**9)}"
    if kind == "renamed":
        target = chosen.with_name(rng.choice(ODD_NAMES))
        if not target.exists():
            chosen.rename(target)
    elif kind == "sub-folder":
        free.mkdir()
        chosen.rename(free / "deeper.dcm")
    elif kind == "text file":
        free.write_text("report")
    elif kind == "empty file":
        free.touch()
    elif kind == "folder called x.dcm":
        free.with_suffix(".dcm").mkdir()
    elif kind == "link to itself":
        free.symlink_to(folder, target_is_directory=True)
    elif kind == "link to a slice":
        shutil.move(chosen, folder.parent / free.name)
        chosen.symlink_to(folder.parent / free.name)
    elif kind == "missing":
        chosen.unlink()
    elif kind == "damaged":
        chosen.write_bytes(mutate_bytes(rng, chosen.read_bytes()))
    elif kind == "dangling link":
        chosen.unlink()
        chosen.symlink_to(folder / "nowhere")
    elif kind == "second series":  # in bytes: the slice may be damaged already, and pydicom would not write it
        content = chosen.read_bytes()
        uid = read_uid(content)
        free.write_bytes(content if not uid else content.replace(uid, b"1.2.3".ljust(len(uid), b"4")))
    elif kind == "duplicate":
        free.write_bytes(chosen.read_bytes())
    else:
        os.truncate(chosen, 0)


def read_uid(content: bytes) -> bytes:
    """The Series Instance UID of a slice in Explicit VR, as it lies in the file; empty when it is damaged."""
    _, _, after = content.partition(b"\x20\x00\x0e\x00UI")
    return after[2 : 2 + int.from_bytes(after[:2], "little")].rstrip(b"\0") if after else b""


def judge(folder: Path, whole: np.ndarray, done: list[str]) -> str:
    """Reads the series with and without gaps allowed; what does no harm must change nothing.

    Raises:
        AssertionError: slices are not those of the whole series, or a series is read that must be refused.
        Exception: any error that is not the project's own.
    """
    outcomes = [_read(folder, whole, done, allow_gaps) for allow_gaps in (False, True)]
    return "read" if any(outcomes) else "refused"


def _read(folder: Path, whole: np.ndarray, done: list[str], allow_gaps: bool) -> bool:
    try:
        stack = read_series(folder, allow_gaps=allow_gaps)
    except ImageReadError as error:
        message = str(error)
    else:
        _check(stack.pixels, whole, done)
        return True
    assert str(folder) in message
    assert not set(done) <= set(HARMLESS), message
    return False


def _check(pixels: np.ndarray, whole: np.ndarray, done: list[str]) -> None:
    if "damaged" not in done:  # a damaged slice may be no CT any more, nor then its copies
        assert not {"second series", "dangling link", "duplicate"} & set(done[-1:]), done
        assert {plane.tobytes() for plane in pixels} <= {plane.tobytes() for plane in whole}
        if not {"missing", "emptied", "dangling link"} & set(done):
            np.testing.assert_array_equal(pixels, whole)


def prepare(folder: Path) -> Callable[[random.Random], str]:
    """Makes the series; returns one case of the fuzzer."""
    source = phantom_series(folder, "explicit_vr_little_endian", slices=6)[0].parent
    whole = read_series(source).pixels

    def case(rng: random.Random) -> str:
        place = folder / "case"
        shutil.rmtree(place, ignore_errors=True)
        shutil.copytree(source, place / "series")
        return judge(place / "series", whole, mutate(rng, place / "series"))

    return case
