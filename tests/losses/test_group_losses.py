# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Group DRO and reweighting against their published rules, over ranks, and where they reduce to simpler means."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.nn import functional

from monai_ich.losses import ClassificationLoss, GroupDRO, GroupReweighting, MultiTaskLoss, group_loss
from monai_ich.utils.errors import ConfigurationError

GROUPS, FEATURES = 4, 5
COUNTS = [950, 285, 35, 290]


def published(
    values: torch.Tensor, groups: torch.Tensor, q: torch.Tensor, step: float, adjustment: float
) -> tuple[torch.Tensor, torch.Tensor]:
    """Algorithm 1 of arXiv 1911.08731 as its public code computes it: absent groups have a loss of 0."""
    means = torch.stack([values[groups == g].mean() if (groups == g).any() else values.new_zeros(()) for g in range(4)])
    q = q * torch.exp(step * (means.detach() + adjustment / torch.tensor(COUNTS).double().sqrt()))
    q = q / q.sum()
    return means.double() @ q, q


def batches(number: int) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """Features (24, 5) and groups (24,) of which some batches have none of a group, or of all but one."""
    drawn = []
    for trial in range(number):
        x, groups = torch.randn(24, FEATURES), torch.randint(0, GROUPS, (24,))
        if trial % 3 == 0:
            groups[groups == 3] = 0
        if trial % 5 == 0:
            groups[:9] = 1
        if trial % 50 == 0:
            groups[:] = 2
        drawn.append((x, groups))
    return drawn


def every(groups: torch.Tensor) -> torch.Tensor:
    return torch.ones(len(groups), dtype=torch.bool)


@pytest.mark.parametrize("adjustment", [0.0, 3.0])
@pytest.mark.parametrize("shares", [[slice(0, 24)], [slice(0, 3), slice(3, 4), slice(4, 24)]], ids=["one", "3 ranks"])
def test_group_dro_is_the_published_rule(shares: list[slice], adjustment: float) -> None:
    weight = torch.randn(FEATURES, requires_grad=True)
    ranks = [GroupDRO(COUNTS, 0.05, adjustment) for _ in shares]
    expected_q = torch.full((GROUPS,), 0.25, dtype=torch.double)
    for x, groups in batches(200):
        value, expected_q = published(functional.softplus(x @ weight), groups, expected_q, 0.05, adjustment)
        (expected,) = torch.autograd.grad(value, weight)
        own: list[torch.Tensor] = []

        def record(both: torch.Tensor, own: list[torch.Tensor] = own) -> tuple[torch.Tensor, int]:
            own.append(both)
            return both, 1

        for share in shares:  # what every rank adds to the sums
            probe = GroupDRO(COUNTS, rank_sum=record)
            probe(functional.softplus(x[share] @ weight), every(groups[share]), groups[share])
        total = torch.stack(own).sum(dim=0)
        gradients, losses = [], []
        for rank, share in zip(ranks, shares, strict=True):
            rank.rank_sum = lambda _, total=total: (total, len(shares))
            loss, count = rank(functional.softplus(x[share] @ weight), every(groups[share]), groups[share])
            gradients.append(torch.autograd.grad(loss, weight)[0])
            losses.append(loss.item())
            assert count.item() == 24
            torch.testing.assert_close(rank.q, expected_q, rtol=0, atol=1e-6)
        torch.testing.assert_close(torch.stack(gradients).mean(dim=0), expected, rtol=0, atol=1e-6)
        assert sum(losses) / len(losses) == pytest.approx(value.item(), abs=1e-6)
    assert (expected_q.max() - expected_q.min()).item() > 0.05, "the weights have moved"


def test_with_a_step_of_0_it_is_the_mean_of_the_groups_means() -> None:
    dro = GroupDRO(COUNTS, step=0)
    for _, groups in batches(10):
        values = torch.rand(24)
        means = [values[groups == g].mean() if (groups == g).any() else torch.tensor(0.0) for g in range(GROUPS)]
        loss, _ = dro(values, every(groups), groups)
        assert loss.item() == pytest.approx(torch.stack(means).mean().item(), abs=1e-6)
    assert dro.q.tolist() == [0.25] * 4


