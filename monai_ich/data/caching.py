# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""A cache of decoded arrays that survives kills and concurrent processes, and knows when it is out of date."""

from __future__ import annotations

import contextlib
import errno
import functools
import hashlib
import importlib
import os
import sys
import time
import zlib
from collections.abc import Iterable, Iterator, Mapping
from enum import Enum
from pathlib import Path
from types import FunctionType
from typing import Any

import numpy as np
import torch
from filelock import FileLock, Timeout

from monai_ich.utils.errors import CacheError
from monai_ich.utils.files import PARTIAL, replaced

_STALE_AFTER_S = 24 * 3600  # no living process is still writing a partial file of that age
_NO_LOCKS = {errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP}  # what locking answers on a file system that has none
_CRC_BYTES = 4


class ArrayCache:
    """Named sets of arrays, in `.npy` files that are mapped into memory, or in RAM.

    A reader sees a whole file or none, and two processes may store the same name. After the array comes a checksum of
    its header: a file whose length or header is damaged counts as missing. A bit that flips within the data is not
    noticed. Disks check their own blocks, and reading every byte would cost the time that mapping saves. Deleting the
    folder is always safe.

    Args:
        folder: where the files lie (it is made); None keeps the arrays in this process.
        fields: the names of the arrays of one set.
    """

    def __init__(self, folder: Path | None, fields: tuple[str, ...]) -> None:
        self.folder = folder
        self.fields = fields
        self._memory: dict[str, dict[str, np.ndarray]] = {}
        if folder is not None:
            with _disk_faults_named(folder):
                folder.mkdir(parents=True, exist_ok=True)
            _remove_stale(folder)

    def load(self, name: str) -> dict[str, np.ndarray] | None:
        """The arrays stored under `name`, read-only; None when one of them is not there or not whole."""
        if self.folder is None:
            return self._memory.get(name)
        try:
            return {field: _load_checked(self._path(name, field)) for field in self.fields}
        except (OSError, ValueError, EOFError):
            return None

    def store(self, name: str, arrays: Mapping[str, np.ndarray]) -> None:
        """Stores all fields of `name`.

        Raises:
            CacheError: the folder cannot be written to, or the disk is full; what was stored before stays.
        """
        if self.folder is None:
            self._memory[name] = {field: arrays[field] for field in self.fields}
            return
        with _disk_faults_named(self.folder):
            for field in self.fields:
                with replaced(self._path(name, field)) as partial:
                    _save_checked(partial, arrays[field])

    @contextlib.contextmanager
    def claim(self, name: str, wait: bool = True) -> Iterator[bool]:
        """Lets one process at a time make `name`; yields False when another one does and `wait` is False.

        The lock is the operating system's (`flock`), so a killed process leaves none. On a network file system it holds
        between machines only as far as that file system says. Where there are no locks, everyone may go on: two
        processes then do the same work, which is slow but right.

        Raises:
            CacheError: the lock's file cannot be made.
        """
        if self.folder is None:
            yield True
            return
        lock = FileLock(self.folder / f"{name}.lock", fallback_to_soft=False)
        with _disk_faults_named(self.folder):
            claimed = _acquired(lock, wait)
        try:
            yield claimed
        finally:
            try:
                if claimed and sys.platform != "win32":  # which removes no file that is open
                    Path(lock.lock_file).unlink(missing_ok=True)
            finally:
                lock.release()

    def _path(self, name: str, field: str) -> Path:
        assert self.folder is not None
        return self.folder / f"{name}.{field}.npy"


def _acquired(lock: FileLock, wait: bool) -> bool:
    try:
        lock.acquire(blocking=wait)
    except Timeout:
        return False
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            raise
    return True


def _save_checked(path: Path, array: np.ndarray) -> None:
    """Writes an `.npy` file and, after the array, the CRC-32 of its header."""
    with path.open("w+b") as file:
        np.save(file, array)
        length = file.tell()
        file.seek(0)
        header = file.read(length - array.nbytes)
        file.seek(length)
        file.write(zlib.crc32(header).to_bytes(_CRC_BYTES, "little"))


def _load_checked(path: Path) -> np.ndarray:
    """Maps the array of a file; ValueError, EOFError or OSError when it is not whole or its header is damaged."""
    with path.open("rb") as file:
        file.seek(-_CRC_BYTES, os.SEEK_END)
        expected = int.from_bytes(file.read(_CRC_BYTES), "little")
        file.seek(0)
        prefix = file.read(10)  # magic, version 1.0, length of the header (numpy.lib.format)
        header = prefix + file.read(int.from_bytes(prefix[8:], "little"))
    if zlib.crc32(header) != expected:
        raise ValueError(f"{path}: its header is damaged")
    array = np.load(path, mmap_mode="r")
    if len(header) + array.nbytes + _CRC_BYTES != path.stat().st_size:
        raise ValueError(f"{path}: is cut short")
    return array


