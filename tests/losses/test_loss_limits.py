# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Weights at their limit, shapes that only look right, and the heads of messages."""

from __future__ import annotations

import math
import re

import pytest
import torch
from torch.nn import functional

from monai_ich.losses import ClassificationLoss, MultiTaskLoss, SegmentationLoss, paper_weights
from monai_ich.utils.errors import ConfigurationError


def test_a_weight_of_zero_is_a_weight() -> None:
    pred = {"cls": torch.tensor([[0.0, 1.0]]), "rec": torch.ones(1, 1, 2, 2)}
    target = {"label": torch.tensor([1]), "image": torch.zeros(1, 1, 2, 2)}
    loss = MultiTaskLoss({"cls": 2, "rec": 0})
    assert loss.components == {}
    torch.testing.assert_close(loss(pred, target), 2 * functional.cross_entropy(pred["cls"], target["label"]))
    assert loss.components["rec"].item() == 1.0


@pytest.mark.parametrize("weight", [-1e-12, math.nan, math.inf, True, "1", None])
def test_what_is_no_weight_is_refused(weight: object) -> None:
    message = f"loss weights cannot be used:\n  - weight of 'cls' is {weight!r}; expected a number of at least 0"
    with pytest.raises(ConfigurationError, match=f"^{re.escape(message)}"):
        MultiTaskLoss({"cls": weight})  # type: ignore[dict-item]


def test_a_message_says_whose_tasks_are_wrong() -> None:
    with pytest.raises(ConfigurationError, match=r"^tasks must name tasks out of cls, seg, rec:\n  - 'depth' is not a"):
        paper_weights(["depth"])
    with pytest.raises(
        ConfigurationError, match=r"^weights must name tasks out of cls, seg, rec:\n  - none is named; "
    ):
        MultiTaskLoss({})
    with pytest.raises(ConfigurationError, match=r"^the loss weights do not fit the network's heads:\n  - head 'rec'"):
        MultiTaskLoss({"cls": 1})({"cls": torch.zeros(1, 2), "rec": torch.zeros(1)}, {})
    with pytest.raises(ConfigurationError, match=re.escape("only for cls+seg+rec; cls+seg; cls+rec; cls; seg; rec; ")):
        paper_weights(["rec", "seg"])


@pytest.mark.parametrize("task", ["cls", "seg", "rec"])
def test_a_single_task_weighs_one(task: str) -> None:
    assert paper_weights([task]) == {task: 1.0}


def test_logits_with_a_place_too_many_are_refused() -> None:
    with pytest.raises(ValueError, match=r"expected logits \(B, 2\)"):
        ClassificationLoss()(torch.zeros(3, 2, 1), torch.zeros(3, dtype=torch.long))
    with pytest.raises(ValueError, match=r"expected logits \(B, 2, H, W\)"):
        SegmentationLoss()(torch.zeros(1, 3, 4, 4), torch.zeros(1, 1, 4, 4), torch.tensor([True]))
    with pytest.raises(ValueError, match="got num_markers=0"):
        ClassificationLoss(0)
    assert ClassificationLoss(2).num_markers == 2
