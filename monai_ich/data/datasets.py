# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""The data set of a manifest's slices: decoded once a study, cached, and augmented by replayable seeds."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from monai.data import get_track_meta, set_track_meta
from monai.transforms import Randomizable
from torch.utils.data import Dataset

from monai_ich.data.caching import ArrayCache, available_cores, digest, file_identity, fingerprint, map_in_processes
from monai_ich.data.samplers import Draw
from monai_ich.utils.console import progress_bar
from monai_ich.utils.errors import ConfigurationError, FaultList, ImageReadError, ManifestError, MonaiIchError
from monai_ich.utils.keys import Key

_TEXT_KEYS = (Key.KEY, Key.PATIENT_ID, Key.STUDY_ID, Key.HOSPITAL)


class SliceDataset(Dataset):
    """Samples of a manifest's rows, with the keys of `monai_ich.utils.keys.Key`.

    The deterministic part is done once for each group of rows (one study's slices in one volume or folder) and cached.
    `dataset[i]` gives a sample of a data set without augmentation; one with augmentation is drawn from only by
    `Draw(row, seed)` (`EpochSampler`), so that augmentation depends on nothing but that seed.

    Args:
        frame: rows of a manifest.
        dataset_dir: what the paths of the rows are relative to.
        preprocessing: deterministic; takes an item of references (see `monai_ich.transforms.LoadSlicesd`), gives image
            (N,S,S) in [0,1] and mask (N,S,S).
        augmentation: a MONAI random transform for image and mask (1,S,S), or None.
        markers: what `label` holds. One: int64 0/1. Several (or none): float32 (K,), NaN where unknown.
        cache_dir: folder of the cache; None keeps the arrays in memory.
        progress: show a progress bar in `prepare`.
        drop_unlabelled: with one marker, leave out the rows where it is unknown (`dropped_rows` counts them).
        num_workers: processes of `prepare` with a cache_dir; None takes one for each available core.

    Raises:
        ManifestError: when no row is left, or the one marker is unknown in some and `drop_unlabelled` is False.
        ConfigurationError: when the augmentation cannot be seeded.
    """

    def __init__(
        self,
        frame: pd.DataFrame,
        dataset_dir: Path | str,
        preprocessing: Callable[[Any], Any],
        augmentation: Callable[[Any], Any] | None = None,
        markers: Sequence[str] = ("hypodensity",),
        cache_dir: Path | str | None = None,
        progress: bool = True,
        drop_unlabelled: bool = False,
        num_workers: int | None = None,
    ) -> None:
        self.dataset_dir = Path(dataset_dir)
        self.preprocessing = preprocessing
        self.augmentation = augmentation
        self.markers = tuple(markers)
        self.progress = progress
        self.num_workers = available_cores() if num_workers is None else num_workers
        kept = _labelled_rows(frame, self.markers, drop_unlabelled)
        self.dropped_rows = len(frame) - len(kept)
        self.labels = _labels(kept, self.markers)
        self._texts = {key: kept[key].astype(str).to_numpy(dtype=object) for key in _TEXT_KEYS}
        self._images = _references(kept, "image", "image_slice")
        self._masks = _references(kept, "mask", "mask_slice")
        self._group_of, self._place_of, self._rows_of = _group_rows(self._texts[Key.STUDY_ID], self._images)
        self._names: dict[int, str] = {}
        self._fingerprint = fingerprint(preprocessing)
        self._cache = ArrayCache(Path(cache_dir) if cache_dir is not None else None, (Key.IMAGE, Key.MASK))
        self._random_parts = _separate_random_parts(augmentation)

    def __len__(self) -> int:
        return len(self._group_of)

    def __getitem__(self, draw: int | Draw) -> dict[str, Any]:
        """One sample: image float32 (1,S,S), mask uint8 (1,S,S), has_mask, label, key, index and identifiers.

        Raises:
            ImageReadError: naming the manifest's key, when a file that is not in the cache cannot be read.
            ConfigurationError: when an augmenting data set is asked without a seed.
        """
        index, seed = draw if isinstance(draw, Draw) else (int(draw), None)
        index = range(len(self))[index]
        arrays = self._arrays(int(self._group_of[index]))
        place = self._place_of[index]
        pair = {key: torch.from_numpy(np.array(arrays[key][place]))[None] for key in (Key.IMAGE, Key.MASK)}
        if self.augmentation is not None:
            pair = self._augment(pair, seed)
        label = self.labels[index]
        return {
            Key.IMAGE: pair[Key.IMAGE],
            Key.MASK: pair[Key.MASK],
            Key.HAS_MASK: self._masks[0][index] != "",
            Key.LABEL: int(label) if len(self.markers) == 1 else torch.from_numpy(label.copy()),
            Key.INDEX: index,
            **{key: self._texts[key][index] for key in _TEXT_KEYS},
        }

    def prepare(self) -> None:
        """Fills the cache; what is there already is not decoded again.

        Raises:
            ImageReadError: listing every slice that cannot be read, after all others were cached.
        """
        missing = [group for group in range(len(self._rows_of)) if self._cache.load(self._name(group)) is None]
        faults = FaultList(f"files of the data set cannot be used (relative to {self.dataset_dir}):")
        workers = self.num_workers if self._cache.folder is not None else 0
        with plain_tensors(), progress_bar(disable=not self.progress or not missing) as bar:
            task = bar.add_task("reading slices", total=sum(len(self._rows_of[group]) for group in missing))
            for group, (group_faults, error) in map_in_processes(self._fill, missing, workers):
                if error is not None:
                    raise error
                for fault in group_faults:
                    faults.add(fault)
                bar.advance(task, len(self._rows_of[group]))
        faults.raise_if_any(ImageReadError)

    def _fill(self, group: int) -> tuple[Sequence[str], MonaiIchError | None]:
        """Caches one group; returns its files' faults, or another error of ours (raised, a worker would mangle it)."""
        try:
            self._cache.store(self._name(group), self._decode(group))
        except ImageReadError as error:
            return getattr(error, "faults", ()) or (f"{self._texts[Key.KEY][self._rows_of[group][0]]}: {error}",), None
        except MonaiIchError as error:
            return (), error
        return (), None

    def _arrays(self, group: int) -> Mapping[str, np.ndarray]:
        cached = self._cache.load(self._name(group))
        if cached is None:
            faults = FaultList(f"a file of the data set cannot be used any more (relative to {self.dataset_dir}):")
            with plain_tensors():
                group_faults, error = self._fill(group)
            if error is not None:
                raise error
            for fault in group_faults:
                faults.add(fault)
            faults.raise_if_any(ImageReadError)
            cached = self._cache.load(self._name(group))
        if cached is None:
            raise ImageReadError(f"{self._cache.folder}: the cache cannot be read back; is the disk full?")
        return cached

    def _name(self, group: int) -> str:
        """The cache's name of a group: it changes with the files, the slices asked for, and the preprocessing."""
        if group not in self._names:
            item = self._item(group)
            files = sorted({reference[0] for key in (Key.IMAGE, Key.MASK) for reference in item[key] if reference})
            slices = [[(str(r[0]), r[1]) if r else None for r in item[key]] for key in (Key.IMAGE, Key.MASK)]
            self._names[group] = digest([self._fingerprint, [file_identity(path) for path in files], slices])
        return self._names[group]

    def _item(self, group: int) -> dict[str, list[Any]]:
        """The group's references, for LoadSlicesd."""
        rows = self._rows_of[group]
        item: dict[str, list[Any]] = {Key.KEY: self._texts[Key.KEY][rows].tolist()}
        for key, (paths, slices) in ((Key.IMAGE, self._images), (Key.MASK, self._masks)):
            item[key] = [
                (self.dataset_dir / paths[row], int(slices[row]) if slices[row] >= 0 else None) if paths[row] else None
                for row in rows
            ]
        return item

    def _decode(self, group: int) -> dict[str, np.ndarray]:
        item = self._item(group)
        try:
            done = self.preprocessing(item)
        except RuntimeError as error:
            raise _first_own_error(error) from error
        image = np.ascontiguousarray(done[Key.IMAGE], dtype=np.float32)
        mask = np.ascontiguousarray(done[Key.MASK], dtype=np.uint8)
        if image.ndim != 3 or len(image) != len(item[Key.KEY]) or image.shape != mask.shape:
            raise ConfigurationError(
                f"preprocessing: expected image and mask ({len(item[Key.KEY])},S,S), got {image.shape} and {mask.shape}"
            )
        return {Key.IMAGE: image, Key.MASK: mask}

    def _augment(self, pair: dict[Key, torch.Tensor], seed: int | None) -> dict[Key, torch.Tensor]:
        if seed is None:
            raise ConfigurationError(
                "a data set with augmentation was indexed without a seed; give its loader an EpochSampler, or build "
                "the data set with augmentation=None"
            )
        child_seeds = np.random.SeedSequence(seed).generate_state(len(self._random_parts))
        for part, child_seed in zip(self._random_parts, child_seeds.tolist(), strict=True):
            part.R.seed(child_seed)
        assert self.augmentation is not None
        with plain_tensors():
            done = self.augmentation(pair)
        # Interpolation rounds: the image may leave [0,1] by a last digit, and MONAI returns the mask as float.
        return {Key.IMAGE: done[Key.IMAGE].clamp(0.0, 1.0), Key.MASK: done[Key.MASK].to(torch.uint8)}


