# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""A run's own directory: everything that is needed to resume, evaluate, export or explain it."""

from __future__ import annotations

import json
import math
import shutil
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import ignite.distributed as idist
import torch

from monai_ich.utils.errors import RunDirectoryError
from monai_ich.utils.files import replace_json
from monai_ich.utils.provenance import git_commit, machine, package_versions

CONFIG_NAME = "train.json"
COMPANIONS = ("evaluate.json", "inference.json", "multi_gpu_train.json", "metadata.json", "logging.conf")
# Settings that may change between two parts of one run without changing what it computes.
FREE_TO_CHANGE = frozenset(
    {
        "allow_findings",
        "bundle_root",
        "cache_dir",
        "dataset_dir",
        "device",
        "distributed",
        "experiment_name",
        "initialize",
        "max_epochs",
        "network",
        "num_workers",
        "resume",
        "run_dir",
        "runs_dir",
        "tracking_uri",
    }
)


@dataclass(frozen=True)
class RunDirectory:
    """The files of one run.

    `train.json` is the merged config and `evaluate.json`, `inference.json` its overlays, so that
    `--config_file "['RUN/train.json','RUN/evaluate.json']"` needs nothing but the directory.
    """

    path: Path
    resuming: bool

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
    def figures(self) -> Path:
        return self.path / "figures"

    @property
    def results(self) -> Path:
        """Test metrics as JSON; written last, so its presence says that the run is complete."""
        return self.path / "results.json"

    @property
    def provenance(self) -> Path:
        return self.path / "provenance.json"

    def read_results(self) -> dict[str, Any]:
        """What `results.json` holds: `epoch`, `threshold`, and each test set's `metrics`, NaN where not defined."""
        content = json.loads(self.results.read_text(encoding="utf-8"))
        content["metrics"] = {
            name: {metric: math.nan if value is None else value for metric, value in values.items()}
            for name, values in content["metrics"].items()
        }
        return content


def open_run_directory(
    config: dict[str, Any], *, runs_dir: str, run_name: str, run_dir: str = "", resume: bool = False
) -> RunDirectory:
    """Makes a new run's directory, or opens the one to continue. Only rank 0 touches the disk.

    Args:
        config: the merged config, expressions as text; kept as `train.json`.
        runs_dir: where new runs go, as `<runs_dir>/<run_name>-<date>-<time>`.
        run_name: the run's name.
        run_dir: this very directory; one that holds an unfinished run is continued.
        resume: continue `run_dir`, or the newest unfinished run of this name.

    Raises:
        RunDirectoryError: nothing to resume, the run is complete, or the config differs from the run's own.
    """
    found: tuple[str, bool] | str = ("", False)
    if idist.get_rank() == 0:
        try:
            path = Path(run_dir) if run_dir else _newest_unfinished(runs_dir, run_name) if resume else None
            path = path or Path(runs_dir) / f"{run_name}-{datetime.now():%Y%m%d-%H%M%S}"
            resuming = _continues(path, config, resume)
            if not resuming:
                _write_new(path, config)
            found = (str(path), resuming)
        except RunDirectoryError as error:
            found = str(error)  # every rank must learn of it, or the others wait for ever
    if idist.get_world_size() > 1:
        shared = [found]
        torch.distributed.broadcast_object_list(shared, src=0)
        found = shared[0]
    if isinstance(found, str):
        raise RunDirectoryError(found)
    return RunDirectory(Path(found[0]), found[1])


def _newest_unfinished(runs_dir: str, run_name: str) -> Path:
    candidates = sorted(Path(runs_dir).glob(f"{run_name}-*/{CONFIG_NAME}"), reverse=True)
    for candidate in candidates:
        run = RunDirectory(candidate.parent, resuming=True)
        if not run.results.exists():
            return run.path
    raise RunDirectoryError(
        f"expected an unfinished run named {run_name}-* in {runs_dir}/ to resume, found "
        f"{len(candidates)} run(s), all complete. Start anew without --resume, or name one with --run_dir."
    )


def _continues(path: Path, config: dict[str, Any], resume: bool) -> bool:
    """Says whether `path` holds an unfinished run that this config may continue."""
    saved = path / CONFIG_NAME
    if not saved.is_file():
        if resume:
            raise RunDirectoryError(f"expected a run to resume in {path}, but it holds no {CONFIG_NAME}.")
        return False
    before = json.loads(saved.read_text(encoding="utf-8"))
    changed = sorted(
        key for key in before.keys() | config.keys() if key not in FREE_TO_CHANGE and before.get(key) != config.get(key)
    )
    if changed:
        lines = [f"  - {key}: was {before.get(key)!r}, now {config.get(key)!r}" for key in changed]
        raise RunDirectoryError(
            f"the run in {path} cannot continue with another configuration (only device, workers, places and "
            "max_epochs may change):\n" + "\n".join(lines) + f"\nContinue it with --config_file {saved}"
        )
    run = RunDirectory(path, resuming=True)
    if run.results.exists() and config.get("max_epochs") == before.get("max_epochs"):
        raise RunDirectoryError(
            f"the run in {path} is complete. Evaluate it with evaluate.json, extend it with a higher --max_epochs, "
            "or start a new one without --run_dir."
        )
    run.results.unlink(missing_ok=True)
    _write_config(path, config)
    return True


def _write_new(path: Path, config: dict[str, Any]) -> None:
    (path / "models").mkdir(parents=True, exist_ok=True)
    _write_config(path, config)
    for name in COMPANIONS:
        companion = Path(config["bundle_root"]) / name
        if companion.is_file() and companion.resolve() != (path / name).resolve():
            shutil.copyfile(companion, path / name)
    record = {"git_commit": git_commit(), "packages": package_versions(), "machine": machine()}
    replace_json(path / "provenance.json", record)


def _write_config(path: Path, config: dict[str, Any]) -> None:
    kept = {**config, "bundle_root": path.as_posix(), "run_dir": path.as_posix(), "resume": False}
    replace_json(path / CONFIG_NAME, kept, indent=4)
