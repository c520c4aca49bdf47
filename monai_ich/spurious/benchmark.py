# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""What a benchmark of spurious correlation consists of: its declaration in a JSON file, read and checked."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from monai_ich.config import name_of_row
from monai_ich.phantom import SpuriousDials
from monai_ich.table.plan import BASE_CONFIG, TableRow
from monai_ich.utils.attributes import Attribute, parse_attribute
from monai_ich.utils.errors import ConfigurationError, FaultList, did_you_mean

_PARTS = ("description", "nuisances", "dials", "methods", "reference", "settings", "phantom")


@dataclass(frozen=True)
class Nuisance:
    """What may go with the marker.

    Attributes:
        dial: the phantom's dial of it, a field of `SpuriousDials`.
        attribute: the manifest's column, and which of its values count as "with".
        phantom: fields of `PhantomSpec` that it needs, such as its counterfactual pairs.
    """

    dial: str
    attribute: Attribute
    phantom: Mapping[str, Any]


@dataclass(frozen=True)
class Condition:
    """One data set of the benchmark: a nuisance, and how strongly it goes with the marker in training."""

    nuisance: Nuisance
    dial: float

    @property
    def name(self) -> str:
        """Such as `head_holder_0.95`; the name of its table, its manifest and its MLflow experiment."""
        return f"{self.nuisance.dial}_{self.dial:g}"


@dataclass(frozen=True)
class Benchmark:
    """A benchmark.

    Attributes:
        path: the file that declares it.
        description: what is compared, in a sentence or two.
        nuisances: by the name of their dial.
        dials: strengths of the correlation in training, -1 to 1.
        methods: a row each, with its overlays and settings.
        retrained: {method: the method whose runs it begins from}, of the methods that train nothing but a run's last
            layer.
        reference: the method that the others are compared with.
        settings: of every run, as `--set` of a table takes them.
        phantom: fields of `PhantomSpec` for every data set; those of the condition are added.
    """

    path: Path
    description: str
    nuisances: Mapping[str, Nuisance]
    dials: tuple[float, ...]
    methods: tuple[TableRow, ...]
    retrained: Mapping[str, str]
    reference: str
    settings: Mapping[str, Any]
    phantom: Mapping[str, Any]

    @property
    def bundle(self) -> Path:
        """The folder of the base config and the overlays: the one above the declaration's."""
        return self.path.parent.parent

    def conditions(self, nuisances: Sequence[str] = (), dials: Sequence[float] = ()) -> list[Condition]:
        """The conditions of some nuisances and dials, all of them where none is named.

        Raises:
            ConfigurationError: a nuisance is not in the benchmark, or a dial is not from -1 to 1.
        """
        faults = FaultList(f"Some conditions are not in {self.path}; nothing was started.")
        for name in nuisances:
            if name not in self.nuisances:
                near = did_you_mean(name, self.nuisances)
                faults.add(f"nuisance {name!r}: expected one of {', '.join(self.nuisances)}.{near}")
        _check_dials(dials, faults)
        faults.raise_if_any(ConfigurationError)
        chosen = [self.nuisances[name] for name in nuisances or self.nuisances]
        return [Condition(nuisance, float(dial)) for nuisance in chosen for dial in dials or self.dials]

    def rows(self, names: Sequence[str] = ()) -> list[TableRow]:
        """The methods of some names, all where none is named; the reference, and what they begin from, always.

        Raises:
            ConfigurationError: a name is not in the benchmark.
        """
        known = {method.name: method for method in self.methods}
        faults = FaultList(f"Some methods are not in {self.path}; nothing was started.")
        for name in names:
            if name not in known:
                faults.add(f"method {name!r}: expected one of {', '.join(known)}.{did_you_mean(name, known)}")
        faults.raise_if_any(ConfigurationError)
        begun_from = {self.retrained[name] for name in names if name in self.retrained}
        wanted = {self.reference, *names, *begun_from} if names else set(known)
        return [method for method in self.methods if method.name in wanted]


