# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""A command that is used wrongly says so in plain words, before long work, and without a traceback."""

from __future__ import annotations

import inspect
import re
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from monai_ich.__main__ import cli, main
from monai_ich.cli import manifests
from monai_ich.data import PROTOCOLS
from monai_ich.utils.failures import show_failure

NOWHERE = "file.txt/below"  # cannot be made


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)  # which a bundle changes
    Path("file.txt").write_text("no folder")
    Path("empty").mkdir()


def said(arguments: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> str:
    """What the program prints before it ends with a status other than 0."""
    monkeypatch.setattr("sys.argv", ["monai_ich", *arguments])
    with pytest.raises(SystemExit) as caught:
        main()
    assert caught.value.code != 0
    printed = capsys.readouterr()
    return " ".join((printed.out + printed.err).split())


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("phantom --manifest w.xlsx", "w.xlsx; expected a file name that ends with .csv"),
        (f"phantom --manifest {NOWHERE}/x.csv", "cannot be made"),
        ("phantom --manifest x.csv --dataset-dir file.txt", "file.txt: File exists. Correct the path"),
        ("phantom --dataset x", "--dataset-dir"),
        ("phantom --dial head_holder=2", "spurious.head_holder is 2.0, expected -1"),
        ("import dicom empty --hospital 1 --manifest i.txt", "i.txt; expected a file name that ends with .csv"),
        ("import dicom empty --hospital 1 --manifest i.csv --series-description (", "not a regular expression"),
        (f"import rsna empty --manifest {NOWHERE}/x.csv", "cannot be made"),
        ("import rsna empty --manifest x.csv --output-dir out", "is not this data set as it is published"),
        (f"split nothere.csv --output {NOWHERE}/x.csv", "cannot be made"),
        ("split nothere.csv --output x.csv --seed 4294967296", "--seed"),
        ("predict file.txt empty", "expected a run's directory"),
        ("gradcam nothere", "expected a run's directory"),
        ("export nothere out", "nothere is no run's directory"),
        ("table --no-train --output-dir empty", "no run is complete yet"),
    ],
)
def test_a_wrong_use_is_explained(
    command: str, words: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert words in said(command.split(), monkeypatch, capsys)


def test_what_monai_wraps_is_unwrapped(
    tiny_run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "nothere: no such file or folder" in said(["predict", str(tiny_run), "nothere"], monkeypatch, capsys)
    series = ["predict", str(tiny_run), "empty", "--output-dir", "file.txt"]
    assert "empty: holds no axial CT slice" in said(series, monkeypatch, capsys)


def test_a_file_s_fault_is_shown_only_where_it_is_the_reason(capsys: pytest.CaptureFixture[str]) -> None:
    missing = FileNotFoundError(2, "No such file or directory", "x.csv")
    wrapped, handled = RuntimeError("failed to evaluate"), ValueError("a fault of ours")
    wrapped.__cause__, handled.__context__ = missing, missing
    assert show_failure(wrapped)
    assert "x.csv: No such file or directory" in " ".join(capsys.readouterr().out.split())
    assert not show_failure(handled)
    assert not show_failure(OSError("no file is named"))
    assert capsys.readouterr().out == ""


def test_the_help_of_split_names_the_protocols_defaults() -> None:
    shown = {
        name: re.findall(r"\d[\d.,]*\d|\d", str(annotation.__metadata__[0].show_default))
        for name, annotation in inspect.get_annotations(manifests.split, eval_str=True).items()
        if hasattr(annotation, "__metadata__")
    }
    for protocol in PROTOCOLS.values():
        for name, parameter in inspect.signature(protocol).parameters.items():
            default = parameter.default
            if name not in ("test_fraction", "val_fraction", "folds", "train_hospitals", "test_hospital"):
                continue
            assert (",".join(default) if isinstance(default, tuple) else str(default)) in shown[name], name


@pytest.mark.parametrize("command", ["phantom", "split", "check", "audit", "predict", "gradcam", "table", "export"])
def test_every_option_is_explained(command: str) -> None:
    done = CliRunner().invoke(cli, [command, "--help"], env={"COLUMNS": "300", "TERM": "dumb"})
    assert done.exit_code == 0
    assert not re.search(r"The same[.:]", done.output)
