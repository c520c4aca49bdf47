# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Rows found among a bundle's overlays, and their runs planned and checked before any starts."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from fire.parser import DefaultParseValue, SeparateFlagArgs
from support import ROOT

from monai_ich.table.plan import (
    choose_rows,
    differing_keys,
    find_rows,
    merged_config,
    parse_settings,
    plan_runs,
    setting_of,
)
from monai_ich.table.published_table import PAPER_TABLE_1, in_paper_order
from monai_ich.utils.errors import ConfigurationError

pytestmark = pytest.mark.usefixtures("in_root")
BUNDLE = Path("bundles/mtl")


def test_every_file_with_a_row_is_found_once_and_in_the_paper_s_order() -> None:
    found = find_rows(BUNDLE)
    names = [json.loads(path.read_text()).get("row") for path in (ROOT / BUNDLE).glob("*.json")]
    assert sorted(found) == sorted(name for name in names if name)
    assert list(found) == in_paper_order(list(found))
    base = found["MTL-Swin-Unet (cls+seg+rec)"]
    assert (base.slug, base.files) == ("mtl-swin-unet-cls-seg-rec", (BUNDLE / "train.json",))
    assert found["Swin-Unet"].files == (BUNDLE / "train.json", BUNDLE / "swin_unet.json")
    assert len({row.slug for row in found.values()}) == len(found)


def test_the_paper_s_own_table_is_complete() -> None:
    """Two rows of segmentation alone with one figure, seven of classification with ten, three with eleven."""
    assert sorted(len(figures) for figures in PAPER_TABLE_1.values()) == [1] * 2 + [10] * 7 + [11] * 3
    assert PAPER_TABLE_1["MTL-Swin-Unet (cls+seg+rec)"]["test_hospitals_5_11", "auc"] == 0.799
    for row, figures in PAPER_TABLE_1.items():
        for (test_set, metric), figure in figures.items():
            if metric == "recall":  # five runs of 21 positives: every recall is a multiple of 1/105
                assert round(figure * 105) / 105 == pytest.approx(figure, abs=0.0006), (row, test_set)


def test_rows_are_chosen_by_name_or_file() -> None:
    found = find_rows(BUNDLE)
    chosen = choose_rows(found, ["mtl-swin-unet (CLS+seg), swin_unet", "Swin-Unet"])
    assert [row.name for row in chosen] == ["Swin-Unet", "MTL-Swin-Unet (cls+seg)"]
    assert choose_rows(found, ['"Swin-Unet", u_net']) == choose_rows(found, ["U-Net", "Swin-Unet"])
    assert choose_rows(found, []) == list(found.values())
    with pytest.raises(ConfigurationError) as caught:
        choose_rows(found, ["Swin-Unets", "zzz"])
    assert "no row 'Swin-Unets'. Did you mean 'Swin-Unet'?" in str(caught.value)
    assert "no row 'zzz'." in str(caught.value)


def test_an_overlay_of_one_s_own_is_a_row_wherever_it_lies(tmp_path: Path) -> None:
    found = find_rows(BUNDLE)
    mine, again, twin, part = (tmp_path / f"{name}.json" for name in ("mine", "again", "twin", "part"))
    again.write_text(json.dumps({"row": "Mine", "tasks": ["seg"]}))
    mine.write_text(json.dumps({"row": "Mine", "tasks": ["cls"]}))
    twin.write_text(json.dumps({"row": "Swin-Unet"}))
    part.write_text(json.dumps({"lr": 1}))
    chosen = choose_rows(found, [str(mine), "bundles/mtl/swin_unet.json"])
    assert [row.name for row in chosen] == ["Swin-Unet", "Mine"]
    assert chosen[1].files == (BUNDLE / "train.json", mine)
    assert plan_runs(chosen, 1, Path("t"), "demo", "", {})[1].config["tasks"] == ["cls"]
    with pytest.raises(ConfigurationError) as caught:
        choose_rows(found, [f"{twin},{part},{tmp_path / 'none.json'}"])
    with pytest.raises(ConfigurationError, match=r"again\.json and .*mine\.json are both the row 'Mine'"):
        choose_rows(found, [str(mine), str(again)])
    for words in ("'Swin-Unet', as bundles/mtl/swin_unet.json is", 'no key "row"', "there is no file"):
        assert words in str(caught.value)


