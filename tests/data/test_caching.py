# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""The cache under concurrent processes, damage, a full disk, a kill, and a folder that is only to be read."""

from __future__ import annotations

import errno
import fcntl
import multiprocessing
import os
import resource
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pandas as pd
import pytest

from monai_ich.data.caching import ArrayCache
from monai_ich.data.store import SliceStore
from monai_ich.utils.errors import CacheError
from monai_ich.utils.files import PARTIAL

ARRAYS = {"image": np.arange(2 * 8 * 8, dtype=np.float32).reshape(2, 8, 8), "mask": np.ones((2, 8, 8), np.uint8)}
STUDIES = 4
FORK = multiprocessing.get_context("fork")


@pytest.fixture
def cache(tmp_path: Path) -> ArrayCache:
    cache = ArrayCache(tmp_path / "cache", ("image", "mask"))
    cache.store("x", ARRAYS)
    return cache


def in_process(function: Callable[[], Any]) -> int:
    """Runs a function in a process of its own; its exit status, negative for a signal."""
    process = FORK.Process(target=function)
    process.start()
    process.join(60)
    assert process.exitcode is not None
    return process.exitcode


def files(cache: ArrayCache, pattern: str) -> list[Path]:
    assert cache.folder is not None
    return sorted(cache.folder.glob(pattern))


def assert_whole(cache: ArrayCache) -> None:
    loaded = cache.load("x")
    assert loaded is not None
    for field, array in ARRAYS.items():
        np.testing.assert_array_equal(loaded[field], array)


def test_every_bit_of_the_header_counts(cache: ArrayCache) -> None:
    path = files(cache, "x.image.npy")[0]
    good = path.read_bytes()
    header = len(good) - ARRAYS["image"].nbytes - 4
    for position in [*range(header), *range(len(good) - 4, len(good))]:
        for bit in (0, 3, 7):
            damaged = bytearray(good)
            damaged[position] ^= 1 << bit
            path.write_bytes(damaged)
            assert cache.load("x") is None, (position, bit)
    path.write_bytes(good)
    assert_whole(cache)


def test_any_other_length_counts(cache: ArrayCache) -> None:
    path = files(cache, "x.mask.npy")[0]
    good = path.read_bytes()
    for data in [*(good[:length] for length in range(len(good))), good + b"\0", good * 2]:
        path.write_bytes(data)
        assert cache.load("x") is None
    cache.store("x", ARRAYS)
    assert_whole(cache)


def test_a_kill_in_the_middle_of_writing_leaves_nothing_that_is_believed(tmp_path: Path) -> None:
    cache = ArrayCache(tmp_path, ("image", "mask"))

    def die(kept: int) -> None:
        """Killed by itself after `kept` bytes, as by `kill -9`: no handler runs."""
        count = 0

        def save(file: Any, array: np.ndarray) -> None:
            nonlocal count
            for byte in np.lib.format.magic(1, 0) + array.tobytes():
                if count == kept:
                    file.flush()
                    os.kill(os.getpid(), signal.SIGKILL)
                file.write(bytes([byte]))
                count += 1

        np.save = save
        cache.store("x", ARRAYS)

    for kept in (0, 7, 100, 520, 600):  # within the first file, and within the second
        assert in_process(lambda kept=kept: die(kept)) == -signal.SIGKILL
        assert files(cache, f"{PARTIAL}*")
        assert cache.load("x") is None
    cache.store("x", ARRAYS)
    assert_whole(cache)


def test_a_kill_within_a_claim_leaves_no_lock(cache: ArrayCache) -> None:
    def die() -> None:
        with cache.claim("y") as claimed:
            assert claimed
            os.kill(os.getpid(), signal.SIGKILL)

    assert in_process(die) == -signal.SIGKILL
    with cache.claim("y", wait=False) as claimed:
        assert claimed


