# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Trains a network and reports on its test sets, as one MLflow run whose final status is FINISHED, FAILED or KILLED."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from ignite.engine import Engine

from monai_ich.bundle.evaluation import Evaluation
from monai_ich.data import SliceDataset
from monai_ich.engines import rank, wait_for_all
from monai_ich.handlers import MLflowTracker
from monai_ich.networks.encoder_origins import ORIGINS, encoder_origins, origins_text
from monai_ich.utils.console import console
from monai_ich.utils.run_files import RunDirectory


def train(trainer: Engine, evaluation: Evaluation, tracker: MLflowTracker, run_directory: RunDirectory) -> None:
    """Runs the trainer, then evaluates the best epoch's network on every test set.

    An interrupted run is marked KILLED and a failed one FAILED; both can be continued, and rejoin their MLflow run.
    """
    try:
        origins = origins_text(encoder_origins(evaluation.network))
        tracker.start({ORIGINS: origins})
        tracker.set_tags({"run_dir": run_directory.path})
        _announce(run_directory, tracker, origins)
        trainer.run()
        wait_for_all()  # the best checkpoint is written by one process and read by all
        evaluation.run()
        for artifact in (
            run_directory.best_checkpoint,
            run_directory.last_checkpoint,
            run_directory.config,
        ):
            tracker.log_artifact(artifact, "checkpoints" if artifact.suffix == ".pt" else "config")
    except KeyboardInterrupt:
        tracker.finish("KILLED")
        _say_how_to_continue(run_directory)
        raise
    except BaseException:
        tracker.finish("FAILED")
        _say_how_to_continue(run_directory)
        raise
    tracker.finish()
    evaluation.report()


def prepare(datasets: Sequence[SliceDataset]) -> None:
    """Decodes and caches every data set, so that an unreadable file is reported before training starts.

    One process does it and the others find the cache filled.

    Args:
        datasets: of one store.
    """
    rows = np.concatenate([dataset.rows for dataset in datasets])
    for turn in range(2):
        if (rank() == 0) == (turn == 0):
            datasets[0].slices.prepare(rows)
        wait_for_all()


def _announce(run_directory: RunDirectory, tracker: MLflowTracker, origins: str) -> None:
    if rank() == 0:
        verb = "continuing" if run_directory.resuming else "training"
        console.print(f"{verb} in {run_directory.path}, tracked in {tracker.tracking_uri}", soft_wrap=True)
        console.print(origins, markup=False, soft_wrap=True)


def _say_how_to_continue(run_directory: RunDirectory) -> None:
    if rank() == 0 and run_directory.last_checkpoint.is_file():
        console.print(
            "\nEverything up to the last complete epoch is kept. Continue with\n"
            f"  python -m monai.bundle run --config_file {run_directory.config}",
            soft_wrap=True,
        )
