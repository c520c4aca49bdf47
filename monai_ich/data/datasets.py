# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""The data set of one split: samples of a store's slices, labelled, and augmented by replayable seeds."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd
import torch
from monai.transforms import Randomizable
from torch.utils.data import Dataset

from monai_ich.data.groups import UNKNOWN, SliceGroups
from monai_ich.data.samplers import Draw
from monai_ich.data.store import SliceStore, numbers, plain_tensors
from monai_ich.utils.errors import ConfigurationError, ManifestError
from monai_ich.utils.keys import ANY_HAEMORRHAGE, Key, descriptions_among, haemorrhage_labels

logger = logging.getLogger(__name__)

_TEXT_KEYS = (Key.KEY, Key.PATIENT_ID, Key.STUDY_ID, Key.HOSPITAL)


class SliceDataset(Dataset):
    """Samples of one split, with the keys of `monai_ich.utils.keys.Key`.

    `dataset[i]` gives a sample of a data set without augmentation; one with augmentation is drawn from only by
    `Draw(row, seed)` (`EpochSampler`), so that augmentation depends on nothing but that seed.

    Args:
        slices: of the whole manifest; all splits share it, so that a series is decoded once.
        split: the rows to take; None takes all.
        augmentation: a MONAI random transform for image and mask (1,S,S), or None.
        markers: what `label` holds. One: int64 0/1. Several (or none): float32 (K,), NaN where unknown.
        drop_unlabelled: with one marker, leave out the rows where it is unknown (`dropped_rows` counts them).
        only_with_blood: leave out the rows without a mask, and those whose mask holds no blood at the network's
            resolution. The masks of the whole manifest are read for it.
        groups: of the manifest's slices; None: samples have no group.

    Attributes:
        rows: int64 (n,), the samples' rows in the store.
        groups: int64 (n,), the samples' groups, -1 where unknown; None without groups.

    Raises:
        ManifestError: when no row is left, or the one marker is unknown in some and `drop_unlabelled` is False.
        ImageReadError: with `only_with_blood`, listing every slice of the manifest that cannot be read.
        ConfigurationError: when the augmentation cannot be seeded.
    """

    def __init__(
        self,
        slices: SliceStore,
        split: str | None = None,
        augmentation: Callable[[Any], Any] | None = None,
        markers: Sequence[str] = ("hypodensity",),
        drop_unlabelled: bool = False,
        only_with_blood: bool = False,
        groups: SliceGroups | None = None,
    ) -> None:
        self.slices = slices
        self.augmentation = augmentation
        self.markers = tuple(markers)
        of_split = slices.frame if split is None else slices.frame[slices.frame["split"] == split]
        kept = _labelled_rows(of_split, split, self.markers, drop_unlabelled)
        if only_with_blood:
            kept = _with_blood(slices, kept, split)
        self.dropped_rows = len(of_split) - len(kept)
        self.rows = kept.index.to_numpy(np.int64)
        self.labels = _labels(kept, self.markers)
        self.groups = None if groups is None else groups.numbers[self.rows]
        self._texts = {
            key: kept[key].astype(str).to_numpy(dtype=object)
            for key in [*_TEXT_KEYS, *descriptions_among(kept.columns)]
        }
        self._blood_by_label = _blood_by_label(kept)
        self._random_parts = _separate_random_parts(augmentation)

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, draw: int | Draw) -> dict[str, Any]:
        """One sample: image float32 (1,S,S), mask uint8 (1,S,S), has_mask, has_blood, label, key, index, identifiers.

        Attributes and `pair_id` are texts of the sample where the manifest has them. `group` is there where the data
        set has groups; a mixture (see `Draw`) is in no group.

        Raises:
            ImageReadError: naming the manifest's key, when a file that is not in the cache cannot be read.
            ConfigurationError: when an augmenting data set is asked without a seed.
        """
        if isinstance(draw, Draw) and draw.anchor is not None:
            return self._mixture(draw, draw.anchor)
        index, seed = (draw.row, draw.seed) if isinstance(draw, Draw) else (int(draw), None)
        index = range(len(self))[index]
        row = int(self.rows[index])
        pair = {key: torch.from_numpy(np.array(array))[None] for key, array in self.slices[row].items()}
        blood = self._blood(index, row, pair[Key.MASK])
        if self.augmentation is not None:
            pair = self._augment(pair, seed)
        label = self.labels[index]
        return {
            Key.IMAGE: pair[Key.IMAGE],
            Key.MASK: pair[Key.MASK],
            Key.HAS_MASK: self.slices.has_mask(row),
            Key.HAS_BLOOD: blood,
            Key.LABEL: int(label) if len(self.markers) == 1 else torch.from_numpy(label.copy()),
            Key.INDEX: index,
            **({} if self.groups is None else {Key.GROUP: int(self.groups[index])}),
            **{key: texts[index] for key, texts in self._texts.items()},
        }

    def _blood(self, index: int, row: int, mask: torch.Tensor) -> int:
        """1, 0 or -1, see `Key.HAS_BLOOD`; a marker shows blood even where a mask leaves it out."""
        by_label = int(self._blood_by_label[index])
        if by_label == 1 or not self.slices.has_mask(row):
            return by_label
        return int(mask.any())

    def _mixture(self, draw: Draw, anchor: Draw) -> dict[str, Any]:
        sample, other = self[Draw(draw.row, draw.seed)], self[anchor]
        image = draw.anchor_share * other[Key.IMAGE] + (1 - draw.anchor_share) * sample[Key.IMAGE]
        return {**sample, Key.IMAGE: image, **({Key.GROUP: UNKNOWN} if Key.GROUP in sample else {})}

    def _augment(self, pair: dict[str, torch.Tensor], seed: int | None) -> dict[str, torch.Tensor]:
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


