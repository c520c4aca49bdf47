# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""A setting is declared once: what else must know of it is derived from that line."""

from __future__ import annotations

import json
import os
from typing import Any

import pytest
from monai.bundle import ConfigParser
from support import ROOT

from monai_ich.bundle import open_run_directory
from monai_ich.config import check_config
from monai_ich.config import settings as declared
from monai_ich.config.settings import SETTINGS, Kind, Role, Setting, value_at
from monai_ich.config.workflow import settings_of
from monai_ich.table import plan
from monai_ich.utils.errors import ConfigurationError, RunDirectoryError

BASE: dict[str, Any] = json.loads((ROOT / "bundles/mtl/train.json").read_text())
README = ROOT / "bundles/mtl/README.md"
# evaluate.json's, inference.json's and dfr.json's
OF_SERIES = {"series_uid", "series_description", "acquisition", "file_names"}
OF_COMMANDS = {"input", "output_dir", "checkpoint", "dfr_on"} | OF_SERIES
OF_JOINT_ROWS = {"segmentation_stage", "segmentation_run", "segmentation_checkpoint", "segmentation_pretrained"}
OF_U_NET_ROWS = {"unet_encoder"}


def test_every_setting_but_those_of_rows_and_commands_is_in_the_base_config() -> None:
    known = OF_COMMANDS | OF_JOINT_ROWS | OF_U_NET_ROWS
    assert {name for name in SETTINGS if not value_at(BASE, name)[0]} == known


def test_the_base_config_is_short_and_its_blocks_say_what_they_are() -> None:
    assert len(BASE) <= 41
    blocks = {key: value for key, value in BASE.items() if isinstance(value, dict)}
    assert [key for key, value in blocks.items() if not value.get("_desc_")] == []
    assert "segmentation" not in (ROOT / "bundles/mtl/train.json").read_text()


@pytest.mark.parametrize("role", list(Role))
def test_a_new_setting_takes_one_line(role: Role, tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Checks, going on, the table, MLflow and the card follow from the declaration alone."""
    positive = Kind("a number above 0", lambda v: v > 0)
    monkeypatch.setitem(declared.SETTINGS, "sharpness", Setting(positive, role, "of the pictures"))
    with pytest.raises(ConfigurationError, match=r"sharpness: expected a number above 0, got -1"):
        check_config({**BASE, "sharpness": -1}, BASE)
    check_config({**BASE, "sharpness": 1}, BASE)
    shown = settings_of(ConfigParser({"sharpness": "$1 + 1", "imports": []}))
    assert shown == ({} if role is Role.PLACE else {"sharpness": 2})
    config = {**BASE, "bundle_root": str(ROOT / "bundles/mtl"), "sharpness": 1}
    where: dict[str, Any] = {"runs_dir": str(tmp_path), "run_name": "net", "run_dir": str(tmp_path / "run")}
    open_run_directory(config, **where)
    if role is Role.PLACE:
        assert open_run_directory({**config, "sharpness": 2}, **where).resuming
    else:
        with pytest.raises(RunDirectoryError, match="sharpness: was 1, now 2"):
            open_run_directory({**config, "sharpness": 2}, **where)


def test_the_table_sets_what_tells_its_runs_apart_and_compares_what_decides_results() -> None:
    assert {"seed", "manifest", "row", "run_dir", "resume", "tracker::experiment_name"} <= plan.OWN_SETTINGS
    assert "max_epochs" not in plan.PLACES
    first, second = ({**BASE, "seed": 0}, {**BASE, "seed": 1, "device": "cpu"})
    assert plan.differing_keys(first, second) == []
    assert plan.differing_keys(first, {**BASE, "max_epochs": 7, "lr": 1}) == ["lr", "max_epochs"]
    elsewhere = {**BASE, "tracker": {**BASE["tracker"], "experiment_name": "mine"}}
    assert plan.differing_keys(first, elsewhere) == []
    weighted = {**BASE, "loss": {**BASE["loss"], "weights": {"cls": 1}}}
    assert plan.differing_keys(first, weighted) == ["loss"]


def _default(name: str) -> str:
    known, value = value_at(BASE, name)
    if not known:
        return ""
    return "see `train.json`" if isinstance(value, str) and value.startswith("$") else f"`{json.dumps(value)}`"


def test_the_readme_s_table_is_the_declaration() -> None:
    """Set UPDATE_DOCS=1 to write it anew."""
    rows = [f"| `{name}` | {setting.meaning} | {_default(name)} |" for name, setting in SETTINGS.items()]
    table = "\n".join(["| setting | meaning | default |", "|---|---|---|", *rows])
    text = README.read_text(encoding="utf-8")
    before, rest = text.split("<!-- settings -->\n")
    _, after = rest.split("\n<!-- end of settings -->")
    expected = f"{before}<!-- settings -->\n{table}\n<!-- end of settings -->{after}"
    if os.environ.get("UPDATE_DOCS"):
        README.write_text(expected, encoding="utf-8")
    assert text == expected, "run this test with UPDATE_DOCS=1"
