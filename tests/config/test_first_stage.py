# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""The config of a joint row's first stage: the base with the segmentation row in the joint row's place."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from monai.bundle import ConfigParser
from support import ROOT

from monai_ich.config.first_stage import stage_config, with_stage
from monai_ich.table.plan import merged_config
from monai_ich.utils.errors import ConfigurationError

BUNDLE = ROOT / "bundles/mtl"
PAPER = BUNDLE / "paper.json"


def _merged(*overlays: Path, **overrides: Any) -> dict[str, Any]:
    return merged_config([BUNDLE / "train.json", *overlays], overrides)


@pytest.mark.parametrize("recipe", [(), (PAPER,)], ids=["demo", "paper"])
@pytest.mark.parametrize(
    ("joint", "row"), [("joint_learning", "u_net"), ("joint_swin_transformer", "swin_unet")], ids=["CNN", "Swin"]
)
def test_the_stage_is_what_the_segmentation_row_alone_is(joint: str, row: str, recipe: tuple[Path, ...]) -> None:
    alone = _merged(BUNDLE / f"{row}.json", *recipe, max_epochs=3)
    stage = stage_config(_merged(BUNDLE / f"{joint}.json", *recipe, max_epochs=3))
    assert stage == alone


def test_the_tiny_row_s_stage_shares_its_size_and_not_its_heads() -> None:
    for recipe, size in ((), "demo-tiny"), ((PAPER,), "tiny"):
        stage = ConfigParser(stage_config(_merged(BUNDLE / "joint_swin_transformer_tiny.json", *recipe)))
        assert stage.get_parsed_content("size") == size
        assert stage.get_parsed_content("tasks") == ["seg"]
        assert stage["network_def"]["_target_"] == "monai_ich.networks.mtl_swin_unet"


def test_what_a_user_overrides_holds_for_both_but_for_what_the_joint_row_brings() -> None:
    stage = stage_config(
        _merged(BUNDLE / "joint_learning.json", **{"lr": 0.5, "network_def::classifier": "wavelet", "window": [30, 60]})
    )
    assert (stage["lr"], stage["window"]) == (0.5, [30, 60])
    assert "classifier" not in stage["network_def"]


def test_the_stage_s_file_lies_beside_the_one_that_names_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    mine = tmp_path / "rows" / "mine.json"
    mine.parent.mkdir()
    mine.write_text((BUNDLE / "joint_learning.json").read_text().replace("u_net.json", "my_stage.json"))
    with pytest.raises(ConfigurationError, match=r"there is no .*rows/my_stage\.json"):
        _merged(mine)
    (mine.parent / "my_stage.json").write_text((BUNDLE / "swin_unet.json").read_text())
    assert stage_config(_merged(mine))["row"] == "Swin-Unet"


def test_a_stage_that_no_file_names_is_refused_in_words() -> None:
    with pytest.raises(ConfigurationError, match=r"none does\. Start the joint row with"):
        with_stage({"segmentation_stage": "u_net.json"}, [BUNDLE / "train.json"])
