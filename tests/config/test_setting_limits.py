# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""The limits of every kind of setting, on both sides."""

from __future__ import annotations

from typing import Any

import pytest

from monai_ich.config.settings import SETTINGS

TINY = 1e-12


@pytest.mark.parametrize(
    ("name", "good", "bad"),
    [
        ("batch_size", [1, 2], [0, -1, 1.0, True, "1"]),
        ("max_epochs", [1], [0, 0.5]),
        ("validate::interval", [1], [0]),
        ("seed", [0, 1], [-1, 0.0, False]),
        ("num_workers", [0], [-1]),
        ("train::warmup_iterations", [0], [-1]),
        ("lr", [TINY, 5], [0, 0.0, -TINY, "1e-4", True]),
        ("train::classifier_lr_factor", [TINY], [0]),
        ("optimizer::weight_decay", [0, 0.0, TINY], [-TINY, None]),
        ("train::max_gradient_norm", [0, TINY], [-TINY]),
        ("threshold", [0, 1, 0.0, 1.0, 0.5], [-TINY, 1 + 1e-9, "0.5", True]),
        ("image_size", [32, 64, 224], [0, -32, 16, 31, 33, 48, 32.0]),
        ("window", [[40, 80], (40, TINY), [-600.0, 1500]], [[40, 0], [40, -80], [40], [40, 80, 1], "40", [True, 80]]),
        ("markers", [["hypodensity"], ["hypodensity", "label_any"]], [[], ["hypodensity"] * 2, "hypodensity", [3]]),
        ("tasks", [["cls"], ["rec", "seg", "cls"]], [[], ["cls", "cls"], ["cls", "depth"], "cls"]),
        ("loss::weights", [{"cls": 0, "seg": 1.5}, {"rec": TINY}], [{"cls": -TINY}, {"depth": 1}, {"cls": True}, [1]]),
        ("run_name", ["a", "mtl swin"], ["", "a/b", 3]),
        ("manifest", ["a.csv"], ["a.CSV.gz", "a.csv.bak", "", None]),
        ("run_directory::runs_dir", ["runs"], ["", "  ", None]),
        ("resume", [True, False], [0, 1, "yes"]),
        ("precision", ["auto", "float32", "bfloat16"], ["float16", "", None]),
        (
            "tracking_uri",
            ["sqlite:///a.db", "http://h", "https://h", "postgresql+psycopg://h", "mysql://h", "databricks"],
            ["./mlruns", "file:a"],
        ),
        ("dataset_dir", ["", "data"], [None, 3]),
    ],
)
def test_a_kind_accepts_up_to_its_limit_and_no_further(name: str, good: list[Any], bad: list[Any]) -> None:
    assert {repr(value): SETTINGS[name].fault(name, value) for value in good} == {repr(v): None for v in good}
    for value in bad:
        fault = SETTINGS[name].fault(name, value)
        assert fault is not None, value
        assert fault.startswith(f"{name}: expected {SETTINGS[name].kind.words}, got {value!r}.")


def test_a_near_miss_is_suggested_once_and_a_right_word_is_not() -> None:
    assert str(SETTINGS["tasks"].fault("tasks", ["cls", "sg", "sg"])).count("Did you mean 'seg'?") == 1
    assert "Did you mean 'cls'" not in str(SETTINGS["tasks"].fault("tasks", ["cls", "cls"]))
    assert str(SETTINGS["precision"].fault("precision", "bfloat")).endswith("got 'bfloat'. Did you mean 'bfloat16'?")
