# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Losses against values worked out by hand, and against MONAI's and torch's own."""

from __future__ import annotations

import math

import pytest
import torch
from monai.losses import DiceLoss
from torch.nn import functional

from monai_ich.losses import (
    ClassificationLoss,
    MultiTaskLoss,
    ReconstructionLoss,
    SegmentationLoss,
    paper_weights,
)
from monai_ich.utils.errors import ConfigurationError

HAEMATOMA = torch.tensor([0.8, 0.5, 0.2, 0.9])  # probabilities of a 2 x 2 image
CE = -(math.log(0.8) + math.log(0.5) + math.log(0.8) + math.log(0.1)) / 4  # for the mask 1 1 / 0 0
DICE = 1 - 2 * (0.8 + 0.5) / (2 + 0.8 + 0.5 + 0.2 + 0.9)


def hand_logits() -> torch.Tensor:
    """Logits (1, 2, 2, 2) whose softmax is exactly HAEMATOMA in the second channel."""
    return torch.stack([(1 - HAEMATOMA).log(), HAEMATOMA.log()]).reshape(1, 2, 2, 2)


HAND_MASK = torch.tensor([1, 1, 0, 0], dtype=torch.uint8).reshape(1, 1, 2, 2)


def random_batch(size: int = 4, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(size, 2, 6, 5, generator=generator)
    mask = (torch.rand(size, 1, 6, 5, generator=generator) > 0.6).to(torch.uint8)
    return logits, mask


@pytest.mark.parametrize(
    ("ce_weight", "dice_weight", "expected"),
    [(1, 0, CE), (0, 1, DICE), (0.4, 0.6, 0.4 * CE + 0.6 * DICE)],
    ids=["equation 1", "equation 2", "equation 3"],
)
def test_segmentation_by_hand(ce_weight: float, dice_weight: float, expected: float) -> None:
    loss = SegmentationLoss(ce_weight, dice_weight)(hand_logits(), HAND_MASK, torch.tensor([True]))
    assert loss.item() == pytest.approx(expected, abs=1e-5)


def test_segmentation_default_weights_are_those_of_the_paper() -> None:
    loss = SegmentationLoss()(hand_logits(), HAND_MASK, torch.tensor([True]))
    assert loss.item() == pytest.approx(0.4 * CE + 0.6 * DICE, abs=1e-5)


def test_segmentation_equals_monai_where_all_is_annotated() -> None:
    logits, mask = random_batch()
    ours = SegmentationLoss()(logits, mask, torch.ones(4, dtype=torch.bool))
    ce = functional.cross_entropy(logits, mask[:, 0].long())
    dice = DiceLoss(include_background=False, to_onehot_y=True, softmax=True)(logits, mask)
    torch.testing.assert_close(ours, 0.4 * ce + 0.6 * dice)


def test_segmentation_averages_over_annotated_images_only() -> None:
    logits, mask = random_batch()
    has_mask = torch.tensor([True, False, False, True])
    logits.requires_grad_()
    loss = SegmentationLoss()(logits, mask, has_mask)
    each = [SegmentationLoss()(logits[i : i + 1], mask[i : i + 1], torch.tensor([True])) for i in (0, 3)]
    torch.testing.assert_close(loss, (each[0] + each[1]) / 2)
    loss.backward()
    assert logits.grad[1:3].abs().sum() == 0
    assert logits.grad[0].abs().sum() > 0
    assert logits.grad[3].abs().sum() > 0


def test_segmentation_does_not_depend_on_the_filler_of_images_without_mask() -> None:
    logits, mask = random_batch()
    has_mask = torch.tensor([True, False, True, False])
    filled = mask.clone()
    filled[1], filled[3] = 0, 1
    assert torch.equal(SegmentationLoss()(logits, mask, has_mask), SegmentationLoss()(logits, filled, has_mask))


@pytest.mark.parametrize("annotated_without_blood", [False, True])
def test_segmentation_of_a_batch_without_masks_is_zero_with_gradients(annotated_without_blood: bool) -> None:
    logits, mask = random_batch()
    decoder = torch.nn.Conv2d(2, 2, 1)
    has_mask = torch.full((4,), annotated_without_blood)
    loss = SegmentationLoss()(decoder(logits), torch.zeros_like(mask), has_mask)
    loss.backward()
    assert loss.item() == 0
    for parameter in decoder.parameters():
        assert parameter.grad is not None
        assert torch.equal(parameter.grad, torch.zeros_like(parameter))


def test_slices_without_blood_take_part_when_asked() -> None:
    logits, mask = random_batch()
    mask[2:] = 0
    everything = torch.ones(4, dtype=torch.bool)
    taking_part = SegmentationLoss(ignore_empty=False)(logits, mask, everything)
    ce = functional.cross_entropy(logits, mask[:, 0].long())
    dice = DiceLoss(include_background=False, to_onehot_y=True, softmax=True)(logits, mask)
    torch.testing.assert_close(taking_part, 0.4 * ce + 0.6 * dice)
    left_out = SegmentationLoss()(logits, mask, everything)
    torch.testing.assert_close(left_out, SegmentationLoss()(logits[:2], mask[:2], everything[:2]))


def test_dice_over_a_batch_equals_monai_and_lets_empty_slices_count() -> None:
    logits, mask = random_batch()
    mask[2:] = 0
    has_mask = torch.tensor([True, True, True, False])
    logits.requires_grad_()
    loss = SegmentationLoss(ignore_empty=False, dice_over="batch")(logits, mask, has_mask)
    ours = torch.autograd.grad(loss, logits)[0]
    ce = functional.cross_entropy(logits[:3], mask[:3, 0].long())
    monai = DiceLoss(include_background=False, to_onehot_y=True, softmax=True, batch=True)(logits[:3], mask[:3])
    torch.testing.assert_close(loss, 0.4 * ce + 0.6 * monai)
    torch.testing.assert_close(ours, torch.autograd.grad(0.4 * ce + 0.6 * monai, logits)[0])
    each = SegmentationLoss(0, 1, ignore_empty=False)(logits, mask, has_mask)
    of_empty = SegmentationLoss(0, 1, ignore_empty=False, dice_over="batch")(logits, mask, has_mask)
    gradients = [torch.autograd.grad(value, logits)[0][2].abs().sum() for value in (of_empty, each)]
    assert gradients[0] > 100 * gradients[1] > 0, "Dice of an empty image alone has next to no gradient"


def test_dice_over_a_batch_without_masks_is_zero_with_gradients_and_over_one_image_is_that_image_s() -> None:
    logits, mask = random_batch()
    decoder = torch.nn.Conv2d(2, 2, 1)
    nothing = SegmentationLoss(dice_over="batch")(decoder(logits), mask, torch.zeros(4, dtype=torch.bool))
    nothing.backward()
    assert nothing.item() == 0
    assert all(torch.equal(p.grad, torch.zeros_like(p)) for p in decoder.parameters())
    one = [SegmentationLoss(dice_over=over)(logits[:1], mask[:1], torch.tensor([True])) for over in ("image", "batch")]
    torch.testing.assert_close(*one)
    with pytest.raises(ConfigurationError, match=r"dice_over is one of \['image', 'batch'\], got 'batches'.*'batch'"):
        SegmentationLoss(dice_over="batches")


def test_segmentation_refuses_other_shapes() -> None:
    logits, mask = random_batch()
    with pytest.raises(ValueError, match=r"expected logits \(B, 2, H, W\).*got \(4, 2, 6, 5\) and \(4, 6, 5\)"):
        SegmentationLoss()(logits, mask[:, 0], torch.ones(4, dtype=torch.bool))


def test_classification_of_one_marker_by_hand() -> None:
    logits = torch.tensor([[0.3, 0.7], [0.9, 0.1]]).log()
    loss = ClassificationLoss()(logits, torch.tensor([1, 1]))
    assert loss.item() == pytest.approx(-(math.log(0.7) + math.log(0.1)) / 2, abs=1e-6)


def test_classification_equals_torch_and_leaves_out_unknown_labels() -> None:
    logits = torch.randn(6, 2, generator=torch.Generator().manual_seed(1))
    label = torch.tensor([0, 1, -1, 1, -1, 0])
    expected = functional.cross_entropy(logits, label, ignore_index=-1)
    torch.testing.assert_close(ClassificationLoss()(logits, label), expected)


def test_classification_of_several_markers_by_hand() -> None:
    logits = torch.zeros(2, 3)
    logits[0, 0] = math.log(3)  # sigmoid 0.75
    label = torch.tensor([[1, math.nan, 0], [math.nan, math.nan, 1]])
    expected = -(math.log(0.75) + math.log(0.5) + math.log(0.5)) / 3
    assert ClassificationLoss(3)(logits, label).item() == pytest.approx(expected, abs=1e-6)


def test_unknown_labels_have_no_gradient_and_none_known_gives_zero() -> None:
    logits = torch.randn(2, 3, requires_grad=True)
    label = torch.tensor([[1, math.nan, 0], [math.nan, math.nan, 1]])
    ClassificationLoss(3)(logits, label).backward()
    assert torch.isfinite(logits.grad).all()
    assert torch.equal(logits.grad != 0, ~label.isnan())
    loss = ClassificationLoss(3)(logits, torch.full((2, 3), math.nan))
    assert loss.item() == 0
    assert loss.requires_grad


def test_classification_refuses_other_shapes() -> None:
    with pytest.raises(ValueError, match=r"3 marker\(s\): expected logits \(B, 3\) and labels \(B, 3\)"):
        ClassificationLoss(3)(torch.zeros(2, 2), torch.zeros(2, dtype=torch.long))
    with pytest.raises(ValueError, match=r"1 marker\(s\): expected logits \(B, 2\) and labels \(B,\)"):
        ClassificationLoss()(torch.zeros(2, 2), torch.zeros(2, 1, dtype=torch.long))
    with pytest.raises(ValueError, match="at least one marker"):
        ClassificationLoss(0)


def test_reconstruction_by_hand_and_against_torch() -> None:
    image = torch.tensor([0.0, 1.0, 0.5, 0.5]).reshape(1, 1, 2, 2)
    output = torch.tensor([0.1, 0.8, 0.5, 0.2]).reshape(1, 1, 2, 2)
    assert ReconstructionLoss()(output, image).item() == pytest.approx((0.01 + 0.04 + 0 + 0.09) / 4, abs=1e-7)
    a, b = torch.rand(3, 1, 4, 4), torch.rand(3, 1, 4, 4)
    torch.testing.assert_close(ReconstructionLoss()(a, b), functional.mse_loss(a, b))
    with pytest.raises(ValueError, match="expected the image's shape"):
        ReconstructionLoss()(a, b[:, :, :2])


def multitask_batch() -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]]:
    generator = torch.Generator().manual_seed(3)
    seg, mask = random_batch()
    pred = {
        "cls": torch.randn(4, 2, generator=generator),
        "seg": seg,
        "rec": torch.rand(4, 1, 6, 5, generator=generator),
    }
    target = {
        "image": torch.rand(4, 1, 6, 5, generator=generator),
        "mask": mask,
        "has_mask": torch.tensor([True, True, False, True]),
        "label": torch.tensor([0, 1, 1, 0]),
    }
    return pred, target


