# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""The slices of a manifest: each series decoded once, whatever the splits, and kept in a cache."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from monai.data import get_track_meta, set_track_meta

from monai_ich.data.caching import ArrayCache, digest, file_identity, fingerprint
from monai_ich.utils.console import progress_bar
from monai_ich.utils.errors import CacheError, ConfigurationError, FaultList, ImageReadError, MonaiIchError
from monai_ich.utils.keys import IMAGE_VALUES, MASK_LABELS, Key
from monai_ich.utils.worker_pool import map_in_processes

_TYPES: dict[str, type[np.generic]] = {Key.IMAGE: np.float32, Key.MASK: np.uint8}


class SliceStore:
    """Preprocessed images and masks of a manifest's rows.

    The deterministic part is done once for each group of rows, which is one study's slices in one volume or folder. The
    groups are those of the whole manifest: slices of one study that lie in several splits are decoded together, and
    another split of the same slices finds them in the cache.

    Args:
        frame: a manifest's rows, of all splits.
        dataset_dir: what the paths of the rows are relative to.
        preprocessing: deterministic; takes an item of references (see `monai_ich.transforms.LoadSlicesd`), gives image
            (N,S,S) in [0,1] and mask (N,S,S), or the arrays that `fields` names, N entries each.
        cache_dir: folder of the cache; None keeps the arrays in memory.
        progress: show a progress bar in `prepare`.
        num_workers: processes of `prepare` with a cache_dir; None takes one for each available core.
        fields: what is kept of each row.
    """

    def __init__(
        self,
        frame: pd.DataFrame,
        dataset_dir: Path | str,
        preprocessing: Callable[[Any], Any],
        cache_dir: Path | str | None = None,
        progress: bool = True,
        num_workers: int | None = None,
        fields: tuple[str, ...] = (Key.IMAGE, Key.MASK),
    ) -> None:
        self.frame = frame.reset_index(drop=True)
        self.dataset_dir = Path(dataset_dir)
        self.preprocessing = preprocessing
        self.progress = progress
        self.num_workers = num_workers
        self._keys = frame[Key.KEY].astype(str).to_numpy(dtype=object)
        self._images = _references(frame, "image", "image_slice")
        self._masks = _references(frame, "mask", "mask_slice")
        self._reading = {name: frame[name].to_numpy() for name in (IMAGE_VALUES, MASK_LABELS) if name in frame}
        self._group_of, self._place_of, self._rows_of = _group_rows(frame[Key.STUDY_ID].astype(str), self._images)
        self._names: dict[int, str] = {}
        self._fingerprint = fingerprint(preprocessing)
        self._cache = ArrayCache(Path(cache_dir) if cache_dir is not None else None, fields)

    def __len__(self) -> int:
        return len(self._group_of)

    def __getitem__(self, row: int) -> dict[str, np.ndarray]:
        """A row's `image` float32 (S,S) and `mask` uint8 (S,S), or its entry of each field, read-only.

        Raises:
            ImageReadError: naming the manifest's key, when a file that is not in the cache cannot be read.
        """
        arrays = self._arrays(int(self._group_of[row]))
        return {key: arrays[key][self._place_of[row]] for key in self._cache.fields}

    def has_mask(self, row: int) -> bool:
        """Whether the row is annotated (an all-zero mask counts)."""
        return bool(self._masks[0][row] != "")

    def with_blood(self, rows: np.ndarray) -> np.ndarray:
        """Whether each row's mask holds a pixel of haematoma: bool (n,) for rows (n,). Reads what is not in the cache.

        Raises:
            ImageReadError: a file that is not in the cache cannot be read.
        """
        blood = np.zeros(len(self), dtype=bool)
        for group in np.unique(self._group_of[rows]).tolist():
            members = self._rows_of[group]
            blood[members] = self._arrays(group)[Key.MASK].reshape(len(members), -1).any(axis=1)
        return blood[rows]

    def studies(self) -> Iterator[tuple[np.ndarray, Mapping[str, np.ndarray] | None]]:
        """The rows of each group and the arrays of its fields, in that order; None where they are not in the cache."""
        for group, rows in enumerate(self._rows_of):
            yield rows, self._cache.load(self._name(group))

    def prepare(self, rows: Sequence[int] | np.ndarray | None = None) -> None:
        """Fills the cache for the studies of `rows` (all if None); what is there already is not decoded again.

        Raises:
            ImageReadError: listing every slice that cannot be read, after all others were cached.
        """
        groups = np.unique(self._group_of if rows is None else self._group_of[np.asarray(rows, dtype=np.int64)])
        missing = [group for group in groups.tolist() if self._cache.load(self._name(group)) is None]
        faults = FaultList(f"files of the data set cannot be used (relative to {self.dataset_dir}):")
        workers = self.num_workers if self._cache.folder is not None else 0
        with plain_tensors(), progress_bar(disable=not self.progress or not missing) as bar:
            task = bar.add_task("reading slices", total=sum(len(self._rows_of[group]) for group in missing))
            for wait in (False, True):  # first what no other process makes, then what the others should have made
                busy = []
                fill = functools.partial(self._fill, wait=wait)
                for group, group_faults in map_in_processes(fill, missing, workers):
                    if group_faults is None:
                        busy.append(group)
                        continue
                    for fault in group_faults:
                        faults.add(fault)
                    bar.advance(task, len(self._rows_of[group]))
                missing = busy
        faults.raise_if_any(ImageReadError)

    def _fill(self, group: int, wait: bool = True) -> Sequence[str] | None:
        """Caches one group and returns its files' faults; None when another process is at it and `wait` is False."""
        name = self._name(group)
        try:
            with self._cache.claim(name, wait) as claimed:
                if claimed and self._cache.load(name) is None:
                    self._cache.store(name, self._decode(group))
            return () if claimed else None
        except ImageReadError as error:
            return error.faults or (f"{self._keys[self._rows_of[group][0]]}: {error}",)

    def _arrays(self, group: int) -> Mapping[str, np.ndarray]:
        cached = self._cache.load(self._name(group))
        if cached is None:
            faults = FaultList(f"a file of the data set cannot be used any more (relative to {self.dataset_dir}):")
            with plain_tensors():
                for fault in self._fill(group) or ():
                    faults.add(fault)
            faults.raise_if_any(ImageReadError)
            cached = self._cache.load(self._name(group))
        if cached is None:
            raise CacheError(f"{self._cache.folder}: the cache cannot be read back; set cache_dir to another disk.")
        return cached

    def _name(self, group: int) -> str:
        """The cache's name of a group: it changes with the files, the slices asked for, and the preprocessing."""
        if group not in self._names:
            item = self._item(group)
            files = sorted({reference[0] for key in (Key.IMAGE, Key.MASK) for reference in item[key] if reference})
            slices = [[(str(r[0]), r[1]) if r else None for r in item[key]] for key in (Key.IMAGE, Key.MASK)]
            reading = {name: item[name] for name in self._reading}
            parts = [self._fingerprint, [file_identity(path) for path in files], slices]
            self._names[group] = digest([*parts, reading] if reading else parts)
        return self._names[group]

    def _item(self, group: int) -> dict[str, list[Any]]:
        """The group's references, for LoadSlicesd."""
        rows = self._rows_of[group]
        item: dict[str, list[Any]] = {Key.KEY: self._keys[rows].tolist()}
        for key, (paths, slices) in ((Key.IMAGE, self._images), (Key.MASK, self._masks)):
            item[key] = [
                (self.dataset_dir / paths[row], int(slices[row]) if slices[row] >= 0 else None) if paths[row] else None
                for row in rows
            ]
        return item | {name: cells[rows].tolist() for name, cells in self._reading.items()}

    def _decode(self, group: int) -> dict[str, np.ndarray]:
        item = self._item(group)
        try:
            done = self.preprocessing(item)
        except RuntimeError as error:
            raise _first_own_error(error) from error
        arrays = {field: np.ascontiguousarray(done[field], dtype=_TYPES.get(field)) for field in self._cache.fields}
        _refuse_misshapen(arrays, len(item[Key.KEY]))
        return arrays


