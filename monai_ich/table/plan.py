# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""What a table consists of: rows found among a bundle's overlays, and the runs of each with their full configs."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fire.parser import DefaultParseValue
from monai.bundle import ConfigParser

from monai_ich.bundle.run_directory import differing_blocks
from monai_ich.config import check_config, name_of_row
from monai_ich.config.first_stage import with_stage
from monai_ich.config.settings import Role, names_where
from monai_ich.table.published_table import in_paper_order
from monai_ich.utils.errors import ConfigurationError, FaultList, did_you_mean
from monai_ich.utils.lists import comma_list

BASE_CONFIG = "train.json"
RECIPES = {"demo": (), "paper": ("paper.json",)}  # overlays that follow a row's own
RUNS_FOLDER = "runs"
# What the table sets for every run by itself.
OWN_SETTINGS = names_where(lambda setting: setting.of_table) | {"config_file", "args_file"}
# What may differ between the runs of one row without changing what they compute. The manifest is compared by its
# bytes, not by its path; another number of epochs is another table.
PLACES = names_where(lambda setting: setting.role is not Role.RESULT)


@dataclass(frozen=True)
class TableRow:
    """A row: its name in the table, its folder's name, its config files, and its settings on top of them."""

    name: str
    slug: str
    files: tuple[Path, ...]
    settings: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class PlannedRun:
    """One run of one row.

    Attributes:
        row: that it belongs to.
        seed: of the run.
        run_dir: its directory.
        files: config files, base first.
        overrides: {config key: value} on top of them.
        config: the merged config, expressions as text.
    """

    row: TableRow
    seed: int
    run_dir: Path
    files: tuple[Path, ...]
    overrides: dict[str, Any]
    config: dict[str, Any]

    @property
    def name(self) -> str:
        return f"{self.row.name}, seed {self.seed}"

    def arguments(self) -> list[str]:
        """Arguments of `python -m monai.bundle run`; values as Python literals, so that no text is taken for a number.

        MONAI reads them with fire, which evaluates literals.
        """
        files = [path.as_posix() for path in self.files]
        return [f"--config_file={files!r}", *(f"--{key}={value!r}" for key, value in self.overrides.items())]


def find_rows(bundle: Path) -> dict[str, TableRow]:
    """Finds the rows of a bundle: every JSON file in its folder with a key `row`, the row's name.

    Returns:
        {name: row}, in the order of the paper's Table 1, others after it.

    Raises:
        ConfigurationError: there is no such file, or two rows share a name.
    """
    base = bundle / BASE_CONFIG
    faults = FaultList(f"{bundle} has no usable rows:")
    rows: dict[str, TableRow] = {}
    for path in sorted(bundle.glob("*.json")):
        name = _row_name(path)
        if not name:
            continue
        if name in rows:
            faults.add(f"{path.name} and {rows[name].files[-1].name} are both the row {name!r}; rename one")
        rows[name] = TableRow(name, name_of_row(name), (base,) if path == base else (base, path))
    if not base.is_file():
        faults.add(f"expected {base}, which the rows' files are overlays of")
    if not rows:
        faults.add('expected JSON files with a key "row", found none')
    faults.raise_if_any(ConfigurationError)
    return {name: rows[name] for name in in_paper_order(list(rows))}


def choose_rows(found: dict[str, TableRow], asked: Sequence[str]) -> list[TableRow]:
    """Picks rows by name, or by their file's name; all of them when none is asked for.

    Args:
        found: see `find_rows`.
        asked: names, or paths of overlays that lie elsewhere; an entry may hold several, as `comma_list` takes them.

    Raises:
        ConfigurationError: a name is of no row, or a file is no row or takes the name of another.
    """
    names = [name for entry in asked for name in comma_list(entry)]
    if not names:
        return list(found.values())
    base = next(iter(found.values())).files[0]
    aliases = {alias: row for row in found.values() for alias in (name_of_row(row.files[-1].stem), row.slug)}
    faults = FaultList("Some rows are not there; nothing was started.")
    chosen: dict[str, TableRow] = {}
    for name in names:
        path = Path(name)
        if path.suffix == ".json" and path.parent != base.parent:
            row = _row_of_file(path, base, found, faults)
        else:
            row = found.get(name) or aliases.get(name_of_row(path.stem if path.suffix == ".json" else name))
            if row is None:
                faults.add(f"there is no row {name!r}.{did_you_mean(name, found)} Rows: {', '.join(found)}")
        if row is not None and chosen.setdefault(row.name, row) != row:
            faults.add(f"{path} and {chosen[row.name].files[-1]} are both the row {row.name!r}; rename one")
    faults.raise_if_any(ConfigurationError)
    return [chosen[name] for name in in_paper_order(list(chosen))]


def _row_name(path: Path) -> str:
    """What a config names itself in the table; "" where it is no row."""
    name = json.loads(path.read_text(encoding="utf-8")).get("row")
    return name if isinstance(name, str) else ""