def test_multitask_is_the_weighted_sum_and_keeps_its_parts() -> None:
    pred, target = multitask_batch()
    loss = MultiTaskLoss({"cls": 0.3, "seg": 0.4, "rec": 0.4})
    total = loss(pred, target)
    parts = {
        "cls": functional.cross_entropy(pred["cls"], target["label"]),
        "seg": SegmentationLoss()(pred["seg"], target["mask"], target["has_mask"]),
        "rec": functional.mse_loss(pred["rec"], target["image"]),
    }
    torch.testing.assert_close(total, 0.3 * parts["cls"] + 0.4 * parts["seg"] + 0.4 * parts["rec"])
    assert total.ndim == 0
    assert set(loss.components) == set(parts)
    for task, part in parts.items():
        torch.testing.assert_close(loss.components[task], part)
        assert not loss.components[task].requires_grad
    assert {task: count.item() for task, count in loss.counts.items()} == {"cls": 4, "seg": 3, "rec": 4}


def test_counts_are_of_what_takes_part_in_the_last_call() -> None:
    pred, target = multitask_batch()
    pred["cls"], target["label"] = torch.zeros(4, 3), torch.tensor([[1, math.nan, 0]] * 3 + [[math.nan] * 3])
    target["mask"][0] = 0  # annotated without blood
    for ignore_empty, images in ((True, 2), (False, 3)):
        loss = MultiTaskLoss({"cls": 1, "seg": 1, "rec": 1}, num_markers=3, ignore_empty=ignore_empty)
        loss(pred, target)
        assert {task: count.item() for task, count in loss.counts.items()} == {"cls": 6, "seg": images, "rec": 4}
    loss(pred, {**target, "has_mask": torch.zeros(4, dtype=torch.bool)})
    assert loss.counts["seg"].item() == 0


