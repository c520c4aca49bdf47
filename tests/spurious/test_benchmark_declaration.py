# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""The declaration of a benchmark: the one that is shipped, and every fault of one's own told together."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from monai_ich.phantom import PhantomSpec
from monai_ich.spurious.benchmark import Benchmark, Condition, read_benchmark
from monai_ich.spurious.benchmark_runs import condition_request, phantom_fields
from monai_ich.table.plan import parse_settings, plan_runs
from monai_ich.utils.attributes import Attribute
from monai_ich.utils.errors import ConfigurationError

ROOT = Path(__file__).parents[2]
SHIPPED = ROOT / "bundles" / "mtl" / "benchmarks" / "spurious.json"


@pytest.fixture
def shipped() -> Benchmark:
    return read_benchmark(SHIPPED)


def declared(folder: Path, **changes: Any) -> Path:
    """The shipped declaration with changes, in a bundle of its own with the same overlays."""
    bundle = folder / "bundle"
    (bundle / "benchmarks").mkdir(parents=True, exist_ok=True)
    for name in ("train.json", "swin_transformer.json"):
        (bundle / name).write_text((ROOT / "bundles" / "mtl" / name).read_text())
    content = json.loads(SHIPPED.read_text()) | {"methods": {"cls": ["swin_transformer.json"]}} | changes
    path = bundle / "benchmarks" / "own.json"
    path.write_text(json.dumps(content))
    return path


def test_every_run_of_the_shipped_benchmark_has_a_config_without_faults(
    shipped: Benchmark, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    own = read_benchmark(Path("bundles/mtl/benchmarks/spurious.json"))
    for condition in own.conditions():
        request = condition_request(own, condition, Path("tables/spurious"), seeds=1)
        settings = parse_settings(request.settings)
        whole = [row for row in own.rows() if row.name not in own.retrained]
        runs = plan_runs(whole, 1, request.output_dir, "demo", request.manifest, settings)
        assert [run.config["row"] for run in runs] == [method.name for method in whole]
        assert len({run.run_dir for run in runs}) == len(whole)
        for run in runs:
            assert run.config["phantom"]["spurious"][condition.nuisance.dial] == condition.dial
            assert run.config["image_size"] == 64
    assert shipped.reference in {method.name for method in shipped.methods}


def test_a_condition_turns_its_own_dial_alone(shipped: Benchmark) -> None:
    for condition in shipped.conditions():
        spec = PhantomSpec(**phantom_fields(shipped, condition))
        turned = {name: value for name, value in vars(spec.spurious).items() if value}
        assert turned == ({condition.nuisance.dial: condition.dial} if condition.dial else {})
        assert not any(vars(spec.spurious_new).values()), "the new hospitals know nothing of the marker"
    names = [condition.name for condition in shipped.conditions()]
    assert len(set(names)) == len(names)


def test_conditions_and_methods_are_chosen_by_name(shipped: Benchmark) -> None:
    chosen = shipped.conditions(["head_holder"], [-1, 0.5])
    assert [condition.name for condition in chosen] == ["head_holder_-1", "head_holder_0.5"]
    assert [row.name for row in shipped.rows(["cls+seg"])] == ["cls", "cls+seg"], "with the reference"
    assert [row.name for row in shipped.rows(["DFR cls+seg+rec"])] == ["cls", "cls+seg+rec", "DFR cls+seg+rec"]
    with pytest.raises(ConfigurationError, match=r"'head_holdr': expected one of.*Did you mean 'head_holder'"):
        shipped.conditions(["head_holdr"])
    with pytest.raises(ConfigurationError, match=r"dial 1.01: expected a number from -1 to 1"):
        shipped.conditions(dials=[1.01])
    with pytest.raises(ConfigurationError, match=r"method 'cls\+sg'.*Did you mean 'cls\+seg'"):
        shipped.rows(["cls+sg"])


def test_all_faults_of_a_declaration_are_told_together(tmp_path: Path) -> None:
    path = declared(
        tmp_path,
        nuisances={
            "head_holdr": {"attribute": "head_holder=yes", "phantom": {}},
            "kernel": {"attribute": "kernel", "phantom": {}},
            "head_holder": {"attribute": "head_holder=yes"},
        },
        dials=[0, 2, "0.5"],
        methods={
            "cls": ["swin_transformer.json"],
            "lost": ["nowhere.json"],
            "odd": {"overlay": []},
            "dfr": {"retrains": "cl", "overlays": []},
        },
        reference="clss",
    )
    with pytest.raises(ConfigurationError) as caught:
        read_benchmark(path)
    text = str(caught.value)
    for told in (
        "nuisance 'head_holdr': expected a dial of the phantom",
        "'kernel' does not say what counts as",
        "nuisance 'head_holder': expected {'attribute'",
        "dial 2: expected a number from -1 to 1",
        "dial '0.5'",
        "method 'lost': there is no overlay",
        "method 'odd': expected a list of overlays",
        "method 'dfr': retrains 'cl', expected a method that trains a whole network. Did you mean 'cls'",
        "reference: 'clss' is not one of the methods. Did you mean 'cls'",
    ):
        assert told in text


def test_two_methods_cannot_share_a_folder(tmp_path: Path) -> None:
    overlays = ["swin_transformer.json"]
    with pytest.raises(ConfigurationError, match=r"2 methods would share the folder cls-seg"):
        read_benchmark(declared(tmp_path, methods={"cls": overlays, "cls+seg": overlays, "cls seg": overlays}))


def test_a_file_that_is_no_declaration_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"there is no benchmark .*spurius.json; .* holds .*own.json"):
        read_benchmark(declared(tmp_path).with_name("spurius.json"))
    with pytest.raises(ConfigurationError, match=r"'nuisance' is not a part of a benchmark. Did you mean 'nuisances'"):
        read_benchmark(declared(tmp_path, nuisance={}))
    with pytest.raises(ConfigurationError, match=r"dials: expected a list, got 0.95"):
        read_benchmark(declared(tmp_path, dials=0.95))
    with pytest.raises(ConfigurationError, match=r"methods: expected at least one, got none"):
        read_benchmark(declared(tmp_path, methods={}))
    path = declared(tmp_path)
    path.write_text("{")
    with pytest.raises(ConfigurationError, match=r"is not JSON"):
        read_benchmark(path)


def test_a_nuisance_that_is_a_number_is_read_in_bins(shipped: Benchmark) -> None:
    assert shipped.nuisances["clot_volume"].attribute == Attribute("clot_volume_ml", limits=(25.0,))
    request = condition_request(shipped, Condition(shipped.nuisances["clot_volume"], 0.8), Path("out"), 1)
    assert parse_settings(request.settings)["data::attribute_bins"] == {"clot_volume_ml": [25.0]}
