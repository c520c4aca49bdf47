# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Every row of Table 1 exports: what it carries builds its network without this package."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from export_support import run_alone, run_of_row
from support import ROOT

from monai_ich.export import export_run
from monai_ich.export.carried_rooms import copy_rooms, renamed, rooms_behind
from monai_ich.export.inference_config import NETWORK, inference_config
from monai_ich.utils.run_files import RunDirectory

pytestmark = pytest.mark.usefixtures("in_root")

ROWS = sorted(path for path in (ROOT / "bundles/mtl").glob("*.json") if "row" in json.loads(path.read_text()))
OVERLAYS = [path for path in ROWS if path.name != "train.json"]
# The network of one row, on a batch that is saved beside its weights; the rows' modules share a name.
BUILD = """
import os, torch
from monai.bundle import ConfigParser
os.chdir(%r)
sys.path[0] = os.getcwd()
for name in [name for name in sys.modules if name.split(".")[0] == "scripts"]:
    del sys.modules[name]
config = ConfigParser(ConfigParser.load_config_file("inference.json"))
network = config.get_parsed_content("multitask_network").eval()
saved = torch.load("saved.pt", weights_only=True)
network.load_state_dict(saved["model"])
with torch.no_grad():
    outputs = network(saved["images"])
assert all(torch.equal(outputs[head], expected) for head, expected in saved["outputs"].items())
"""


def test_what_each_row_carries_builds_its_network_elsewhere(tiny_run: Path, tmp_path: Path) -> None:
    from monai.bundle import ConfigParser

    steps = []
    for overlay in OVERLAYS:
        folder = tmp_path / overlay.stem
        run_of_row(tiny_run, overlay, folder / "run")
        config = inference_config(RunDirectory(folder / "run"))
        text = json.dumps(config)
        copy_rooms(rooms_behind(json.dumps(config["multitask_network"])), folder)
        (folder / "inference.json").write_text(renamed(text))
        network = ConfigParser(config).get_parsed_content(NETWORK).eval()
        images = torch.rand(2, 1, 64, 64)
        with torch.no_grad():
            saved = {"model": network.state_dict(), "images": images, "outputs": network(images)}
        torch.save(saved, folder / "saved.pt")
        steps.append(BUILD % str(folder))
    assert len(steps) == len(OVERLAYS) >= 5
    run_alone(tmp_path, ROOT / "monai_ich", steps)


@pytest.mark.parametrize("overlay", ["swin_unet", "joint_swin_transformer"])
def test_a_row_with_other_heads_exports(overlay: str, tiny_run: Path, tmp_path: Path) -> None:
    run = run_of_row(tiny_run, ROOT / f"bundles/mtl/{overlay}.json", tmp_path / "run")
    bundle = export_run(run, tmp_path / "bundle")
    meta = json.loads((bundle / "configs/metadata.json").read_text())
    head, form = {"swin_unet": ("seg", (2, [64, 64]))}.get(overlay, ("cls", (2, [])))
    assert meta["row"] == json.loads((ROOT / f"bundles/mtl/{overlay}.json").read_text())["row"]
    assert set(meta["network_data_format"]["outputs"]) == {"pred", head}
    for tensor in meta["network_data_format"]["outputs"].values():
        assert (tensor["num_channels"], tensor["spatial_shape"]) == form
    assert json.loads((bundle / "configs/inference.json").read_text())["network_def"]["task"] == head
    limits = (bundle / "docs/README.md").read_text()
    assert ("not calibrated" in limits) == (head == "cls")
