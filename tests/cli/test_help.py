# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Every argument and option of every command is explained, in a sentence that states what a user must know."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any

import pytest
from typer.main import get_command

from monai_ich.__main__ import cli
from monai_ich.data import PROTOCOLS
from monai_ich.gradcam.class_activation import METHODS
from monai_ich.gradcam.explainer import HEADS
from monai_ich.phantom.spec import MECHANISMS
from monai_ich.table.plan import RECIPES


def _commands(command: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    if not hasattr(command, "commands"):
        yield name, command
    for part, inner in getattr(command, "commands", {}).items():
        yield from _commands(inner, f"{name} {part}".strip())


FILES = ("refer", "link", "copy")
# What a user types begins an explanation in small letters.
VALUES = {*PROTOCOLS, *METHODS, *HEADS, *RECIPES, *MECHANISMS, *FILES, "label=column", "key=value"}
COMMANDS = dict(_commands(get_command(cli)))
PARAMETERS = {(name, p.name): p for name, command in COMMANDS.items() for p in command.params if p.name != "help"}


def test_there_are_commands_with_options() -> None:
    assert {"split", "audit", "table", "import dicom", "import rsna"} <= COMMANDS.keys()
    assert len(PARAMETERS) > 60


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_says_what_it_does(command: str) -> None:
    text = COMMANDS[command].help
    assert text
    assert text[0].isupper()
    assert text.endswith(".")


@pytest.mark.parametrize(("command", "parameter"), PARAMETERS)
def test_a_parameter_is_explained_in_a_sentence(command: str, parameter: str) -> None:
    text = PARAMETERS[command, parameter].help
    assert text, "no help"
    assert text.endswith(".")
    assert any(letter.islower() for letter in text)
    assert text[0].isupper() or text.startswith("--") or text.split()[0].rstrip(",:") in VALUES


@pytest.mark.parametrize("command", COMMANDS)
def test_no_two_parameters_of_a_command_read_the_same(command: str) -> None:
    texts = [p.help for (name, _), p in PARAMETERS.items() if name == command]
    assert len(set(texts)) == len(texts)


@pytest.mark.parametrize(
    ("command", "parameter", "values"),
    [
        ("split", "protocol", PROTOCOLS),
        ("gradcam", "method", METHODS),
        ("gradcam", "head", HEADS),
        ("table", "recipe", RECIPES),
        ("phantom", "mechanism", MECHANISMS),
        ("import dicom", "files", FILES),
        ("import dicom", "positives", ("blood", "all")),
        ("import cq500", "slices", ("thick", "thin")),
    ],
)
def test_an_option_of_fixed_values_names_them_all(command: str, parameter: str, values: Collection[str]) -> None:
    option = PARAMETERS[command, parameter]
    words = option.help.replace(":", " ").replace(",", " ").replace(".", " ").split()
    assert set(values) <= set(words)
    assert option.default in values


@pytest.mark.parametrize(
    ("parameter", "fact"),
    [
        ("window_hu", "HU"),
        ("workers", "Processes"),
        ("test_fraction", "share"),
        ("val_fraction", "share"),
        ("fold", "from 0"),
        ("resamples", "resamples"),
        ("manifest", "CSV"),
        ("labels", "CSV or xlsx"),
        ("masks", "NIfTI"),
    ],
)
def test_units_and_kinds_of_files_are_stated(parameter: str, fact: str) -> None:
    texts = [p.help for (command, name), p in PARAMETERS.items() if name == parameter and command != "export"]
    assert texts
    assert all(fact in text for text in texts)


@pytest.mark.parametrize(
    ("parameter", "lowest"), [("workers", 1), ("seeds", 1), ("seed", 0), ("hospital_level", 0), ("resamples", 100)]
)
def test_a_count_below_its_lowest_is_refused(parameter: str, lowest: int) -> None:
    kinds = [p for (_, name), p in PARAMETERS.items() if name == parameter]
    assert kinds
    assert all(kind.min == lowest for kind in kinds)
