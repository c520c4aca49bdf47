# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Checks a merged bundle config before anything of it is built.

MONAI adds an unknown top-level key without a word and leaves it unused, so that `--lrr 3` trains with the old rate.
Here a key must be in the base config, a setting, an id that MONAI asks for, or referenced by another item; an argument
of a component must be in its signature; a setting's value must be of its kind; and numbers must be finite, as JSON
has no others and a run keeps its config as JSON.
"""

from __future__ import annotations

import inspect
import math
import re
from collections.abc import Iterator, Mapping
from pydoc import locate
from typing import Any

from monai.bundle.properties import InferProperties, TrainProperties
from monai.bundle.utils import ID_SEP_KEY, MERGE_KEY
from monai.utils import BundlePropertyConfig

from monai_ich.config.robust_checks import robust_faults
from monai_ich.config.settings import SETTINGS, value_at
from monai_ich.utils.errors import ConfigurationError, FaultList, did_you_mean

SEPARATOR = ID_SEP_KEY
STRUCTURE = {"imports", "initialize", "run", "finalize", "_meta_"}
COMPONENT_KEYS = {"_target_", "_requires_", "_disabled_", "_desc_", "_mode_"}
REFERENCE = re.compile(r"@([A-Za-z_]\w*(?:(?:::|#)\w+)*)")


def check_config(
    config: dict[str, Any], base: dict[str, Any] | None = None, overlays: Mapping[str, dict[str, Any]] | None = None
) -> None:
    """Checks every key, component argument and setting of a merged config, and reports all faults together.

    Args:
        config: the raw config (references and expressions as text), files and overrides merged.
        base: the config that overlays and overrides change; its keys are known, also where an overlay leaves them
            without use. None: the keys are not checked, only the arguments and values.
        overlays: the overlays' raw contents by file, in the order in which they were given. None: their order is
            not checked.

    Raises:
        ConfigurationError: with one line a fault and, where a name is near a known one, a suggestion.
    """
    faults = FaultList("The configuration has faults; nothing was built.")
    for fault in [
        *_unknown_keys(config, config if base is None else base),
        *_component_faults(config, ""),
        *_value_faults(config),
        *robust_faults(config),
        *_number_faults(config, ""),
        *_order_faults(overlays or {}),
    ]:
        faults.add(fault)
    faults.raise_if_any(ConfigurationError)


def _order_faults(overlays: Mapping[str, dict[str, Any]]) -> Iterator[str]:
    """Yields a fault for every row's overlay that takes back what an overlay before it has set, such as a recipe."""
    before: dict[str, set[str]] = {}
    for name, content in overlays.items():
        keys = {key for key in content if not key.startswith(MERGE_KEY)}
        if "row" not in content:
            before[name] = keys
            continue
        for earlier, theirs in before.items():
            if taken_back := sorted(key for key in theirs if any(_same_branch(key, own) for own in keys)):
                yield (
                    f"{earlier} comes before {name}, which is a row and takes back its {', '.join(taken_back)}. "
                    f"Give the row's file first: ..., {name!r}, {earlier!r}."
                )


def _same_branch(key: str, other: str) -> bool:
    return key == other or key.startswith(other + SEPARATOR) or other.startswith(key + SEPARATOR)


def _property_ids() -> set[str]:
    return {str(entry[BundlePropertyConfig.ID]) for entry in [*TrainProperties.values(), *InferProperties.values()]}


def _unknown_keys(config: dict[str, Any], base: dict[str, Any]) -> Iterator[str]:
    """Yields a fault for every key outside a component that nothing could ever read."""
    referenced = {match.replace("#", SEPARATOR) for text in _texts(config) for match in REFERENCE.findall(text)}
    used = referenced | _property_ids() | set(SETTINGS) | STRUCTURE | set(_plain_paths(base, ""))
    known = {key for key in config if key in used} | set(SETTINGS)
    inner = {name.split(SEPARATOR)[-1]: name for name in SETTINGS if SEPARATOR in name}
    for path in _plain_paths(config, ""):
        prefix = path + SEPARATOR
        covered = any(path == u or u.startswith(prefix) or path.startswith(u + SEPARATOR) for u in used)
        if not covered:
            siblings = known if SEPARATOR not in path else {u for u in used if SEPARATOR in u}
            near = f" Did you mean {inner[path]!r}?" if path in inner else did_you_mean(path, siblings)
            yield f"unknown key {path!r}.{near}"


def _plain_paths(config: dict[str, Any], parent: str) -> Iterator[str]:
    """Yields the paths of keys that are not arguments of a component; a leaf stands for its whole branch."""
    for key, value in config.items():
        path = f"{parent}{SEPARATOR}{key}" if parent else key
        if isinstance(value, dict) and value and "_target_" not in value and key not in SETTINGS and key != "_meta_":
            yield from _plain_paths(value, path)
        else:
            yield path


def _texts(node: Any) -> Iterator[str]:
    if isinstance(node, str):
        yield node
    elif isinstance(node, dict):
        for value in node.values():
            yield from _texts(value)
    elif isinstance(node, list):
        for value in node:
            yield from _texts(value)


def _component_faults(node: Any, path: str) -> Iterator[str]:
    """Yields a fault for every component whose target does not exist or does not take an argument given to it."""
    if isinstance(node, dict):
        if "_target_" in node:
            yield from _signature_faults(node, path)
        for key, value in node.items():
            if key != "_meta_":
                yield from _component_faults(value, f"{path}{SEPARATOR}{key}" if path else key)
    elif isinstance(node, list):
        for index, value in enumerate(node):
            yield from _component_faults(value, f"{path}{SEPARATOR}{index}")


def _signature_faults(node: dict[str, Any], path: str) -> Iterator[str]:
    name = node["_target_"]
    if not isinstance(name, str) or name.startswith(("$", "@")):
        return
    target = locate(name)
    if not callable(target):
        yield f"{path}: there is no {name!r} to build (write the full dotted name)."
        return
    try:
        parameters = inspect.signature(target).parameters
    except ValueError:  # a C-implemented callable shows no signature
        return
    if any(p.kind is inspect.Parameter.VAR_KEYWORD for p in parameters.values()):
        return
    for argument in sorted(set(node) - COMPONENT_KEYS - set(parameters)):
        yield f"{path}{SEPARATOR}{argument}: {name} takes no {argument!r}.{did_you_mean(argument, parameters)}"


def _value_faults(config: dict[str, Any]) -> Iterator[str]:
    for name, setting in SETTINGS.items():
        known, value = value_at(config, name)
        if not known or (isinstance(value, str) and value.startswith(("$", "@", "%"))):
            continue  # an expression is code: what it gives is checked by the part that takes it
        fault = setting.fault(name, value)
        if fault:
            yield fault


def _number_faults(node: Any, path: str) -> Iterator[str]:
    """Yields a fault for every number that is infinite or NaN."""
    children = node if isinstance(node, dict) else dict(enumerate(node)) if isinstance(node, list | tuple) else {}
    for key, value in children.items():
        yield from _number_faults(value, f"{path}{SEPARATOR}{key}" if path else str(key))
    if isinstance(node, float) and not math.isfinite(node):
        yield f"{path}: expected a finite number, got {node}."