@contextlib.contextmanager
def plain_tensors() -> Iterator[None]:
    """MONAI's transforms give plain tensors within: nothing here reads the metadata, and they cost half the time."""
    before = get_track_meta()
    set_track_meta(False)
    try:
        yield
    finally:
        set_track_meta(before)


def _labelled_rows(frame: pd.DataFrame, markers: tuple[str, ...], drop_unlabelled: bool) -> pd.DataFrame:
    if len(markers) == 1:
        unknown = _numbers(frame[markers[0]]).isna().to_numpy()
        if unknown.any() and not drop_unlabelled:
            keys = ", ".join(frame[Key.KEY][unknown].astype(str)[:5])
            raise ManifestError(
                f"{int(unknown.sum())} rows have no {markers[0]} label ({keys}, ...); label them, or leave them out "
                "with drop_unlabelled=True"
            )
        frame = frame[~unknown]
    if len(frame) == 0:
        raise ManifestError("the data set has no rows; check the split's name in the manifest")
    return frame


def _numbers(column: pd.Series) -> pd.Series:
    """float64, NaN for what is missing or empty."""
    return pd.to_numeric(column.replace("", np.nan), errors="raise").astype("Float64").astype(float)


def _labels(frame: pd.DataFrame, markers: tuple[str, ...]) -> np.ndarray:
    """int64 (n,) for one marker, float32 (n,K) otherwise."""
    if len(markers) == 1:
        return _numbers(frame[markers[0]]).to_numpy().astype(np.int64)
    columns = [_numbers(frame[marker]).to_numpy(np.float32) for marker in markers]
    return np.stack(columns, axis=1) if columns else np.zeros((len(frame), 0), np.float32)


