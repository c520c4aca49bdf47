# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Logits become probabilities in one module: its values, and that nothing else calls softmax or sigmoid."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
import torch
from scipy.special import expit
from scipy.special import softmax as reference_softmax

import monai_ich
from monai_ich.utils.probabilities import haematoma_mask, haematoma_probability, marker_probabilities

PACKAGE = Path(monai_ich.__file__).parent
LOGITS = torch.tensor([[0.5, -1.0], [-2.0, 3.0], [0.25, 0.25]])


def test_one_marker_is_the_second_of_two_classes_and_several_are_independent() -> None:
    one = marker_probabilities(LOGITS, 1)
    assert one.shape == (3, 1)
    torch.testing.assert_close(one[:, 0], torch.from_numpy(reference_softmax(LOGITS.numpy(), axis=1)[:, 1]))
    torch.testing.assert_close(marker_probabilities(LOGITS, 2), torch.from_numpy(expit(LOGITS.numpy())))
    assert marker_probabilities(LOGITS.bfloat16(), 1).dtype == torch.float32


@pytest.mark.parametrize(("shape", "markers"), [((3, 1), 1), ((3, 3), 1), ((3, 2), 3), ((3, 2, 1), 1)])
def test_logits_of_another_number_of_markers_are_refused(shape: tuple[int, ...], markers: int) -> None:
    with pytest.raises(ValueError, match=rf"of {markers} marker\(s\), got"):
        marker_probabilities(torch.zeros(shape), markers)


def test_the_mask_is_the_probability_above_a_half() -> None:
    logits = torch.randn(2, 2, 5, 4, generator=torch.Generator().manual_seed(0))
    logits[0, :, 0, 0] = 0.25  # equal: not more probable than not
    probability = haematoma_probability(logits)
    torch.testing.assert_close(probability, torch.from_numpy(reference_softmax(logits.numpy(), axis=1)[:, 1]))
    assert haematoma_mask(logits).equal(probability > 0.5)


def _activates(node: ast.AST) -> bool:
    name = node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""
    return name.lower().replace("_", "") in {"softmax", "sigmoid", "logsoftmax", "logsigmoid", "expit"}


def test_nothing_else_turns_logits_into_probabilities() -> None:
    """Networks and losses use softmax for what it is there: attention, and cross entropy."""
    trees = {file: ast.parse(file.read_text(encoding="utf-8")) for file in PACKAGE.rglob("*.py")}
    found = {file.relative_to(PACKAGE) for file, tree in trees.items() if any(map(_activates, ast.walk(tree)))}
    elsewhere = {file for file in found if file.parts[0] not in ("networks", "losses")}
    assert elsewhere == {Path("utils/probabilities.py")}
