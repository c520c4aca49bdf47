# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Heat maps of a benchmark's networks against the known cause: do they say what a network depends on?"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from monai_ich.gradcam.pair_maps import rank_over_networks, summarise_pairs
from monai_ich.gradcam.run_explanation import PAIRS_NAME, explain_pairs_of_run
from monai_ich.spurious.benchmark import Benchmark, Condition
from monai_ich.spurious.benchmark_results import KNOWN_PAIRS
from monai_ich.spurious.benchmark_runs import condition_folder
from monai_ich.table.table_runs import complete_runs, read_record
from monai_ich.utils.console import console
from monai_ich.utils.run_files import RunDirectory

NETWORK = ["nuisance", "dial", "network", "seed"]


def measure_maps(benchmark: Benchmark, conditions: Sequence[Condition], output_dir: Path) -> None:
    """Measures the maps of every complete run that has none yet, on the pairs of hospitals 1-4: those have masks.

    Conditions whose phantom has no pairs are left out.

    Raises:
        RunDirectoryError, ConfigurationError, ManifestError, ImageReadError, ComparisonError: see
            `explain_pairs_of_run`.
        KeyboardInterrupt: it was interrupted; what is measured is kept.
    """
    known = {method.name for method in benchmark.methods}
    for condition in (condition for condition in conditions if condition.nuisance.phantom.get("pairs")):
        runs = complete_runs(condition_folder(output_dir, condition))
        todo = [run for run in runs if read_record(run).row in known and not _is_measured(run)]
        if todo:
            console.rule(f"{condition.name}: heat maps of {len(todo)} of {len(runs)} runs to measure")
        for run in todo:
            explain_pairs_of_run(run, condition.nuisance.attribute, (KNOWN_PAIRS,))


def maps_frame(benchmark: Benchmark, conditions: Sequence[Condition], output_dir: Path) -> pd.DataFrame:
    """What the maps say of each network, from the runs whose maps are measured.

    Returns:
        One row a network (`nuisance`, `dial`, `network`: the benchmark's method, `seed`), map's `method` and `layer`,
        with the columns of `summarise_pairs`; empty where nothing is measured.
    """
    known = {method.name for method in benchmark.methods}
    parts = []
    for condition in conditions:
        for run in filter(_is_measured, complete_runs(condition_folder(output_dir, condition))):
            record = read_record(run)
            if record.row in known:
                names = (condition.nuisance.dial, condition.dial, record.row, record.seed)
                parts.append(pd.read_csv(_pairs_of(run)).assign(**dict(zip(NETWORK, names, strict=True))))
    return summarise_pairs(pd.concat(parts), (*NETWORK, "method", "layer")) if parts else pd.DataFrame()


def maps_summary(networks: pd.DataFrame) -> pd.DataFrame:
    """Which kind of map says best what a network depends on.

    Args:
        networks: of `maps_frame`, of one nuisance.

    Returns:
        One row a map's `method` and `layer`: `networks`; `empty_maps`, their share; means over the networks of the
        energies and of what a map without structure has; `moved`, the pairs of all networks whose prediction depends on
        the nuisance; `false_acquittals`, the share of these; `rank_correlation` of |ACE| and energy in the cause over
        the networks.
    """
    ranks = rank_over_networks(networks).set_index(["method", "layer"])["rank_correlation"]
    lines = []
    for (method, layer), group in networks.groupby(["method", "layer"], sort=False):
        moved = group["moved"].sum()
        acquitted = (group["false_acquittals"] * group["moved"]).sum()  # NaN, where none moved, counts nothing
        line = {"method": method, "layer": layer, "networks": len(group)}
        line |= {"empty_maps": group["empty_maps"].sum() / group["pairs"].sum()}
        line |= {n: group[n].mean() for n in ("clot_energy", "clot_uniform", "cause_energy", "cause_uniform")}
        line |= {"moved": int(moved), "false_acquittals": acquitted / moved if moved else np.nan}
        lines.append(line | {"rank_correlation": ranks[method, layer]})
    return pd.DataFrame(lines)


def _pairs_of(run: Path) -> Path:
    return RunDirectory(run).gradcam / PAIRS_NAME


def _is_measured(run: Path) -> bool:
    """A run that was trained anew has to be measured anew."""
    pairs, results = _pairs_of(run), RunDirectory(run).results
    return pairs.is_file() and pairs.stat().st_mtime_ns >= results.stat().st_mtime_ns
