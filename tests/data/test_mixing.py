# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""SelecMix with known attributes: the partner always obeys its rule, and the mixture is what the draw says."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
import torch
from dataset_support import augmentation

from monai_ich.data import ContradictingPartners, Draw, EpochSampler, SliceDataset, SliceGroups, mixing_partners
from monai_ich.utils.errors import ConfigurationError

GROUPS = np.random.default_rng(0).choice([-1, 0, 1, 2, 3, 4, 5], 1500, p=[0.1, 0.4, 0.1, 0.02, 0.2, 0.08, 0.1])


def _mixed(epochs: int) -> list[tuple[Draw, Draw]]:
    """(anchor, what was drawn for it) of every draw."""
    plain, mixing = EpochSampler(1500, 10), EpochSampler(1500, 10, partners=ContradictingPartners(GROUPS))
    pairs = []
    for epoch in range(epochs):
        for sampler in (plain, mixing):
            sampler.set_epoch(epoch)
        pairs += list(zip(plain, mixing, strict=True))
    return pairs


def test_a_partner_contradicts_the_correlation() -> None:
    kinds = []
    for anchor, draw in _mixed(20):
        own, other = GROUPS[anchor.row], GROUPS[draw.row]
        if own == -1:
            assert draw == anchor, "a slice of unknown group is not mixed"
            continue
        assert (draw.anchor, draw.seed != anchor.seed) == (anchor, True)
        same_label, same_attributes = own % 2 == other % 2, own // 2 == other // 2
        assert other >= 0
        assert same_label != same_attributes
        kinds.append(same_label)
    assert np.mean(kinds) == pytest.approx(0.5, abs=0.01)


def test_the_anchor_has_a_quarter_of_the_image_on_average() -> None:
    shares = np.array([draw.anchor_share for _, draw in _mixed(20) if draw.anchor])
    assert len(shares) > 20_000
    assert shares.mean() == pytest.approx(0.25, abs=0.01)
    assert 0 <= shares.min() < 0.001
    assert 0.499 < shares.max() <= 0.5
    np.testing.assert_allclose(np.quantile(shares, [0.25, 0.75]), [0.125, 0.375], atol=0.01)


def test_partners_come_from_all_slices_of_the_groups_that_fit() -> None:
    drawn = {draw.row for anchor, draw in _mixed(30) if GROUPS[anchor.row] == 0}
    assert drawn == set(np.flatnonzero(np.isin(GROUPS, [1, 2, 4])).tolist())


def test_a_mixture_is_the_partner_with_the_anchor_s_image_mixed_in(
    make: Callable[..., SliceDataset], frame: pd.DataFrame
) -> None:
    dataset = make(augmentation=augmentation(), groups=SliceGroups(("a", "b"), np.arange(len(frame)) % 2))
    anchor, partner = Draw(0, 11), Draw(5, 12)
    sample, first, second = dataset[Draw(5, 12, anchor, 0.3)], dataset[anchor], dataset[partner]
    torch.testing.assert_close(sample["image"], 0.3 * first["image"] + 0.7 * second["image"])
    assert sample["mask"].equal(second["mask"])
    assert sample["mask"].dtype == torch.uint8
    for key in ("label", "has_mask", "key", "patient_id", "index"):
        assert sample[key] == second[key]
    assert (sample["group"], second["group"]) == (-1, 1)
    assert not sample["image"].equal(second["image"])


def test_what_cannot_be_mixed_is_refused(make: Callable[..., SliceDataset]) -> None:
    assert mixing_partners(make(), "none") is None
    with pytest.raises(ConfigurationError, match="has no groups"):
        mixing_partners(make(), "selecmix_by_attributes")
    with pytest.raises(
        ConfigurationError, match=r"got 'selecmix_by_attribute'\. Did you mean 'selecmix_by_attributes'"
    ):
        mixing_partners(make(), "selecmix_by_attribute")
    with pytest.raises(ConfigurationError, match="at least two combinations of attributes in training, got 1"):
        ContradictingPartners(np.array([0, 1, 1, -1]))
