# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""The command's options become the specification that they name, and wrong ones are refused all together."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from typer.testing import CliRunner

from monai_ich.__main__ import cli
from monai_ich.phantom import CounterfactualPairs, PhantomSpec, SpuriousDials, spec_from_options
from monai_ich.phantom.spec import DEFAULT_PAIRS
from monai_ich.utils.errors import ConfigurationError


def test_nothing_given_is_the_demo_s_specification() -> None:
    assert spec_from_options(seed=None, matrix=None) == PhantomSpec()


def test_every_option_reaches_its_field() -> None:
    spec = spec_from_options(
        dials=["head_holder=.95", "clot_volume=-0.25"],
        dials_new=["head_holder=-1"],
        pairs="head_holder",
        pair_studies="2, 1,1,1,1,0,0,0,0,0,0",
        studies="12,4,4,4,2,2,2,2,2,2,2",
        reversed_studies="3,1,1,1",
        mechanism="flip",
        side_letter_fraction=0.4,
        seed=3,
    )
    assert spec == PhantomSpec(
        seed=3,
        studies=(12, 4, 4, 4, 2, 2, 2, 2, 2, 2, 2),
        spurious=SpuriousDials(head_holder=0.95, clot_volume=-0.25),
        spurious_new=SpuriousDials(head_holder=-1),
        mechanism="flip",
        side_letter_fraction=0.4,
        pairs=CounterfactualPairs("head_holder", (2, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0)),
        reversed_studies=(3, 1, 1, 1),
    )
    assert spec_from_options(pairs="kernel").pairs == CounterfactualPairs("kernel", DEFAULT_PAIRS)


@pytest.mark.parametrize(
    ("options", "faults"),
    [
        ({"dials": ["kernel"]}, ["--dial is 'kernel', expected name=value, such as head_holder=0.9"]),
        ({"dials_new": ["kernel=much"]}, ["--dial-new is 'kernel=much', expected name=value, such as head_holder=0.9"]),
        ({"dials": ["kernel=0", "kernel=1"]}, ["--dial gives kernel twice, expected each dial once"]),
        (
            {"pair_studies": ",".join("1" * 11)},
            ["--pair-studies is given without --pairs, expected the nuisance as wel"],
        ),
        ({"studies": "1,2"}, ["studies is (1, 2), expected 11 counts, one for each of hospitals 1 to 11"]),
        (
            {"reversed_studies": "1;2"},
            ["--reversed-studies is '1;2', expected whole numbers separated by commas, such "],
        ),
        (
            {
                "dials": ["x", "kernal=1", "kernel=1.5"],
                "studies": "a",
                "mechanism": "flap",
                "matrix": 3,
                "pairs": "holder",
            },
            [
                "--dial is 'x', expected name=value",
                "--studies is 'a', expected whole numbers separated by commas, such as 150,34,34",
                "spurious.kernal is not a dial, expected one of clot_volume, kernel, head_holder, side_letter.",
                "matrix is 3, expected an even number from 32 on",
                "mechanism is 'flap', expected latent or flip. Did you mean 'flip'?",
                "spurious.kernel is 1.5, expected -1",
                "pairs.nuisance is 'holder', expected kernel or head_holder or side_letter.",
            ],
        ),
    ],
)
def test_wrong_options_are_refused_together(options: dict[str, Any], faults: list[str]) -> None:
    with pytest.raises(ConfigurationError) as caught:
        spec_from_options(**options)
    assert len(caught.value.faults) == len(faults)
    for said, expected in zip(caught.value.faults, faults, strict=True):
        assert said.startswith(expected)


def test_the_command_makes_what_its_options_say(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    command = "phantom --manifest m/phantom_dial.csv --seed 95 --studies 8,1,1,1,3,2,0,0,0,0,1 --slices-per-study 6"
    command += " --matrix 32 --workers 1 --dial side_letter=-.9 --dial head_holder=.9 --dial-new head_holder=-.9"
    command += " --side-letter-fraction .5 --mechanism flip --pairs side_letter --pair-studies 3,0,0,0,3,0,0,0,0,0,0"
    command += " --reversed-studies 3,1,0,0"
    done = CliRunner().invoke(cli, command.split(), catch_exceptions=False)
    assert done.exit_code == 0
    table = pd.read_csv("m/phantom_dial.csv", dtype=str, keep_default_na=False)
    slices = table.split.value_counts()
    assert (slices["test_pairs_1_4"], slices["test_pairs_5_11"], slices["test_reversed"]) == (36, 36, 24)
    recorded = json.loads(Path("data/phantom_dial/phantom.json").read_text())
    assert (recorded["phantom_version"], recorded["mechanism"], recorded["matrix"]) == (3, "flip", 32)
    assert recorded["spurious"] == {"clot_volume": 0.5, "kernel": 0.0, "head_holder": 0.9, "side_letter": -0.9}
    assert recorded["spurious_new"] == {"clot_volume": 0.5, "kernel": 0.0, "head_holder": -0.9, "side_letter": 0.0}
    assert recorded["pairs"]["nuisance"] == "side_letter"
    card = json.loads(Path("m/phantom_dial.json").read_text())
    assert card["protocol"]["extra_test_sets"] == ["test_pairs_1_4", "test_pairs_5_11", "test_reversed"]
