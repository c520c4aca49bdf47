# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Groups of slices: a marker's value together with the values of chosen attributes."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from monai_ich.data.store import numbers
from monai_ich.utils.attributes import Attribute
from monai_ich.utils.errors import ConfigurationError, FaultList, did_you_mean
from monai_ich.utils.keys import ATTRIBUTE, Key, Split, attributes_among

logger = logging.getLogger(__name__)

UNKNOWN = -1


@dataclass(frozen=True, eq=False)
class SliceGroups:
    """The groups of a manifest's slices: each value of the marker with each combination of attributes in training.

    Attributes:
        names: of the G groups, such as "hypodensity=1, head_holder=yes". Groups that differ in the marker alone follow
            each other: group 2 c + m has the marker's value m and the combination c of attributes.
        numbers: int64 (n,), the group of each row of the manifest; -1 where the marker or an attribute is unknown, or
            where training has no slice of this combination of attributes.
    """

    names: tuple[str, ...]
    numbers: np.ndarray

    def counts(self, rows: np.ndarray) -> list[int]:
        """How many of the rows, int64 (k,), are in each of the G groups."""
        known = self.numbers[rows][self.numbers[rows] >= 0]
        return np.bincount(known, minlength=len(self.names)).tolist()


def attributes_of_groups(groups: np.ndarray) -> np.ndarray:
    """The number of the combination of attributes of each group (n,), -1 where it is unknown.

    >>> attributes_of_groups(np.array([0, 1, 2, 3, -1]))
    array([ 0,  0,  1,  1, -1])
    """
    return np.where(groups >= 0, groups // 2, UNKNOWN)


def slice_groups(
    frame: pd.DataFrame,
    markers: Sequence[str],
    attributes: Sequence[str],
    bins: Mapping[str, Sequence[float]] | None = None,
) -> SliceGroups | None:
    """Builds the groups of a manifest's slices, and logs how many slices each has in training.

    Args:
        frame: the manifest's (see `Manifest.frame`), with a split `train`.
        markers: the one marker.
        attributes: names of attributes: of columns `attribute_<name>`, without the prefix, or `hospital`. None: there
            are no groups.
        bins: of attributes that are numbers: their inner limits, ascending. [10, 25] makes three values: below 10, from
            10 to below 25, from 25.

    Returns:
        The groups; None where no attribute is named.

    Raises:
        ConfigurationError: listing all faults: not one marker, an attribute or bins that cannot be used, or a
            combination of attributes of which training has slices with one value of the marker alone.
    """
    if not attributes:
        return None
    faults = FaultList("groups of slices cannot be made of the marker and data::attributes:")
    if len(markers) != 1:
        faults.add(f"expected one marker, got {len(markers)} ({', '.join(markers) or 'no classifier'})")
    values = {name: _attribute_values(frame, name, (bins or {}).get(name), faults) for name in attributes}
    for name in (name for name in bins or {} if name not in attributes):
        faults.add(f"attribute_bins names {name!r}, which is not among the attributes.{did_you_mean(name, attributes)}")
    faults.raise_if_any(ConfigurationError)
    groups = _numbered(frame, markers[0], pd.DataFrame(values, index=frame.index), faults)
    faults.raise_if_any(ConfigurationError)
    _log(frame, groups)
    return groups


def _attribute_values(
    frame: pd.DataFrame, name: str, limits: Sequence[float] | None, faults: FaultList
) -> pd.Series | None:
    """The attribute as texts such as `head_holder=yes` (`Attribute.named`), empty where unknown; adds its faults."""
    column = name if name == Key.HOSPITAL else ATTRIBUTE + name
    if column not in frame:
        known = [*(known.removeprefix(ATTRIBUTE) for known in attributes_among(frame.columns)), str(Key.HOSPITAL)]
        faults.add(f"{name!r} is no attribute of the manifest; it has {', '.join(known)}.{did_you_mean(name, known)}")
        return None
    cells = frame[column].fillna("").astype(str)
    if (cells == "").all():
        faults.add(f"{name!r} is unknown in all {len(cells)} rows of the manifest; fill in {column}")
        return None
    if limits is not None and not (len(limits) and all(low < high for low, high in itertools.pairwise(limits))):
        faults.add(f"attribute_bins of {name!r}: expected ascending limits, such as [10, 25], got {list(limits)}")
        return None
    attribute = Attribute(name, limits=tuple(limits or ()))
    try:
        values = attribute.values(cells)
    except ConfigurationError as error:
        faults.add(f"{name!r} has attribute_bins, so it must hold numbers: {error}")
        return None
    return pd.Series([attribute.named(value) if value else "" for value in values], index=frame.index)


def _numbered(frame: pd.DataFrame, marker: str, values: pd.DataFrame, faults: FaultList) -> SliceGroups:
    """Numbers the combinations of values in training; adds a fault for each that has one value of the marker alone."""
    label = numbers(frame[marker]).to_numpy()
    known = ~np.isnan(label) & (values != "").all(axis=1).to_numpy()
    combinations = values.agg(", ".join, axis=1)
    in_training = known & (frame["split"] == Split.TRAIN).to_numpy()
    numbered = {text: number for number, text in enumerate(sorted(combinations[in_training].unique()))}
    combination = combinations.map(numbered).fillna(UNKNOWN).to_numpy().astype(np.int64)
    known &= combination != UNKNOWN
    groups = SliceGroups(
        tuple(f"{marker}={value}, {text}" for text in numbered for value in (0, 1)),
        np.where(known, 2 * combination + np.nan_to_num(label).astype(np.int64), UNKNOWN),
    )
    if not numbered:
        faults.add("training has no slice of which the marker and all attributes are known")
    for name, count in zip(groups.names, groups.counts(np.flatnonzero(in_training)), strict=True):
        if count == 0:
            faults.add(
                f"training has no slice of the group {name!r}; choose other attributes, or join their values with "
                "data::attribute_bins"
            )
    return groups


def _log(frame: pd.DataFrame, groups: SliceGroups) -> None:
    """Logs the size of each group in training, and the share of training and validation that is in no group."""
    rows = {split: np.flatnonzero(frame["split"] == split) for split in (Split.TRAIN, Split.VAL)}
    sizes = zip(groups.names, groups.counts(rows[Split.TRAIN]), strict=True)
    logger.info("groups in training: " + "; ".join(f"{name}: {count} slices" for name, count in sizes) + ".")
    for split, of_split in rows.items():
        unknown = int((groups.numbers[of_split] == UNKNOWN).sum())
        if unknown:
            logger.info(
                f"{split}: {unknown} of {len(of_split)} slices ({unknown / len(of_split):.1%}) are in no group, as the "
                "marker or an attribute is unknown, or the values do not occur in training."
            )
