# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""The files that a benchmark is written to: a page, a CSV, and a figure for each nuisance."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from monai_ich.gradcam import METHOD_TITLES
from monai_ich.metrics import Difference, Estimate
from monai_ich.spurious.benchmark import Benchmark
from monai_ich.spurious.benchmark_maps import maps_summary
from monai_ich.spurious.benchmark_results import ENDPOINTS, NEW_PAIRS, PRIMARY, ConditionResult, results_frame
from monai_ich.spurious.dial_figure import dial_figure
from monai_ich.table.result_warnings import Compared
from monai_ich.table.table_files import machine_text
from monai_ich.table.table_text import interval, number, p_text
from monai_ich.utils.files import replace_file
from monai_ich.utils.keys import Split
from monai_ich.utils.provenance import git_commit
from monai_ich.utils.templates import render
from monai_ich.visualize import figure_bytes

# {endpoint: what no effect, or chance, gives}
_PANELS = {PRIMARY: 0.5, (NEW_PAIRS, "ace"): 0.0, (Split.TEST_A.value, "auc"): None}
_MAP_FIGURES = ("empty_maps", "clot_energy", "clot_uniform", "cause_energy", "cause_uniform")


def write_benchmark(
    benchmark: Benchmark, results: Sequence[ConditionResult], maps: pd.DataFrame, output_dir: Path
) -> list[Path]:
    """Writes `benchmark.md`, `benchmark.csv` and `<nuisance>.png` and `.pdf`; each is replaced in one step.

    Where heat maps are measured (`maps_frame`), `maps.csv` holds what they say of each network.

    Returns:
        The paths.
    """
    output_dir.mkdir(parents=True, exist_ok=True)
    contents = {
        "benchmark.md": page(benchmark, results, maps).encode(),
        "benchmark.csv": results_frame(results).to_csv(index=False, lineterminator="\n").encode(),
    }
    if len(maps):
        contents["maps.csv"] = maps.to_csv(index=False, lineterminator="\n").encode()
    for nuisance in _nuisances(results):
        figure = _figure(benchmark, [result for result in results if result.condition.nuisance.dial == nuisance])
        contents |= {f"{nuisance}.{kind}": figure_bytes(figure, kind) for kind in ("png", "pdf")}
    for name, data in contents.items():
        replace_file(output_dir / name, data)
    return [output_dir / name for name in contents]


def page(benchmark: Benchmark, results: Sequence[ConditionResult], maps: pd.DataFrame) -> str:
    """The benchmark's page in Markdown."""
    nuisances = [
        {
            "title": nuisance.replace("_", " "),
            "figure": f"{nuisance}.png",
            "tables": [_table(result) for result in results if result.condition.nuisance.dial == nuisance],
            "maps": _maps(maps[maps["nuisance"] == nuisance]) if len(maps) else [],
        }
        for nuisance in _nuisances(results)
    ]
    return render(
        Path(__file__).with_name("benchmark_page.md.jinja"),
        name=benchmark.path.name,
        description=benchmark.description,
        nuisances=nuisances,
        reference=benchmark.reference,
        warnings=list(dict.fromkeys(line for result in results for line in result.warnings)),
        footer=_footer(results),
    )


def _nuisances(results: Sequence[ConditionResult]) -> list[str]:
    return list(dict.fromkeys(result.condition.nuisance.dial for result in results))


def _table(result: ConditionResult) -> dict[str, Any]:
    ends = [end for end in ENDPOINTS if any(result.estimate(method, end) for method in result.methods)]
    rows = [
        [method, str(len(result.table.seeds[method])), *(_cell(result.estimate(method, end)) for end in ends)]
        for method in result.methods
    ]
    differences = [
        [method, *(_difference_cell(result.difference(method, end)) for end in ends)]
        for method in result.methods
        if any(result.difference(method, end) for end in ends)
    ]
    headings = [ENDPOINTS[end] for end in ends]
    return {"dial": f"{result.condition.dial:g}", "headings": headings, "rows": rows, "differences": differences}


def _maps(networks: pd.DataFrame) -> list[list[str]]:
    if networks.empty:
        return []
    return [
        [
            METHOD_TITLES[line["method"]],
            f"`{line['layer']}`",
            str(line["networks"]),
            *(number(line[name]) or "-" for name in _MAP_FIGURES),
            str(line["moved"]),
            *(number(line[name]) or "-" for name in ("false_acquittals", "rank_correlation")),
        ]
        for line in maps_summary(networks).to_dict("records")
    ]


def _cell(estimate: Estimate | None) -> str:
    if estimate is None:
        return ""
    return " ".join(filter(None, [number(estimate.value) or "-", interval(estimate.low, estimate.high)]))


def _difference_cell(compared: Compared | None) -> str:
    if compared is None:
        return ""
    difference: Difference = compared.difference
    text = " ".join(
        filter(None, [number(difference.value, signed=True), interval(difference.low, difference.high, signed=True)])
    )
    p = p_text(difference.p_value)
    return f"{text}, p {p} ({p_text(compared.p_holm)})" if p else text or "-"


def _figure(benchmark: Benchmark, results: Sequence[ConditionResult]) -> Any:
    methods = [row.name for row in benchmark.methods if any(row.name in result.methods for result in results)]
    panels: dict[str, dict[str, list[tuple[float, float, float, float]]]] = {}
    for endpoint in _PANELS:
        of_panel: dict[str, list[tuple[float, float, float, float]]] = {}
        for result in results:
            for method in methods:
                estimate = result.estimate(method, endpoint)
                if estimate is not None:
                    point = (result.condition.dial, estimate.value, estimate.low, estimate.high)
                    of_panel.setdefault(method, []).append(point)
        if of_panel:
            panels[ENDPOINTS[endpoint]] = of_panel
    levels = {ENDPOINTS[endpoint]: level for endpoint, level in _PANELS.items() if level is not None}
    title = f"{results[0].condition.nuisance.dial.replace('_', ' ')}: mean over runs, 95 % interval over patients"
    return dial_figure(panels, methods, levels, title)


def _footer(results: Sequence[ConditionResult]) -> list[str]:
    """Data, code, machines and time."""
    records = [record for result in results for record in result.table.records]
    commits = sorted({commit for record in records for commit in record.commits})
    machines = sorted({machine_text(record.machine) for record in records if record.machine})
    hours = sum(record.seconds for record in records) / 3600
    data = [
        f"{result.condition.name}: manifest {first.manifest}, sha256 {first.manifest_sha256}"
        for result in results
        for first in result.table.records[:1]
    ]
    settings = ", ".join(f"{key}={value}" for key, value in records[0].settings.items() if "spurious" not in key)
    patients = ", ".join(f"{name} {found.counts['patients']}" for name, found in results[0].table.test_sets.items())
    return [
        *data,
        f"patients: {patients}",
        f"settings: {settings}",
        f"trained by git commit {', '.join(commits) or 'unknown'}; written by {git_commit() or 'unknown'}",
        f"machine: {'; '.join(machines) or 'unknown'}; {len(records)} runs, {hours:.1f} hours of training in all",
    ]
