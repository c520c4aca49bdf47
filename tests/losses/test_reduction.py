# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Gradients averaged over processes equal those of a single process, whatever each process holds."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from monai_ich.losses import MultiTaskLoss, global_mean, sum_over_ranks

SHARES = (slice(0, 3), slice(3, 5))  # two processes with unequal batches


def batch() -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    generator = torch.Generator().manual_seed(0)
    image = torch.rand(5, 1, 4, 4, generator=generator)
    mask = (image > 0.7).to(torch.uint8)
    mask[1] = 0
    labels = torch.tensor([[1.0, torch.nan], [0, 1], [torch.nan, torch.nan], [1, 1], [torch.nan, 0]])
    return image, {
        "image": image,
        "mask": mask,
        "has_mask": torch.tensor([True, True, True, False, True]),
        "label": labels,
    }


def network() -> torch.nn.Module:
    torch.manual_seed(0)
    return torch.nn.Conv2d(1, 5, 1)


def gradients(loss: MultiTaskLoss, part: slice) -> tuple[torch.Tensor, torch.Tensor]:
    """Loss and weight gradient of one process's share of the batch."""
    image, target = batch()
    net = network()
    output = net(image[part])
    pred = {"cls": output[:, :2].mean(dim=(2, 3)), "seg": output[:, 2:4], "rec": output[:, 4:]}
    value = loss(pred, {name: tensor[part] for name, tensor in target.items()})
    value.backward()
    return value.detach(), net.weight.grad


WEIGHTS = {"cls": 0.3, "seg": 0.4, "rec": 0.4}


@pytest.mark.parametrize(
    ("options", "counted"),
    [({}, [6, 3, 5]), ({"ignore_empty": False, "dice_over": "batch"}, [6, 4, 5])],
    ids=["paper", "Dice over the batch"],
)
def test_averaged_gradients_equal_those_of_one_process(options: dict[str, Any], counted: list[int]) -> None:
    expected = gradients(MultiTaskLoss(WEIGHTS, num_markers=2, **options), slice(None))
    seen: list[list[torch.Tensor]] = [[], []]
    for rank, part in enumerate(SHARES):

        def record(count: torch.Tensor, counts: list[torch.Tensor] = seen[rank]) -> tuple[torch.Tensor, int]:
            counts.append(count)
            return count, 1

        gradients(MultiTaskLoss(WEIGHTS, num_markers=2, **options, rank_sum=record), part)
    totals = [first + second for first, second in zip(*seen, strict=True)]
    # known labels, images that take part in the segmentation, images; the sums of Dice are a pair
    assert [total.item() for total in totals if total.ndim == 0] == counted
    results = []
    for part in SHARES:
        sums = iter(totals)
        loss = MultiTaskLoss(WEIGHTS, num_markers=2, **options, rank_sum=lambda _, s=sums: (next(s), 2))
        results.append(gradients(loss, part))
    for first, second, whole in zip(*results, expected, strict=True):
        torch.testing.assert_close((first + second) / 2, whole)


def test_processes_are_not_asked_where_no_gradient_is_recorded() -> None:
    def refuse(count: torch.Tensor) -> tuple[torch.Tensor, int]:
        raise AssertionError("validation may run a different number of batches on every process")

    values, counts = torch.tensor([1.0, 2.0, 6.0]), torch.tensor([True, True, False])
    with torch.no_grad():
        mean, count = global_mean(values, counts, refuse)
    assert (mean.item(), count.item()) == (1.5, 2)
    with pytest.raises(AssertionError):
        global_mean(values, counts, refuse)


@pytest.mark.parametrize("counted", [5, 3, 0])
def test_value_and_gradient_are_those_of_the_plain_formula_to_the_bit(counted: int) -> None:
    values = torch.rand(5, generator=torch.Generator().manual_seed(1)).requires_grad_()
    again = values.detach().clone().requires_grad_()
    counts = torch.arange(5) < counted
    mean, count = global_mean(values, counts)
    plain = (again * counts.float()).sum() * 1 / counts.float().sum().clamp(min=1)
    mean.backward()
    plain.backward()
    assert torch.equal(mean, plain)
    assert torch.equal(values.grad, again.grad)
    assert count.item() == counted


def test_one_process_keeps_its_own_count() -> None:
    count, ranks = sum_over_ranks(torch.tensor(3.0))
    assert (count.item(), ranks) == (3, 1)


def test_two_real_processes(tmp_path: Path) -> None:
    module = Path(sys.modules[global_mean.__module__].__file__ or "")
    # the module is loaded by itself: importing all of MONAI twice would take longer than all other tests together
    script = (
        "import importlib.util, sys, torch\n"
        "spec = importlib.util.spec_from_file_location('reduction', sys.argv[1])\n"
        "reduction = importlib.util.module_from_spec(spec)\n"
        "spec.loader.exec_module(reduction)\n"
        "rank = int(sys.argv[3])\n"
        "store = 'file://' + sys.argv[2] + '/store'\n"
        "torch.distributed.init_process_group('gloo', init_method=store, rank=rank, world_size=2)\n"
        "values = torch.tensor([[1.0, 2.0, 6.0], [5.0, 7.0, 9.0]][rank], requires_grad=True)\n"
        "counts = torch.tensor([[True, True, True], [False, True, False]][rank])\n"
        "mean, count = reduction.global_mean(values, counts)\n"
        "mean.backward()\n"
        "print([values.grad.tolist(), count.item()])\n"
        "torch.distributed.destroy_process_group()\n"
    )
    command = [sys.executable, "-W", "ignore", "-c", script, str(module), str(tmp_path)]
    processes = [
        subprocess.Popen([*command, str(rank)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for rank in range(2)
    ]
    outputs = [process.communicate(timeout=120) for process in processes]
    assert [process.returncode for process in processes] == [0, 0], outputs
    # 2 processes / 4 values that count; averaged over the processes, each value weighs 1/4
    assert [json.loads(output) for output, _ in outputs] == [[[0.5, 0.5, 0.5], 4], [[0, 0.5, 0], 4]]