@contextlib.contextmanager
def _disk_faults_named(folder: Path) -> Iterator[None]:
    """Turns a full or read-only disk into CacheError."""
    try:
        yield
    except OSError as error:
        raise CacheError(
            f"{folder}: the cache cannot be written ({error}). Free space there, correct its permissions, or set "
            "cache_dir to a folder on another disk. What it holds already is kept and will not be computed again."
        ) from error


def _remove_stale(folder: Path) -> None:
    """Removes what killed processes left half-written."""
    for path in [*folder.glob(f"{PARTIAL}*"), *folder.glob("*.lock")]:
        try:
            if time.time() - path.stat().st_mtime > _STALE_AFTER_S:
                path.unlink()
        except OSError:
            continue  # another process was quicker, or the folder is only to be read


def file_identity(path: Path) -> tuple[str, int, int]:
    """Path, size and time of change (ns); size -1 for a missing file, which reading will report."""
    try:
        status = path.stat()
    except OSError:
        return str(path), -1, 0
    return str(path), status.st_size, status.st_mtime_ns


def digest(parts: Iterable[object]) -> str:
    """Hexadecimal name made of the representations of `parts`."""
    return hashlib.sha256("\n".join(map(repr, parts)).encode()).hexdigest()[:32]


def fingerprint(transform: object) -> str:
    """A text that changes when a transform's parameters or its code change, and is the same in every process.

    It walks the attributes: plain values, arrays, nested transforms, functions (by their code). Random states are left
    out. Code of this project counts by its source files, other code by its package's version.
    """
    return digest([_describe(transform, set())])


def _describe(value: Any, seen: set[int]) -> str:
    if value is None or isinstance(value, bool | int | float | str | bytes | Enum | Path | np.dtype | torch.dtype):
        return f"{type(value).__name__}:{value!r}"
    if isinstance(value, np.random.RandomState | np.random.Generator | torch.Generator):
        return "random state"
    if id(value) in seen:
        return "seen"
    seen = seen | {id(value)}
    if isinstance(value, np.ndarray | torch.Tensor):
        array = np.ascontiguousarray(value)
        return f"array:{array.dtype}{array.shape}{hashlib.sha256(array.tobytes()).hexdigest()}"
    if isinstance(value, Mapping):
        return "{" + ",".join(sorted(f"{_describe(k, seen)}={_describe(v, seen)}" for k, v in value.items())) + "}"
    if isinstance(value, list | tuple):
        return "[" + ",".join(_describe(v, seen) for v in value) + "]"
    if isinstance(value, set | frozenset):
        return "set[" + ",".join(sorted(_describe(v, seen) for v in value)) + "]"
    if isinstance(value, FunctionType):
        return _describe_function(value, seen)
    if isinstance(value, functools.partial):
        return f"partial:{_describe([value.func, value.args, value.keywords], seen)}"
    if isinstance(value, type):
        return f"{value.__module__}.{value.__qualname__}@{_code_version(value.__module__)}"
    return f"{_describe(type(value), seen)}({_describe(getattr(value, '__dict__', {}), seen)})"


def _describe_function(function: FunctionType, seen: set[int]) -> str:
    """By code and captured values, so that two lambdas of one place are told apart."""
    cells = [cell.cell_contents for cell in function.__closure__ or ()]
    constants = [c for c in function.__code__.co_consts if not hasattr(c, "co_code")]
    captured = _describe([cells, function.__defaults__, constants, list(function.__code__.co_names)], seen)
    code = hashlib.sha256(function.__code__.co_code).hexdigest()
    return f"{function.__module__}.{function.__qualname__}:{code}:{captured}@{_code_version(function.__module__)}"


@functools.cache
def _code_version(module: str) -> str:
    """Hash of the sources of the module's package for this project, the version for any other package."""
    top = module.partition(".")[0]
    if top != __name__.partition(".")[0]:
        return str(getattr(sys.modules.get(top), "__version__", ""))
    package = importlib.import_module(module.rpartition(".")[0])
    folder = Path(str(package.__file__)).parent
    return hashlib.sha256(b"".join(path.read_bytes() for path in sorted(folder.glob("*.py")))).hexdigest()
