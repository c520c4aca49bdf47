# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""What happens around an iteration, on engines that run: seeds, learning rate, gradient norm, the epoch's losses."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from ignite.engine import Engine, Events
from monai.engines import IterationEvents
from monai.losses import DiceLoss
from torch.nn import functional

from monai_ich.data import EpochSampler
from monai_ich.engines import LR_FACTOR
from monai_ich.handlers import EpochLosses, EpochSeed, GradientNormLimit, PolyLearningRate
from monai_ich.handlers.iteration import DivergedError
from monai_ich.losses import MultiTaskLoss


def _drawn(seed: int, epochs: list[int]) -> dict[int, tuple[float, list[int]]]:
    """{epoch: (torch's first number in it, the rows in the sampler's order)} of an engine that runs these epochs."""
    sampler = EpochSampler(16, 4, seed=7)
    seen: dict[int, tuple[float, list[int]]] = {}

    def step(engine: Engine, batch: object) -> None:
        seen[engine.state.epoch] = torch.rand(1).item(), [draw.row for draw in sampler]

    engine = Engine(step)
    EpochSeed(seed, sampler).attach(engine)
    engine.add_event_handler(Events.STARTED, lambda e: setattr(e.state, "epoch", epochs[0] - 1))
    engine.run([0], max_epochs=epochs[-1])
    return seen


def test_an_epoch_draws_the_same_whether_the_run_was_interrupted_or_not() -> None:
    whole, resumed = _drawn(3, [1, 2, 3]), _drawn(3, [3])
    assert resumed == {3: whole[3]}
    assert len({value for value, _ in whole.values()}) == 3
    assert len({tuple(rows) for _, rows in whole.values()}) == 3
    assert _drawn(4, [3])[3][0] != whole[3][0]


def _rates(total_epochs: int, length: int, **settings: float) -> tuple[list[float], list[float]]:
    """The rates of both groups at every iteration, as the step sees them."""
    groups = [{"params": [torch.zeros(1, requires_grad=True)]}, {"params": [torch.zeros(1, requires_grad=True)]}]
    optimizer = torch.optim.SGD(groups, lr=123.0)
    optimizer.param_groups[1][LR_FACTOR] = 10.0
    seen: list[list[float]] = []
    engine = Engine(lambda *_: seen.append([group["lr"] for group in optimizer.param_groups]))
    PolyLearningRate(optimizer, 0.2, **settings).attach(engine)  # type: ignore[arg-type]
    engine.run(list(range(length)), max_epochs=total_epochs)
    first, second = zip(*seen, strict=True)
    return list(first), list(second)


def test_the_learning_rate_is_equation_6_over_all_epochs_and_each_group_has_its_factor() -> None:
    first, second = _rates(2, 5)
    assert first == pytest.approx([0.2 * (1 - i / 10) ** 0.9 for i in range(10)])
    assert second == pytest.approx([10 * rate for rate in first])


def test_exponent_and_warm_up_are_those_given() -> None:
    assert _rates(1, 4, power=2.0)[0] == pytest.approx([0.2 * (1 - i / 4) ** 2 for i in range(4)])
    ramp = [0.25, 0.5, 0.75, 1, 1, 1]
    assert _rates(1, 6, power=1.0, warmup_iterations=4)[0] == pytest.approx(
        [0.2 * factor * (1 - i / 6) for i, factor in enumerate(ramp)]
    )


@pytest.mark.parametrize(("limit", "expected"), [(2.5, 2.5), (5.1, 5.0), (0.0, 5.0)])
def test_a_gradient_is_scaled_down_to_the_limit_and_never_up(limit: float, expected: float) -> None:
    network = torch.nn.ParameterList([torch.zeros(1), torch.zeros(1)])
    network[0].grad, network[1].grad = torch.tensor([3.0]), torch.tensor([-4.0])
    engine = Engine(lambda e, _: e.fire_event(IterationEvents.BACKWARD_COMPLETED))
    engine.register_events(*IterationEvents)
    GradientNormLimit(network, limit).attach(engine)
    engine.run([0])
    gradient = torch.cat([parameter.grad for parameter in network])
    assert gradient.norm().item() == pytest.approx(expected, rel=1e-5)
    assert (gradient[1] / gradient[0]).item() == pytest.approx(-4 / 3)


def _epoch_losses(
    values: Callable[[int], float], epochs: int = 2, length: int = 2, counts: tuple[float, float] = (4.0, 5.0)
) -> list[dict[str, float]]:
    """The engine's metrics after each epoch; the loss of iteration i is `values(i)`, its classifier's half of it."""
    loss = MultiTaskLoss({"cls": 0.4, "rec": 0.6})
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.03)

    def step(engine: Engine, batch: object) -> dict[str, torch.Tensor]:
        value = torch.tensor(values(engine.state.iteration), requires_grad=True)
        loss.components = {"cls": value.detach() / 2, "rec": value.detach() * 3}
        loss.counts = {"cls": torch.tensor(counts[0]), "rec": torch.tensor(counts[1])}
        return {"loss": value}

    engine = Engine(step)
    EpochLosses(loss, optimizer).attach(engine)
    seen: list[dict[str, float]] = []
    engine.add_event_handler(Events.EPOCH_COMPLETED, lambda e: seen.append(dict(e.state.metrics)))
    engine.run(list(range(length)), max_epochs=epochs)
    return seen