def test_multitask_of_one_task_needs_no_other_target() -> None:
    pred, target = multitask_batch()
    total = MultiTaskLoss({"rec": 1.0})({"rec": pred["rec"]}, {"image": target["image"]})
    torch.testing.assert_close(total, functional.mse_loss(pred["rec"], target["image"]))


def test_losses_are_float32_under_autocast() -> None:
    pred, target = multitask_batch()
    low = {task: output.bfloat16() for task, output in pred.items()}
    loss = MultiTaskLoss(paper_weights(["cls", "seg", "rec"]))
    expected = loss({task: output.float() for task, output in low.items()}, target)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        total = loss(low, target)
    assert total.dtype == torch.float32
    assert torch.equal(total, expected)


@pytest.mark.parametrize(
    ("tasks", "expected"),
    [
        (["cls", "seg", "rec"], {"cls": 0.3, "seg": 0.4, "rec": 0.4}),
        (["seg", "cls"], {"cls": 0.4, "seg": 0.6}),
        (("rec", "cls"), {"cls": 0.4, "rec": 0.6}),
        (["seg"], {"seg": 1.0}),
    ],
)
def test_paper_weights(tasks: list[str], expected: dict[str, float]) -> None:
    assert paper_weights(tasks) == expected


def test_weights_that_cannot_be_used_are_refused_with_a_suggestion() -> None:
    with pytest.raises(ConfigurationError, match="Did you mean 'seg'"):
        MultiTaskLoss({"cls": 1.0, "segm": 1.0})
    with pytest.raises(ConfigurationError, match=r"weight of 'cls' is -1.*\n.*weight of 'seg' is 'much'"):
        MultiTaskLoss({"cls": -1, "seg": "much"})  # type: ignore[dict-item]
    with pytest.raises(ConfigurationError, match="none is named"):
        MultiTaskLoss({})
    with pytest.raises(ConfigurationError, match=r"no weights for tasks seg\+rec, only for cls\+seg\+rec"):
        paper_weights(["seg", "rec"])


def test_heads_and_weights_must_agree() -> None:
    pred, target = multitask_batch()
    del pred["rec"]
    with pytest.raises(ConfigurationError, match=r"(?s)head 'seg' has no weight.*weight 'rec' has no head"):
        MultiTaskLoss({"cls": 0.4, "rec": 0.6})(pred, target)