def _row_of_file(path: Path, base: Path, found: dict[str, TableRow], faults: FaultList) -> TableRow | None:
    """A row of one's own, in a file outside the bundle's folder."""
    name = _row_name(path) if path.is_file() else ""
    if not path.is_file():
        faults.add(f"there is no file {path}")
    elif not name:
        faults.add(f'{path} has no key "row", the name of its row in the table')
    elif name in found:
        faults.add(f"{path} is named {name!r}, as {found[name].files[-1]} is; give it a name of its own")
    else:
        return TableRow(name, name_of_row(name), (base, path))
    return None


def parse_settings(assignments: Sequence[str]) -> dict[str, Any]:
    """Reads `key=value` texts as `monai.bundle` would read `--key value`.

    >>> parse_settings(["max_epochs=2", "window=[40, 80]", "device=cpu"])
    {'max_epochs': 2, 'window': [40, 80], 'device': 'cpu'}

    Raises:
        ConfigurationError: a text is no assignment, or sets what the table itself decides.
    """
    faults = FaultList("Some settings cannot be used; nothing was started.")
    settings: dict[str, Any] = {}
    for text in assignments:
        key, sign, value = text.partition("=")
        if not sign or not key:
            faults.add(f"--set {text!r}: expected key=value, such as max_epochs=2")
        elif key in OWN_SETTINGS:
            faults.add(f"--set {key}=...: the table sets {key} of every run itself")
        else:
            settings[key] = DefaultParseValue(value)
    faults.raise_if_any(ConfigurationError)
    return settings


def plan_runs(
    rows: Sequence[TableRow], seeds: int, output_dir: Path, recipe: str, manifest: str, settings: dict[str, Any]
) -> list[PlannedRun]:
    """Lays out all runs, every row's first seed before any second, and checks their configs before the first starts.

    So an interrupted table has all rows with fewer seeds, rather than fewer rows.

    Args:
        rows: to train.
        seeds: how many: 0 to seeds - 1.
        output_dir: of the table; its name is also the name of the MLflow experiment (`table-<name>`).
        recipe: `demo` or `paper`.
        manifest: path of the CSV; "" leaves the config's.
        settings: overrides of every run.

    Raises:
        ConfigurationError: with the faults of every row's config.
    """
    if recipe not in RECIPES:
        raise ConfigurationError(
            f"recipe: expected one of {', '.join(RECIPES)}, got {recipe!r}.{did_you_mean(recipe, RECIPES)}"
        )
    common = {
        **settings,
        "tracker::experiment_name": experiment_name(output_dir),
        **({"manifest": manifest} if manifest else {}),
    }
    runs: list[PlannedRun] = []
    for seed in range(seeds):
        for row in rows:
            files = (*row.files, *(row.files[0].parent / name for name in RECIPES[recipe]))
            run_dir = run_folder(output_dir, row, seed)
            overrides = {**common, **row.settings, "seed": seed, "run_dir": run_dir.as_posix()}
            runs.append(PlannedRun(row, seed, run_dir, files, overrides, merged_config(files, overrides)))
    _check_configs(runs[: len(rows)])
    return runs


def run_folder(output_dir: Path, row: TableRow, seed: int) -> Path:
    """Where a run of a table is kept."""
    return output_dir / RUNS_FOLDER / row.slug / f"seed{seed}"


def experiment_name(output_dir: Path) -> str:
    """The one MLflow experiment of a table."""
    return f"table-{output_dir.resolve().name}"


def merged_config(files: Sequence[Path], overrides: dict[str, Any]) -> dict[str, Any]:
    """Merges files and overrides as `monai.bundle run` does; expressions stay text."""
    parser = ConfigParser()
    parser.read_config(f=[path.as_posix() for path in files])
    parser.update(pairs=overrides)
    parser.resolve_macro_and_relative_ids()
    config = {key: value for key, value in parser.get().items() if key != "_meta_"}
    config["bundle_root"] = files[0].parent.as_posix()
    return with_stage(config, files)


def setting_of(config: dict[str, Any], key: str) -> Any:
    """Evaluates one setting of a merged config."""
    parser = ConfigParser(config)
    parser.parse()
    return parser.get_parsed_content(key)


def differing_keys(first: dict[str, Any], second: dict[str, Any]) -> list[str]:
    """The top-level keys in which two configs would compute something different."""

    return differing_blocks(first, second, PLACES)


def _check_configs(runs: Sequence[PlannedRun]) -> None:
    """Checks one run of every row; a fault that all rows share is reported once."""
    rows_of: dict[str, list[str]] = {}
    for run in runs:
        try:
            check_config(run.config, ConfigParser.load_config_file(run.files[0]))
        except ConfigurationError as error:
            for fault in error.faults:
                rows_of.setdefault(fault, []).append(run.row.name)
    faults = FaultList("The configuration has faults; nothing was started.")
    for fault, names in rows_of.items():
        faults.add(f"{fault}  ({'every row' if len(names) == len(runs) else 'rows: ' + ', '.join(names)})")
    faults.raise_if_any(ConfigurationError)