def test_reweighting_weighs_by_the_published_factor_and_is_the_mean_for_equal_groups() -> None:
    equal, unequal = GroupReweighting([7, 7, 7, 7]), GroupReweighting(COUNTS)
    for _, groups in batches(10):
        values = torch.rand(24)
        assert equal(values, every(groups), groups)[0].item() == pytest.approx(values.mean().item(), abs=1e-6)
        factors = torch.tensor([sum(COUNTS) / (4 * COUNTS[g]) for g in groups.tolist()])
        expected = (factors * values).mean().item()
        assert unequal(values, every(groups), groups)[0].item() == pytest.approx(expected, rel=1e-6)


def test_in_an_epoch_of_the_training_set_every_group_weighs_the_same() -> None:
    groups = torch.repeat_interleave(torch.arange(4), torch.tensor(COUNTS))
    for group in range(GROUPS):
        value, _ = GroupReweighting(COUNTS)((groups == group).float(), every(groups), groups)
        assert value.item() == pytest.approx(0.25, abs=1e-6)


@pytest.mark.parametrize("robust", ["reweighting", "group_dro"])
def test_slices_of_unknown_group_have_the_weight_of_ordinary_training(robust: str) -> None:
    values, groups = torch.rand(8), torch.tensor([0, 1, 2, 3, -1, -1, -7, 1])
    counts = torch.tensor([True] * 6 + [True, False])
    loss = group_loss(robust, COUNTS, step=0)
    assert loss is not None
    known, _ = group_loss(robust, COUNTS, step=0)(values[:4], counts[:4], groups[:4])  # type: ignore[misc]
    value, number = loss(values, counts, groups)
    assert value.item() == pytest.approx((4 * known.item() + values[4:7].sum().item()) / 7, abs=1e-6)
    assert number.item() == 7
    everything_unknown, _ = loss(values, counts, torch.full_like(groups, -1))
    assert everything_unknown.item() == pytest.approx(values[:7].mean().item(), abs=1e-6)


def _multitask(robust: str) -> tuple[MultiTaskLoss, dict[str, torch.Tensor], dict[str, torch.Tensor]]:
    loss = MultiTaskLoss({"cls": 0.4, "seg": 0.6}, robust=robust, group_counts=COUNTS, group_dro_step=0.5)
    pred = {"cls": torch.randn(6, 2, requires_grad=True), "seg": torch.randn(6, 2, 4, 4, requires_grad=True)}
    target = {
        "label": torch.tensor([0, 1, 0, 1, 1, 0]),
        "group": torch.tensor([0, 1, 2, 3, 3, 0]),
        "mask": (torch.rand(6, 1, 4, 4) > 0.5).to(torch.uint8),
        "has_mask": torch.ones(6, dtype=torch.bool),
    }
    return loss, pred, target


@pytest.mark.parametrize("robust", ["reweighting", "group_dro"])
def test_the_robust_term_is_on_the_classification_alone_and_in_training_alone(robust: str) -> None:
    loss, pred, target = _multitask(robust)
    plain = MultiTaskLoss({"cls": 0.4, "seg": 0.6})
    before = {name: tensor.clone() for name, tensor in loss.state_dict().items()}
    with torch.no_grad():
        assert loss(pred, target).item() == pytest.approx(plain(pred, target).item(), abs=1e-7)
    assert all(before[name].equal(tensor) for name, tensor in loss.state_dict().items()), "validation changes nothing"
    loss(pred, target)
    plain(pred, target)
    assert loss.components["seg"].equal(plain.components["seg"])
    assert not loss.components["cls"].isclose(plain.components["cls"])
    moved = [not before[name].equal(tensor) for name, tensor in loss.state_dict().items()]
    assert moved == ([True] if robust == "group_dro" else [])


def test_a_loss_without_groups_has_no_state() -> None:
    assert MultiTaskLoss({"cls": 1}).state_dict() == {}


