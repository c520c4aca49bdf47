# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""A short, repeatable run of the fuzzers; what longer runs found stands in the tests of regressions beside."""

from __future__ import annotations

import importlib
import random
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from manifest_mutations import HARMLESS, rewrite, write_base

from monai_ich.data import read_manifest

Case = Callable[[random.Random], str]
SHORT = settings(
    max_examples=40, derandomize=True, deadline=None, database=None, suppress_health_check=list(HealthCheck)
)


@pytest.fixture(scope="module", params=["manifest", "images", "folders", "imports"])
def case(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Case:
    return importlib.import_module(f"{request.param}_mutations").prepare(tmp_path_factory.mktemp(request.param))


@SHORT
@given(seed=st.integers(0, 2**31))
@pytest.mark.filterwarnings("ignore")
def test_a_right_result_or_an_error_of_our_own(case: Case, seed: int) -> None:
    assert case(random.Random(seed)) in ("read", "refused", "not written")


@pytest.mark.parametrize("form", HARMLESS)
def test_another_form_of_the_same_manifest_is_the_same(tmp_path: Path, form: str) -> None:
    base = write_base(tmp_path)
    rewrite(form, tmp_path / "other.csv", base)
    got, expected = read_manifest(tmp_path / "other.csv"), read_manifest(base)
    assert got.frame.equals(expected.frame)
    assert got.card is not None
    assert expected.card is not None
    assert got.card["counts"] == expected.card["counts"]
