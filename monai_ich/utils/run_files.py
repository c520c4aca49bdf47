# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""The files of a run's directory: the one place that knows their names."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class RunDirectory:
    """The files of one run.

    `train.json` is the merged config and `evaluate.json`, `inference.json` its overlays, so that
    `--config_file "['RUN/train.json','RUN/evaluate.json']"` needs nothing but the directory.

    Attributes:
        path: of the directory.
        resuming: whether a run that was begun earlier goes on in it.
    """

    path: Path
    resuming: bool = False

    @property
    def config(self) -> Path:
        """The merged config: continuing the run needs nothing else."""
        return self.path / "train.json"

    @property
    def evaluation_config(self) -> Path:
        """The overlay that evaluates the run."""
        return self.path / "evaluate.json"

    @property
    def inference_config(self) -> Path:
        """The overlay that predicts with the run."""
        return self.path / "inference.json"

    @property
    def metadata(self) -> Path:
        """What MONAI asks of a bundle."""
        return self.path / "metadata.json"

    @property
    def logging_config(self) -> Path:
        return self.path / "logging.conf"

    @property
    def companions(self) -> tuple[Path, ...]:
        """The files that are copied from the bundle, so that the directory is one."""
        return self.evaluation_config, self.inference_config, self.metadata, self.logging_config

    @property
    def last_checkpoint(self) -> Path:
        """Everything that is needed to go on after the last complete epoch."""
        return self.path / "models" / "last.pt"

    @property
    def best_checkpoint(self) -> Path:
        """The network's weights of the epoch with the best key metric."""
        return self.path / "models" / "best.pt"

    @property
    def predictions(self) -> Path:
        """One CSV of per-slice predictions a test set."""
        return self.path / "predictions"

    @property
    def validation_predictions(self) -> Path:
        """Per-slice predictions of the validation set by the best checkpoint; runs of version 0.1 have none."""
        return self.path / "validation.csv"

    @property
    def figures(self) -> Path:
        return self.path / "figures"

    @property
    def results(self) -> Path:
        """Test metrics as JSON; written last, so its presence says that the run is complete."""
        return self.path / "results.json"

    @property
    def provenance(self) -> Path:
        """The commit, the packages and the machine."""
        return self.path / "provenance.json"

    @property
    def mlflow_identity(self) -> Path:
        """The MLflow run that belongs to this directory."""
        return self.path / "mlflow.json"

    @property
    def first_stage(self) -> RunDirectory:
        """The segmentation run of a joint system."""
        return RunDirectory(self.path / "segmentation")

    @property
    def first_stage_config(self) -> Path:
        """The config that a joint system's segmentation run is started with."""
        return self.path / "segmentation.json"

    @property
    def gradcam(self) -> Path:
        """What `monai_ich gradcam` writes."""
        return self.path / "gradcam"

    def read_config(self) -> dict[str, Any]:
        """The run's own config, expressions as text."""
        return json.loads(self.config.read_text(encoding="utf-8"))

    def read_results(self) -> dict[str, Any]:
        """What `results.json` holds: `epoch`, `threshold`, `encoders` (see `encoder_origins`; not in older runs), and
        each test set's `metrics`, NaN where not defined.
        """
        content = json.loads(self.results.read_text(encoding="utf-8"))
        content["metrics"] = {
            name: {metric: math.nan if value is None else value for metric, value in values.items()}
            for name, values in content["metrics"].items()
        }
        return content