def read_benchmark(path: Path) -> Benchmark:
    """Reads the declaration of a benchmark.

    Raises:
        ConfigurationError: with every fault of the file.
    """
    if not path.is_file():
        there = ", ".join(sorted(file.name for file in path.parent.glob("*.json"))) or "no JSON file"
        raise ConfigurationError(f"there is no benchmark {path}; {path.parent} holds {there}")
    try:
        declared = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ConfigurationError(f"{path} is not JSON ({error}); correct it there") from error
    if not isinstance(declared, dict):
        raise ConfigurationError(f"{path}: expected a JSON object with {', '.join(_PARTS)}")
    faults = FaultList(f"{path} is not a benchmark; nothing was started.")
    _check_parts(declared, faults)
    faults.raise_if_any(ConfigurationError)
    nuisances = {name: _nuisance(name, entry, faults) for name, entry in declared["nuisances"].items()}
    _check_dials(declared["dials"], faults)
    base = path.parent.parent / BASE_CONFIG  # the bundle's, see `Benchmark.bundle`
    methods = [_method(name, entry, base, faults) for name, entry in declared["methods"].items()]
    for slug, count in Counter(method.slug for method in methods).items():
        if count > 1:
            faults.add(f"{count} methods would share the folder {slug}; give them names with other letters or digits")
    retrained = {
        name: entry["retrains"]
        for name, entry in declared["methods"].items()
        if isinstance(entry, dict) and "retrains" in entry
    }
    for name, origin in retrained.items():
        if origin not in declared["methods"] or origin in retrained:
            near = did_you_mean(str(origin), declared["methods"])
            faults.add(f"method {name!r}: retrains {origin!r}, expected a method that trains a whole network.{near}")
    if declared["reference"] not in declared["methods"]:
        near = did_you_mean(declared["reference"], declared["methods"])
        faults.add(f"reference: {declared['reference']!r} is not one of the methods.{near}")
    faults.raise_if_any(ConfigurationError)
    return Benchmark(
        path,
        declared["description"],
        nuisances,
        tuple(map(float, declared["dials"])),
        tuple(methods),
        retrained,
        declared["reference"],
        declared["settings"],
        declared["phantom"],
    )


def _check_parts(declared: Mapping[str, Any], faults: FaultList) -> None:
    kinds = dict.fromkeys(_PARTS, dict) | {"description": str, "reference": str, "dials": list}
    for name in declared:
        if name not in _PARTS:
            faults.add(f"{name!r} is not a part of a benchmark.{did_you_mean(name, _PARTS)}")
    for name, kind in kinds.items():
        if not isinstance(declared.get(name), kind):
            words = {dict: "an object", list: "a list", str: "a text"}[kind]
            faults.add(f"{name}: expected {words}, got {declared.get(name)!r}")
        elif name in ("nuisances", "dials", "methods") and not declared[name]:
            faults.add(f"{name}: expected at least one, got none")


def _check_dials(dials: Sequence[Any], faults: FaultList) -> None:
    for dial in dials:
        if isinstance(dial, bool) or not isinstance(dial, int | float) or not -1 <= dial <= 1:
            faults.add(f"dial {dial!r}: expected a number from -1 to 1")


def _nuisance(name: str, entry: Any, faults: FaultList) -> Nuisance:
    known = [field.name for field in fields(SpuriousDials)]
    if name not in known:
        faults.add(f"nuisance {name!r}: expected a dial of the phantom, {', '.join(known)}.{did_you_mean(name, known)}")
    text, phantom = (entry.get("attribute"), entry.get("phantom")) if isinstance(entry, dict) else (None, None)
    attribute = Attribute(name)
    if not isinstance(text, str) or not isinstance(phantom, dict) or set(entry) != {"attribute", "phantom"}:
        faults.add(f"nuisance {name!r}: expected {{'attribute': '<name>=<value>', 'phantom': {{...}}}}, got {entry!r}")
    else:
        try:
            attribute = parse_attribute(text)
        except ConfigurationError as error:
            faults.add(f"nuisance {name!r}: {error}")
    if isinstance(text, str) and not attribute.value_with:
        faults.add(f'nuisance {name!r}: {text!r} does not say what counts as "with"; write <name>=<value>')
    return Nuisance(name, attribute, phantom if isinstance(phantom, dict) else {})


def _method(name: str, entry: Any, base: Path, faults: FaultList) -> TableRow:
    """A method's row; an entry is a list of overlays of the base config, or an object with that list as `overlays`."""
    entry = {"overlays": entry} if isinstance(entry, list) else entry
    overlays = entry.get("overlays") if isinstance(entry, dict) else None
    settings = entry.get("settings", {}) if isinstance(entry, dict) else None
    known = {"overlays", "settings", "retrains"}
    if not isinstance(overlays, list) or not isinstance(settings, dict) or set(entry) - known:
        faults.add(f"method {name!r}: expected a list of overlays, or overlays and settings, got {entry!r}")
        return TableRow(name, name_of_row(name), (base,))
    files = [base.parent / str(overlay) for overlay in overlays]
    for file in files:
        if not file.is_file():
            faults.add(f"method {name!r}: there is no overlay {file}")
    return TableRow(name, name_of_row(name), (base, *files), {"row": name, **settings})
