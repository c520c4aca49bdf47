# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Weights are loaded from a run's checkpoint and from a bare state dict; anything else is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from monai_ich.networks import load_weights
from monai_ich.utils.errors import RunDirectoryError


@pytest.mark.parametrize("wrapped", [True, False], ids=["checkpoint", "state_dict"])
def test_both_kinds_of_file_fill_the_network(wrapped: bool, tmp_path: Path) -> None:
    trained, network = nn.Linear(2, 3), nn.Linear(2, 3)
    state = trained.state_dict()
    torch.save({"model": state, "epoch": 7} if wrapped else state, tmp_path / "weights.pt")
    assert load_weights(network, tmp_path / "weights.pt") == ({"epoch": 7} if wrapped else {})
    assert torch.equal(network.weight, trained.weight)


def test_a_network_with_a_part_named_model_loads_a_bare_state_dict(tmp_path: Path) -> None:
    trained, network = (nn.ModuleDict({"model": nn.Linear(2, 3)}) for _ in range(2))
    torch.save(trained.state_dict(), tmp_path / "weights.pt")
    load_weights(network, tmp_path / "weights.pt")
    assert torch.equal(network["model"].weight, trained["model"].weight)


def test_what_holds_no_named_weights_is_refused(tmp_path: Path) -> None:
    network = nn.Linear(2, 3)
    torch.save([network.weight.detach()], tmp_path / "weights.pt")
    with pytest.raises(RunDirectoryError, match=r"expected named weights, got <class 'list'>"):
        load_weights(network, tmp_path / "weights.pt")
    torch.save(nn.Linear(3, 3).state_dict(), tmp_path / "weights.pt")
    with pytest.raises(RunDirectoryError, match=r"weight is \(3, 3\) in the file, \(3, 2\) in the network"):
        load_weights(network, tmp_path / "weights.pt")