def _references(frame: pd.DataFrame, path_column: str, slice_column: str) -> tuple[np.ndarray, np.ndarray]:
    """Paths (n,), "" where there is none, and slice indices (n,), -1 where the file has but one slice."""
    paths = frame[path_column].fillna("").astype(str).to_numpy(dtype=object)
    return paths, _numbers(frame[slice_column]).fillna(-1).to_numpy().astype(np.int64)


def _group_rows(
    study_ids: np.ndarray, images: tuple[np.ndarray, np.ndarray]
) -> tuple[np.ndarray, np.ndarray, list[np.ndarray]]:
    """Groups rows of one study in one volume or folder: each row's group, its place there, and each group's rows."""
    paths, slices = images
    places = [path if number >= 0 else path.rpartition("/")[0] for path, number in zip(paths, slices, strict=True)]
    group_of, _ = pd.factorize(pd.MultiIndex.from_arrays([study_ids, places]))
    order = np.argsort(group_of, kind="stable")
    rows_of = np.split(order, np.flatnonzero(np.diff(group_of[order])) + 1)
    place_of = np.empty(len(order), dtype=np.int64)
    for rows in rows_of:
        place_of[rows] = np.arange(len(rows))
    return group_of, place_of, rows_of


def _first_own_error(error: BaseException) -> BaseException:
    """MONAI's Compose wraps what a transform raises in a RuntimeError; this finds the message for the user."""
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, MonaiIchError):
        cause = cause.__cause__
    return cause or error


def _separate_random_parts(augmentation: Any) -> list[Randomizable]:
    """Gives every random part of the augmentation a state of its own, and lists the parts.

    Reseeding their states is 50 times cheaper than MONAI's `set_random_state`, which makes new ones. The parts are
    kept, not the states: MONAI's data loader replaces those.
    """
    if augmentation is None:
        return []
    if not isinstance(augmentation, Randomizable):
        raise ConfigurationError(f"augmentation: expected a MONAI random transform, got {type(augmentation).__name__}")
    augmentation.set_random_state(0)
    return list(_random_parts(augmentation))


def _random_parts(transform: Any) -> Iterator[Randomizable]:
    if isinstance(transform, list | tuple):
        for part in transform:
            yield from _random_parts(part)
    elif isinstance(transform, Randomizable):
        yield transform
        yield from _random_parts(list(vars(transform).values()))
