# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""SelecMix with known attributes: mixtures of slices that contradict a spurious correlation (arXiv 2211.02291)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from monai_ich.data.datasets import SliceDataset
from monai_ich.data.groups import attributes_of_groups
from monai_ich.data.samplers import Draw
from monai_ich.utils.errors import ConfigurationError, did_you_mean
from monai_ich.utils.keys import MIXINGS


class ContradictingPartners:
    """Gives every drawn slice, the anchor, a partner that contradicts the correlation of marker and attributes.

    By a fair coin the partner has the same label and other attributes, or the other label and the same attributes. It
    is drawn from all slices of training: a batch holds too few slices of a rare group. The mixture is

    .. math:: \\lambda x_{anchor} + (1 - \\lambda) x_{partner}, \\quad \\lambda \\sim \\tfrac12 \\mathrm{Beta}(1, 1)

    with the label of the partner. This is the variant with known attributes (`--gt`) of the authors' public code, which
    draws partners within a batch. Their main method finds similar slices with an auxiliary network instead, which is
    not offered here.
    """

    def __init__(self, groups: np.ndarray) -> None:
        """
        Args:
            groups: int64 (n,), the group of each slice (see `SliceGroups`); one of unknown group, -1, is not mixed.

        Raises:
            ConfigurationError: the slices have fewer than two combinations of attributes.
        """
        self.groups = groups
        combination = attributes_of_groups(groups)
        known = np.unique(combination[combination >= 0])
        if len(known) < 2:
            raise ConfigurationError(
                f"mixing: expected slices with at least two combinations of attributes in training, got {len(known)}; "
                "choose other data::attributes"
            )
        rows = np.arange(len(groups))
        same_label = {g: rows[(groups >= 0) & (groups % 2 == g % 2) & (combination != g // 2)] for g in _known(groups)}
        other_label = {g: rows[groups == (g ^ 1)] for g in _known(groups)}
        self.candidates = {g: (same_label[g], other_label[g]) for g in same_label}

    def mixed(self, draws: Sequence[Draw], generator: np.random.Generator) -> list[Draw]:
        """The draws of an epoch, each as a partner with the drawn slice mixed in; a slice without partner stays."""
        kinds = generator.integers(2, size=len(draws)).tolist()
        places = generator.random(len(draws)).tolist()
        shares = (0.5 * generator.beta(1, 1, size=len(draws))).tolist()
        seeds = generator.integers(2**32, size=len(draws), dtype=np.uint32).tolist()
        mixtures = []
        for anchor, kind, place, share, seed in zip(draws, kinds, places, shares, seeds, strict=True):
            group = int(self.groups[anchor.row])
            rows = self.candidates[group][kind] if group >= 0 else ()
            partner = Draw(int(rows[int(place * len(rows))]), seed, anchor, share) if len(rows) else anchor
            mixtures.append(partner)
        return mixtures


def mixing_partners(dataset: SliceDataset, mixing: str) -> ContradictingPartners | None:
    """What an `EpochSampler` mixes into the slices that it draws.

    Args:
        dataset: of training.
        mixing: `selecmix_by_attributes`, or `none`.

    Returns:
        The partners; None for `none`.

    Raises:
        ConfigurationError: the option is unknown, or the data set has no groups.
    """
    if mixing not in MIXINGS:
        raise ConfigurationError(
            f"mixing is one of {list(MIXINGS)}, got {mixing!r}.{did_you_mean(str(mixing), MIXINGS)}"
        )
    if mixing == "none":
        return None
    if dataset.groups is None:
        raise ConfigurationError(f"mixing is {mixing!r}, but the data set has no groups; name data::attributes")
    return ContradictingPartners(dataset.groups)


def _known(groups: np.ndarray) -> list[int]:
    return np.unique(groups[groups >= 0]).tolist()
