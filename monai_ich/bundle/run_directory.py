# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Makes a run's directory, or opens the one of a run that goes on."""

from __future__ import annotations

import json
import shutil
from datetime import datetime
from pathlib import Path
from typing import Any

import ignite.distributed as idist
import torch

from monai_ich.config.former_configs import upgraded
from monai_ich.config.settings import names_where
from monai_ich.utils.errors import RunDirectoryError
from monai_ich.utils.files import json_text, replace_json
from monai_ich.utils.provenance import git_commit, machine, package_versions
from monai_ich.utils.run_files import RunDirectory

DFR_ON = "dfr_on"  # the setting that a run with a new last layer has

# Blocks that say how a run is started, not what it computes.
_FREE_BLOCKS = frozenset({"bundle_root", "initialize", "finalize", "network"})


def _what_is_fixed(config: dict[str, Any], free: frozenset[str]) -> dict[str, Any]:
    """Of a raw config, what decides the result: all blocks without the settings named in `free`.

    >>> _what_is_fixed({"lr": 1, "seed": 2, "tracker": {"experiment_name": "x", "_target_": "t"}, "network": "n"},
    ...                frozenset({"seed", "tracker::experiment_name"}))
    {'lr': 1, 'tracker': {'_target_': 't'}}
    """
    fixed = {key: value for key, value in config.items() if key not in free | _FREE_BLOCKS | {"_meta_"}}
    for name in free:
        block, _, inner = name.partition("::")
        if inner and isinstance(fixed.get(block), dict):
            fixed[block] = {key: value for key, value in fixed[block].items() if key != inner}
    return json.loads(json_text(fixed))  # a tuple and a list are the same setting


def differing_blocks(first: dict[str, Any], second: dict[str, Any], free: frozenset[str]) -> list[str]:
    """The top-level keys in which two raw configs would compute something different; settings in `free` may differ."""
    one, other = _what_is_fixed(first, free), _what_is_fixed(second, free)
    return sorted(key for key in one.keys() | other.keys() if one.get(key) != other.get(key))


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
    found: RunDirectory | str
    if idist.get_rank() == 0:
        try:
            path = Path(run_dir) if run_dir else _newest_unfinished(runs_dir, run_name) if resume else None
            path = path or Path(runs_dir) / f"{run_name}-{datetime.now():%Y%m%d-%H%M%S}"
            found = RunDirectory(path, _continues(RunDirectory(path), config, resume))
            if not found.resuming:
                _write_new(found, config)
        except RunDirectoryError as error:
            found = str(error)  # every rank must learn of it, or the others wait for ever
    shared = [found if idist.get_rank() == 0 else None]
    if idist.get_world_size() > 1:
        torch.distributed.broadcast_object_list(shared, src=0)
    if not isinstance(shared[0], RunDirectory):
        raise RunDirectoryError(str(shared[0]))
    return shared[0]


def _newest_unfinished(runs_dir: str, run_name: str) -> Path:
    candidates = sorted(Path(runs_dir).glob(f"{run_name}-*/{RunDirectory(Path()).config.name}"), reverse=True)
    for candidate in candidates:
        run = RunDirectory(candidate.parent)
        if not run.results.exists():
            return run.path
    raise RunDirectoryError(
        f"expected an unfinished run named {run_name}-* in {runs_dir}/ to resume, found "
        f"{len(candidates)} run(s), all complete. Start anew without --resume, or name one with --run_dir."
    )


def _continues(run: RunDirectory, config: dict[str, Any], resume: bool) -> bool:
    """Says whether the directory holds an unfinished run that this config may continue."""
    if not run.config.is_file():
        if resume:
            raise RunDirectoryError(f"expected a run to resume in {run.path}, but it holds no {run.config.name}.")
        return False
    before = upgraded(run.read_config())
    changed = differing_blocks(before, config, names_where(lambda setting: setting.free_to_change))
    if changed:
        lines = [f"  - {key}: was {before.get(key)!r}, now {config.get(key)!r}" for key in changed]
        raise RunDirectoryError(
            f"the run in {run.path} cannot continue with another configuration (only device, workers, places and "
            "max_epochs may change):\n" + "\n".join(lines) + f"\nContinue it with --config_file {run.config}"
        )
    if run.results.exists() and DFR_ON in before:
        raise RunDirectoryError(
            f"the run in {run.path} is complete. It has the weights of another run and a new last layer, so it "
            "cannot be trained further. Evaluate it with evaluate.json."
        )
    if run.results.exists() and config.get("max_epochs") == before.get("max_epochs"):
        raise RunDirectoryError(
            f"the run in {run.path} is complete. Evaluate it with evaluate.json, extend it with a higher --max_epochs, "
            "or start a new one without --run_dir."
        )
    run.results.unlink(missing_ok=True)
    _write_config(run, config)
    return True


def _write_new(run: RunDirectory, config: dict[str, Any]) -> None:
    run.best_checkpoint.parent.mkdir(parents=True, exist_ok=True)
    _write_config(run, config)
    for path in run.companions:
        companion = Path(config["bundle_root"]) / path.name
        if companion.is_file() and companion.resolve() != path.resolve():
            shutil.copyfile(companion, path)
    record = {"git_commit": git_commit(), "packages": package_versions(), "machine": machine()}
    replace_json(run.provenance, record)


def _write_config(run: RunDirectory, config: dict[str, Any]) -> None:
    """Keeps the config; its own folder is found beside it from now on, so that the run can be moved."""
    here = "$monai_ich.config.config_folder()"
    replace_json(run.config, {**config, "bundle_root": here, "run_dir": here, "resume": False}, indent=4)