def test_a_batch_without_groups_is_refused() -> None:
    loss, pred, target = _multitask("group_dro")
    del target["group"]
    with pytest.raises(ValueError, match="expects the group of every image"):
        loss(pred, target)
    with pytest.raises(ValueError, match="choose one marker"):
        ClassificationLoss(2, group_mean=GroupDRO(COUNTS))


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("groupdro", COUNTS), ["got 'groupdro'", "Did you mean 'group_dro'?"]),
        (("group_dro", None), ["training has no groups; name data::attributes"]),
        (("reweighting", [3, 0]), ["at least one slice of every group", "[3, 0]"]),
        (("group_dro", COUNTS, -0.1, -1), ["group_dro_step: expected", "-0.1", "group_dro_adjustment"]),
        (("group_dro", COUNTS, math.nan), ["group_dro_step"]),
    ],
)
def test_faults_are_told(arguments: tuple[Any, ...], told: list[str]) -> None:
    with pytest.raises(ConfigurationError) as caught:
        group_loss(*arguments)
    assert all(text in str(caught.value) for text in told), str(caught.value)


def test_group_loss_builds_what_is_named() -> None:
    assert group_loss("none") is None
    assert isinstance(group_loss("reweighting", COUNTS), GroupReweighting)
    dro = group_loss("group_dro", COUNTS, 0.2, 2.0)
    assert isinstance(dro, GroupDRO)
    assert dro.step == 0.2
    torch.testing.assert_close(dro.adjustments, 2 / torch.tensor(COUNTS).double().sqrt())


def test_two_real_processes(tmp_path: Path) -> None:
    """Over gloo the weights of the groups agree, and the averaged gradient is that of one process."""
    room = Path(sys.modules[GroupDRO.__module__].__file__ or "").parent
    # the room is entered without its __init__, which imports all of MONAI
    script = (
        "import sys, types, torch\n"
        "sys.path.insert(0, sys.argv[4])\n"
        "room = types.ModuleType('monai_ich.losses')\n"
        "room.__path__ = [sys.argv[1]]\n"
        "sys.modules['monai_ich.losses'] = room\n"
        "from monai_ich.losses.group_losses import GroupDRO\n"
        "rank = int(sys.argv[3])\n"
        "store = 'file://' + sys.argv[2] + '/store'\n"
        "torch.distributed.init_process_group('gloo', init_method=store, rank=rank, world_size=2)\n"
        "values = torch.tensor([[1.0, 2.0, 6.0], [5.0, 7.0, 9.0]][rank], requires_grad=True)\n"
        "groups = torch.tensor([[0, 0, 1], [1, 1, -1]][rank])\n"
        "dro = GroupDRO([10, 20], step=0.1)\n"
        "loss, count = dro(values, torch.ones(3, dtype=torch.bool), groups)\n"
        "loss.backward()\n"
        "print([values.grad.tolist(), dro.q.tolist(), count.item()])\n"
        "torch.distributed.destroy_process_group()\n"
    )
    command = [sys.executable, "-W", "ignore", "-c", script, str(room), str(tmp_path)]
    processes = [
        subprocess.Popen(
            [*command, str(rank), str(room.parents[1])], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        for rank in range(2)
    ]
    texts = [process.communicate(timeout=120) for process in processes]
    assert [process.returncode for process in processes] == [0, 0], texts
    outputs = [json.loads(output) for output, _ in texts]
    # group means 1.5 and 6; the slice of unknown group weighs 1/6
    weights = [math.exp(0.15), math.exp(0.6)]
    q = [weight / sum(weights) for weight in weights]
    first, second = 5 / 6 * q[0] / 2, 5 / 6 * q[1] / 3
    assert [output[2] for output in outputs] == [6, 6]
    assert outputs[0][1] == outputs[1][1] == pytest.approx(q, abs=1e-9)
    # two processes: the mean of their gradients is the gradient
    assert outputs[0][0] == pytest.approx([2 * first, 2 * first, 2 * second], abs=1e-6)
    assert outputs[1][0] == pytest.approx([2 * second, 2 * second, 2 / 6], abs=1e-6)