def test_two_rows_of_one_name_are_refused(tmp_path: Path) -> None:
    for name in ("train", "a", "b"):
        (tmp_path / f"{name}.json").write_text(json.dumps({"row": "same" if name != "train" else "base"}))
    with pytest.raises(ConfigurationError, match=r"b\.json and a\.json are both the row 'same'"):
        find_rows(tmp_path)
    with pytest.raises(ConfigurationError, match=r"expected .*train\.json"):
        find_rows(tmp_path / "nowhere")


def test_settings_are_read_as_monai_reads_them_and_the_table_s_own_are_refused() -> None:
    assert parse_settings(["lr=1e-3", "tasks=['cls']", "pretrained=", "tracking_uri=sqlite:///a=b.db"]) == {
        "lr": 0.001,
        "tasks": ["cls"],
        "pretrained": "",
        "tracking_uri": "sqlite:///a=b.db",
    }
    with pytest.raises(ConfigurationError) as caught:
        parse_settings(["seed=3", "max_epochs"])
    assert "the table sets seed" in str(caught.value)
    assert "'max_epochs': expected key=value" in str(caught.value)


def test_all_rows_come_before_any_second_seed() -> None:
    rows = choose_rows(find_rows(BUNDLE), ["swin_unet", "cls_seg"])
    runs = plan_runs(rows, 2, Path("tables/mine"), "demo", "some.csv", {"max_epochs": 3})
    assert [(run.row.name, run.seed) for run in runs] == [(row.name, seed) for seed in range(2) for row in rows]
    run = runs[3]
    assert run.run_dir == Path("tables/mine/runs/mtl-swin-unet-cls-seg/seed1")
    assert run.config["tracker"]["experiment_name"] == "table-mine"
    assert (run.config["seed"], run.config["manifest"], run.config["max_epochs"]) == (1, "some.csv", 3)
    assert differing_keys(runs[1].config, run.config) == [], "another seed is the same configuration"
    assert {"row", "tasks"} <= set(differing_keys(runs[0].config, runs[1].config))


def test_arguments_reach_the_bundle_as_the_values_they_are() -> None:
    rows = choose_rows(find_rows(BUNDLE), ["cls_seg"])
    settings = parse_settings(["window=[35, 70]", "pretrained=", "run_name=7e1", "lr=0.002"])
    run = plan_runs(rows, 1, Path("2026"), "paper", "", {**settings, "run_name": "7e1"})[0]
    assert run.files[-1].name == "paper.json"
    given = dict(text.removeprefix("--").split("=", 1) for text in SeparateFlagArgs(run.arguments())[0])
    read = {key: DefaultParseValue(text) for key, text in given.items()}
    assert read.pop("config_file") == [str(path) for path in run.files]
    assert read == run.overrides
    assert merged_config(run.files, read) == run.config
    assert read["run_name"] == "7e1", "a text that looks like a number stays a text"


def test_the_paper_s_recipe_gives_each_row_its_own_rate() -> None:
    runs = plan_runs(list(find_rows(BUNDLE).values()), 1, Path("t"), "paper", "", {})
    recipe = {run.row.name: (setting_of(run.config, "batch_size"), setting_of(run.config, "lr")) for run in runs}
    assert recipe["MTL-Swin-Unet (cls+seg+rec)"] == (64, 0.01)
    assert recipe["Swin-Unet"] == (32, 0.01)


def test_faults_of_all_rows_are_reported_before_anything_starts() -> None:
    rows = choose_rows(find_rows(BUNDLE), ["swin_unet", "cls_seg"])
    with pytest.raises(ConfigurationError) as caught:
        plan_runs(rows, 2, Path("t"), "demo", "", {"lrr": 1, "image_size": 65})
    assert "unknown key 'lrr'. Did you mean 'lr'?  (every row)" in str(caught.value)
    assert "image_size: expected a multiple of 32" in str(caught.value)
    with pytest.raises(ConfigurationError, match="Did you mean 'paper'"):
        plan_runs(rows, 2, Path("t"), "papers", "", {})