def test_an_epoch_s_losses_are_the_means_of_its_own_iterations() -> None:
    first, second = _epoch_losses(float)  # losses 1, 2, then 3, 4
    weighted = 0.4 * 0.75 + 0.6 * 4.5
    assert first == pytest.approx({"train_loss": weighted, "train_loss_cls": 0.75, "train_loss_rec": 4.5, "lr": 0.03})
    weighted = 0.4 * 1.75 + 0.6 * 10.5
    assert second == pytest.approx({"train_loss": weighted, "train_loss_cls": 1.75, "train_loss_rec": 10.5, "lr": 0.03})


# Batches of 4, 4, 4 and 1 slices: two masks with blood, none, one, one; three labels known, none, four, one.
HAS_MASK = torch.tensor([1, 1, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1], dtype=torch.bool)
LABEL = torch.tensor([0, 1, 1, -1, -1, -1, -1, -1, 1, 0, 0, 1, 0])
SIZES = [4, 4, 4, 1]


def _trained(has_mask: torch.Tensor, label: torch.Tensor) -> tuple[dict[str, float], dict[str, torch.Tensor]]:
    """An epoch's metrics under the real loss, and the loss of each slice by torch and MONAI alone."""
    generator = torch.Generator().manual_seed(0)
    image, cls = torch.rand(13, 1, 4, 4, generator=generator), torch.randn(13, 2, generator=generator)
    seg, rec = torch.randn(13, 2, 4, 4, generator=generator), torch.rand(13, 1, 4, 4, generator=generator)
    mask = (image > 0.5).to(torch.uint8)
    loss = MultiTaskLoss({"cls": 0.3, "seg": 0.4, "rec": 0.5})

    def step(engine: Engine, rows: torch.Tensor) -> dict[str, torch.Tensor]:
        pred = {"cls": cls[rows].requires_grad_(), "seg": seg[rows], "rec": rec[rows]}
        target = {"label": label, "mask": mask, "has_mask": has_mask, "image": image}
        return {"loss": loss(pred, {name: values[rows] for name, values in target.items()})}

    engine = Engine(step)
    EpochLosses(loss, torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.03)).attach(engine)
    engine.run(list(torch.arange(13).split(SIZES)), max_epochs=2)
    ce = functional.cross_entropy(seg, mask[:, 0].long(), reduction="none").mean(dim=(1, 2))
    dice = DiceLoss(include_background=False, to_onehot_y=True, softmax=True, reduction="none")(seg, mask).flatten()
    each = {
        "cls": functional.cross_entropy(cls, label.clamp(min=0), reduction="none"),
        "seg": 0.4 * ce + 0.6 * dice,
        "rec": functional.mse_loss(rec, image, reduction="none").mean(dim=(1, 2, 3)),
    }
    return engine.state.metrics, each


def test_each_part_is_the_mean_over_what_counts_for_it_and_the_loss_is_their_weighted_sum() -> None:
    metrics, each = _trained(HAS_MASK, LABEL)
    cls, seg, rec = each["cls"][LABEL >= 0].mean(), each["seg"][HAS_MASK].mean(), each["rec"].mean()
    assert metrics == pytest.approx(
        {
            "train_loss": (0.3 * cls + 0.4 * seg + 0.5 * rec).item(),
            "train_loss_cls": cls.item(),
            "train_loss_seg": seg.item(),
            "train_loss_rec": rec.item(),
            "lr": 0.03,
        },
        rel=1e-6,
    )


def test_a_part_of_which_nothing_counted_is_undefined_and_no_divergence() -> None:
    metrics, each = _trained(torch.zeros_like(HAS_MASK), LABEL)
    assert math.isnan(metrics["train_loss_seg"])
    cls, rec = each["cls"][LABEL >= 0].mean(), each["rec"].mean()
    assert metrics["train_loss"] == pytest.approx((0.3 * cls + 0.5 * rec).item(), rel=1e-6)
    nothing = _epoch_losses(lambda _: 0.0, epochs=1, counts=(0.0, 0.0))[0]
    assert all(math.isnan(nothing[name]) for name in ("train_loss", "train_loss_cls", "train_loss_rec"))


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_what_diverged_is_told_from_what_did_not_count(value: float) -> None:
    with pytest.raises(DivergedError, match="got train_loss = "):
        _epoch_losses(lambda iteration: value if iteration == 2 else 0.0, epochs=1, counts=(0.0, 0.0))


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_loss_that_is_no_number_ends_the_run_with_what_to_do(value: float) -> None:
    with pytest.raises(DivergedError) as caught:
        _epoch_losses(lambda iteration: value if iteration == 3 else 1.0)
    message = str(caught.value)
    assert message.startswith(f"epoch 2: expected finite losses, got train_loss = {value}, train_loss_cls = {value}, ")
    assert message.endswith("Lower --lr, lengthen --train::warmup_iterations, or try --precision float32.")


def test_only_the_part_that_diverged_is_named() -> None:
    with pytest.raises(DivergedError, match=r"got train_loss_rec = inf\. Lower"):
        _epoch_losses(lambda _: 3e38, length=1)  # 3 x 3e38 is beyond float32
