# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""The config of a joint row's first stage: the base with the segmentation row in the joint row's place."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from monai.bundle import ConfigParser
from support import ROOT

from monai_ich.config.first_stage import check_named_run, stage_config, with_stage
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


@pytest.mark.parametrize(("encoder", "weights"), [("plain", ""), ("resnet34", "resnet34"), ("resnet50", "resnet50")])
def test_the_stage_has_the_u_net_s_encoder_that_the_joint_run_names(encoder: str, weights: str) -> None:
    alone = _merged(BUNDLE / "u_net.json", PAPER, unet_encoder=encoder)
    joint = _merged(BUNDLE / "joint_learning.json", PAPER, unet_encoder=encoder)
    assert stage_config(joint) == alone
    assert ConfigParser(joint)["network_def"]["unet_encoder"] == "@unet_encoder"
    found = {
        name: ConfigParser(stage_config(joint)).get_parsed_content(name) for name in ("pretrained", "unet_encoder")
    }
    assert found == {"pretrained": weights, "unet_encoder": encoder}
    assert ConfigParser(joint).get_parsed_content("pretrained") == "tf_efficientnet_b3"


@pytest.mark.parametrize(
    ("joint", "overrides", "expected"),
    [
        ("joint_learning", {"pretrained": "b3.pth"}, "resnet34"),
        ("joint_learning", {"pretrained": "b3.pth", "segmentation_pretrained": "r.pth"}, "r.pth"),
        ("joint_swin_transformer", {"pretrained": "swin.pth"}, "swin.pth"),
    ],
)
def test_weights_that_a_user_names_go_to_the_encoders_of_their_kind(
    joint: str, overrides: dict[str, str], expected: str
) -> None:
    config = _merged(BUNDLE / f"{joint}.json", PAPER, unet_encoder="resnet34", **overrides)
    assert ConfigParser(stage_config(config)).get_parsed_content("pretrained") == expected
    assert ConfigParser(config).get_parsed_content("pretrained") == overrides["pretrained"]


def _complete_run(path: Path, config: dict[str, Any]) -> Path:
    path.mkdir()
    (path / "train.json").write_text(json.dumps(config))
    (path / "results.json").write_text("{}")
    return path


def test_a_named_run_has_the_same_encoder_and_one_of_before_has_the_plain_one(tmp_path: Path) -> None:
    """Runs that were made before there was a choice do not name their encoder."""
    former = _merged(BUNDLE / "u_net.json")
    del former["unet_encoder"]
    resnet = _merged(BUNDLE / "u_net.json", unet_encoder="resnet34")
    runs = {
        "plain": _complete_run(tmp_path / "former", former),
        "resnet34": _complete_run(tmp_path / "resnet", resnet),
    }
    for encoder, other in (("plain", "resnet34"), ("resnet34", "plain")):
        own = {"unet_encoder": encoder}
        check_named_run(_merged(BUNDLE / "joint_learning.json", **own, segmentation_run=str(runs[encoder])))
        with pytest.raises(ConfigurationError, match=f"unet_encoder is '{other}' there and '{encoder}' here"):
            check_named_run(_merged(BUNDLE / "joint_learning.json", **own, segmentation_run=str(runs[other])))
