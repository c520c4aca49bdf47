# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""What an exported bundle runs that a run's directory does not: one output as a tensor, weights as a state dict."""

from __future__ import annotations

import pickle
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from monai.engines import SupervisedEvaluator
from torch import Tensor, nn

from monai_ich.apps.prediction import StudySlices, predict
from monai_ich.utils.errors import RunDirectoryError
from monai_ich.utils.files import replace_json
from monai_ich.utils.provenance import sha256_of_file


class PrimaryOutput(nn.Module):
    """A network's output for one task as a bare tensor, with the state dict of the whole network.

    MONAI's `verify_net_in_out` reads the shape of a tensor, and `ckpt_export` fills the very module that it traces from
    `models/model.pt`. So this is the bundle's `network_def`: it takes the weights of all heads, and returns one.

    >>> both = nn.ModuleDict({"cls": nn.Linear(2, 2)})
    >>> sorted(PrimaryOutput(both, "cls").state_dict())
    ['cls.bias', 'cls.weight']
    """

    def __init__(self, network: nn.Module, task: str) -> None:
        """Takes a network that returns a dict of tensors, and the key of the one to return."""
        super().__init__()
        self.network = network
        self.task = str(task)

    def forward(self, x: Tensor) -> Tensor:
        """(B, 1, H, W) to the task's tensor."""
        return self.network(x)[self.task]

    def state_dict(self, *args: Any, **kwargs: Any) -> dict[str, Any]:  # type: ignore[override]
        """Returns the network's own state dict: the keys of `models/model.pt`."""
        return self.network.state_dict(*args, **kwargs)

    def load_state_dict(self, state_dict: Mapping[str, Any], *args: Any, **kwargs: Any) -> Any:
        """Fills the network, by the keys of `models/model.pt`."""
        return self.network.load_state_dict(state_dict, *args, **kwargs)


def predict_from_state_dict(
    evaluator: SupervisedEvaluator,
    study: StudySlices,
    *,
    checkpoint: str | Path,
    output_dir: str | Path,
    markers: Sequence[str],
    threshold: float,
) -> dict[str, Any]:
    """Predicts as `predict` does, with the weights as MONAI's bundles keep them: a bare state dict.

    A run's checkpoint holds the state dict under a name, beside the epoch. It is wrapped so for the time of the
    prediction; what is written names the hash of the file that was given.

    Args:
        evaluator, study, output_dir, markers, threshold: as for `predict`.
        checkpoint: the bundle's `models/model.pt`.

    Returns:
        What `study.json` holds.

    Raises:
        RunDirectoryError: when the weights are missing, unreadable or of another network.
    """
    weights = Path(checkpoint)
    with tempfile.TemporaryDirectory() as folder:
        wrapped = Path(folder) / weights.name
        torch.save({"model": _read_state_dict(weights)}, wrapped)
        summary = predict(
            evaluator, study, checkpoint=wrapped, output_dir=output_dir, markers=markers, threshold=threshold
        )
    summary["checkpoint_sha256"] = sha256_of_file(weights)
    replace_json(Path(output_dir) / "study.json", summary)
    return summary


def _read_state_dict(path: Path) -> dict[str, Tensor]:
    if not path.is_file():
        raise RunDirectoryError(
            f"expected the bundle's weights at {path}, but there is no such file. Run from the bundle's own folder, or "
            "name that folder with --bundle_root."
        )
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except (RuntimeError, OSError, EOFError, pickle.UnpicklingError) as error:
        raise RunDirectoryError(f"{path} is not a readable state dict: {error}") from error
