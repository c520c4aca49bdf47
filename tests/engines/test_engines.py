# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Schedules, batches and process counts."""

from __future__ import annotations

import pytest
import torch

from monai_ich.engines import (
    init_distributed,
    parameter_groups,
    per_process_batch_size,
    poly_learning_rate,
    prepare_multitask_batch,
    rank,
    world_size,
)
from monai_ich.utils.errors import ConfigurationError


def test_poly_learning_rate_equals_torch_schedule() -> None:
    parameter = torch.nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.SGD([parameter], lr=0.01)
    reference = torch.optim.lr_scheduler.PolynomialLR(optimizer, total_iters=37, power=0.9)
    for iteration in range(37):
        assert poly_learning_rate(iteration, 37, 0.01) == pytest.approx(optimizer.param_groups[0]["lr"], rel=1e-6)
        optimizer.step()
        reference.step()
    assert poly_learning_rate(37, 37, 0.01) == 0


def test_warm_up_rises_linearly_and_meets_the_decay() -> None:
    rates = [poly_learning_rate(i, 1000, 1.0, warmup=10) for i in range(12)]
    assert rates[0] == pytest.approx(0.1)
    assert rates[4] == pytest.approx(0.5 * (1 - 4 / 1000) ** 0.9)
    assert rates[10] == poly_learning_rate(10, 1000, 1.0)


def test_a_batch_becomes_input_and_targets() -> None:
    batch = {
        "image": torch.rand(2, 1, 4, 4),
        "mask": torch.zeros(2, 1, 4, 4, dtype=torch.uint8),
        "has_mask": torch.tensor([True, False]),
        "label": torch.tensor([0, 1]),
        "index": torch.tensor([7, 3]),
        "key": ["a", "b"],
    }
    image, targets = prepare_multitask_batch(batch, torch.device("cpu"))
    assert image is targets["image"], "the image is the reconstruction's target"
    assert set(targets) == {"image", "mask", "has_mask", "label", "index"}
    assert targets["index"].tolist() == [7, 3]


def test_one_process_is_rank_0_of_1() -> None:
    assert (rank(), world_size()) == (0, 1)
    assert per_process_batch_size(7) == 7


def test_an_uneven_batch_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("monai_ich.engines.distributed.world_size", lambda: 4)
    assert per_process_batch_size(16) == 4
    with pytest.raises(ConfigurationError, match="multiple of the 4 processes, got 18; use 20"):
        per_process_batch_size(18)


def test_processes_must_be_started_by_torchrun(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RANK", raising=False)
    with pytest.raises(ConfigurationError, match="torchrun --nproc_per_node=2"):
        init_distributed()


def test_the_classifier_has_a_rate_of_its_own_and_every_parameter_is_in_one_group() -> None:
    network = torch.nn.Module()
    network.encoder = torch.nn.Linear(3, 3)
    network.heads = torch.nn.ModuleDict({"cls": torch.nn.Linear(3, 2), "seg": torch.nn.Linear(3, 2)})
    rest, classifier = parameter_groups(network, 5.0)
    assert [id(p) for p in classifier["params"]] == [id(p) for p in network.heads["cls"].parameters()]
    assert (rest["lr_factor"], classifier["lr_factor"], classifier["weight_decay"]) == (1.0, 5.0, 0.0)
    assert len(rest["params"]) + len(classifier["params"]) == len(list(network.parameters()))
    torch.optim.AdamW(parameter_groups(network, 5.0), lr=0.1)  # torch refuses a parameter in two groups
    del network.heads["cls"]
    assert len(parameter_groups(network)) == 1


def test_frozen_parameters_are_in_no_group() -> None:
    network = torch.nn.Module()
    network.encoder = torch.nn.ModuleDict({"frozen": torch.nn.Linear(3, 3), "trainable": torch.nn.Linear(3, 3)})
    network.heads = torch.nn.ModuleDict({"cls": torch.nn.Linear(6, 2)})
    network.encoder["frozen"].requires_grad_(False)
    rest, classifier = parameter_groups(network, 5.0)
    assert [id(p) for p in rest["params"]] == [id(p) for p in network.encoder["trainable"].parameters()]
    assert len(classifier["params"]) == 2
    network.heads.requires_grad_(False)
    assert len(parameter_groups(network)) == 1