def _refuse_misshapen(arrays: Mapping[str, np.ndarray], count: int) -> None:
    """Raises ConfigurationError unless every field has `count` entries, and image and mask are planes of one size."""
    planes = [array.shape for field, array in arrays.items() if field in _TYPES]
    if any(len(shape) != 3 or shape != planes[0] or shape[0] != count for shape in planes):
        got = " and ".join(map(str, planes))
        raise ConfigurationError(f"preprocessing: expected image and mask ({count},S,S), got {got}")
    for field, array in arrays.items():
        if array.shape[:1] != (count,):
            raise ConfigurationError(f"preprocessing: expected {count} entries of {field!r}, got {array.shape}")


@contextlib.contextmanager
def plain_tensors() -> Iterator[None]:
    """MONAI's transforms give plain tensors within: nothing here reads the metadata, and they cost half the time."""
    before = get_track_meta()
    set_track_meta(False)
    try:
        yield
    finally:
        set_track_meta(before)


def _references(frame: pd.DataFrame, path_column: str, slice_column: str) -> tuple[np.ndarray, np.ndarray]:
    """Paths (n,), "" where there is none, and slice indices (n,), -1 where the file has but one slice."""
    paths = frame[path_column].fillna("").astype(str).to_numpy(dtype=object)
    return paths, numbers(frame[slice_column]).fillna(-1).to_numpy().astype(np.int64)


def _group_rows(
    study_ids: pd.Series, images: tuple[np.ndarray, np.ndarray]
) -> tuple[np.ndarray, np.ndarray, list[np.ndarray]]:
    """Groups rows of one study in one volume or folder: each row's group, its place there, and each group's rows."""
    paths, slices = images
    places = [path if number >= 0 else path.rpartition("/")[0] for path, number in zip(paths, slices, strict=True)]
    group_of, _ = pd.factorize(pd.MultiIndex.from_arrays([study_ids.to_numpy(), places]))
    order = np.argsort(group_of, kind="stable")
    rows_of = np.split(order, np.flatnonzero(np.diff(group_of[order])) + 1)
    place_of = np.empty(len(order), dtype=np.int64)
    for rows in rows_of:
        place_of[rows] = np.arange(len(rows))
    return group_of, place_of, rows_of


def numbers(column: pd.Series) -> pd.Series:
    """float64, NaN for what is missing or empty."""
    return pd.to_numeric(column.replace("", np.nan), errors="raise").astype("Float64").astype(float)


def _first_own_error(error: BaseException) -> BaseException:
    """MONAI's Compose wraps what a transform raises in a RuntimeError; this finds the message for the user."""
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, MonaiIchError):
        cause = cause.__cause__
    return cause or error