def _labelled_rows(
    frame: pd.DataFrame, split: str | None, markers: tuple[str, ...], drop_unlabelled: bool
) -> pd.DataFrame:
    if len(markers) == 1:
        unknown = numbers(frame[markers[0]]).isna().to_numpy()
        if unknown.any() and not drop_unlabelled:
            keys = ", ".join(frame[Key.KEY][unknown].astype(str)[:5])
            raise ManifestError(
                f"{int(unknown.sum())} rows have no {markers[0]} label ({keys}, ...); label them, or leave them out "
                "with drop_unlabelled=True"
            )
        frame = frame[~unknown]
    if len(frame) == 0:
        raise ManifestError(f"the data set has no rows of split {split!r}; check the split's name in the manifest")
    return frame


def _with_blood(slices: SliceStore, frame: pd.DataFrame, split: str | None) -> pd.DataFrame:
    # of all splits at once, so that all files that cannot be read are reported together
    slices.prepare(np.flatnonzero(slices.frame["split"] != ""))
    kept = frame[slices.with_blood(frame.index.to_numpy(np.int64))]
    if len(kept) == 0:
        raise ManifestError(
            f"expected slices of split {split!r} with blood in their mask, but none of its {len(frame)} rows has any; "
            "give the masks in the column `mask`, or train on all slices with --train::seg_slices all"
        )
    logger.info(
        f"{split or 'all splits'}: {len(kept)} of {len(frame)} slices have blood in their mask; only these are used."
    )
    return kept


def _labels(frame: pd.DataFrame, markers: tuple[str, ...]) -> np.ndarray:
    """int64 (n,) for one marker, float32 (n,K) otherwise."""
    if len(markers) == 1:
        return numbers(frame[markers[0]]).to_numpy().astype(np.int64)
    columns = [numbers(frame[marker]).to_numpy(np.float32) for marker in markers]
    return np.stack(columns, axis=1) if columns else np.zeros((len(frame), 0), np.float32)


def _blood_by_label(frame: pd.DataFrame) -> np.ndarray:
    """int64 (n,): 1 where a label says that the slice shows blood, 0 where it says that there is none, else -1."""
    signs = frame[haemorrhage_labels(frame.columns)].apply(numbers)
    none = (signs.filter([ANY_HAEMORRHAGE]) == 0).any(axis=1)
    return np.select([(signs == 1).any(axis=1), none], [1, 0], -1)


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