def test_where_there_are_no_locks_everyone_goes_on(cache: ArrayCache, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", refuse)
    for wait in (True, False):
        with cache.claim("y", wait) as first, cache.claim("y", wait) as second:
            assert first
            assert second
    assert files(cache, "*.lock") == []


def test_a_lock_whose_file_cannot_be_removed_is_let_go(cache: ArrayCache, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError("not yours")

    monkeypatch.setattr(Path, "unlink", refuse)
    with pytest.raises(PermissionError), cache.claim("y"):
        pass
    monkeypatch.undo()
    with cache.claim("y", wait=False) as claimed:
        assert claimed


def test_a_full_disk_is_named_and_loses_nothing(cache: ArrayCache) -> None:
    """A limit of the operating system on the size of files, which ends writing as a full disk does."""

    def fill() -> None:
        before = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (300, before[1]))
        with pytest.raises(CacheError, match=r"cache: the cache cannot be written .*Free space.*cache_dir"):
            cache.store("y", ARRAYS)
        resource.setrlimit(resource.RLIMIT_FSIZE, before)  # coverage writes its own file at the end

    assert in_process(fill) == 0
    assert cache.load("y") is None
    assert files(cache, f"{PARTIAL}*") == []
    assert_whole(cache)


def test_a_folder_that_is_only_to_be_read_serves_what_it_holds(cache: ArrayCache, tmp_path: Path) -> None:
    assert cache.folder is not None
    for folder in (cache.folder, *cache.folder.parents):
        if folder.stat().st_uid == os.getuid() and folder != Path("/"):
            folder.chmod(folder.stat().st_mode | 0o555)
    cache.folder.chmod(0o555)

    def use() -> None:
        if os.getuid() == 0:
            os.seteuid(65534)  # nothing is closed to root
        again = ArrayCache(cache.folder, ("image", "mask"))
        assert_whole(again)
        with pytest.raises(CacheError, match=r"cache: the cache cannot be written .*Permission denied"):
            again.store("y", ARRAYS)
        with pytest.raises(CacheError, match="permissions"), again.claim("y"):
            pass
        os.seteuid(os.getuid())

    assert in_process(use) == 0
    cache.folder.chmod(0o755)
    (tmp_path / "file").touch()
    with pytest.raises(CacheError, match=r"file: the cache cannot be written .*cache_dir"):
        ArrayCache(tmp_path / "file", ("image",))


class Decoder:
    """Stands in for preprocessing; notes each study that it decodes."""

    def __init__(self, notes: Path) -> None:
        self.notes = notes

    def __call__(self, item: dict[str, Any]) -> dict[str, np.ndarray]:
        path = Path(item["image"][0][0])
        with self.notes.open("a") as file:
            file.write(f"{path.name}\n")
        values = np.asarray(nib.load(path).dataobj, np.float32).transpose(2, 0, 1)
        return {"image": values, "mask": np.zeros(values.shape, np.uint8)}


def test_two_processes_fill_one_cache_and_decode_each_study_once(tmp_path: Path) -> None:
    rows = []
    for study in range(STUDIES):
        volume = np.full((16, 16, 2), study, np.int16)
        nib.save(nib.Nifti1Image(volume, np.eye(4)), tmp_path / f"{study}.nii")
        rows += [{"key": f"{study}/{n}", "image": f"{study}.nii", "image_slice": n, "study_id": study} for n in (0, 1)]
    frame = pd.DataFrame(rows).assign(mask="", mask_slice=pd.NA)
    barrier = FORK.Barrier(2)

    def store() -> SliceStore:
        decoder = Decoder(tmp_path / "notes")
        return SliceStore(frame, tmp_path, decoder, tmp_path / "cache", progress=False, num_workers=0)

    def fill() -> None:
        filled = store()
        barrier.wait(30)
        filled.prepare()
        for row in range(2 * STUDIES):
            assert (filled[row]["image"] == row // 2).all()

    processes = [FORK.Process(target=fill) for _ in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [0, 0]
    decoded = (tmp_path / "notes").read_text().split()
    assert sorted(decoded) == [f"{study}.nii" for study in range(STUDIES)]
    left = sorted(path.suffix for path in (tmp_path / "cache").iterdir())
    assert left == [".npy"] * 2 * STUDIES
    assert all((store()[row]["image"] == row // 2).all() for row in range(2 * STUDIES))
