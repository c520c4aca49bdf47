# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Two phantoms lie side by side, and one that was made with another specification is refused, never replaced."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from phantom_cases import TINY, digests
from support import bundle_part
from typer.testing import CliRunner

from monai_ich.__main__ import cli
from monai_ich.phantom import CounterfactualPairs, PhantomSpec, SpuriousDials, ensure_phantom, generate_phantom
from monai_ich.utils.errors import ConfigurationError

MANIFEST = "data_manifests/phantom.csv"


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder with the phantom `TINY` in it, made as a training makes it."""
    monkeypatch.chdir(tmp_path)
    ensure_phantom(MANIFEST, TINY)
    return tmp_path


def copied(manifest: str) -> str:
    """A manifest of another name on the phantom's images, as `split` writes one."""
    for suffix in (".csv", ".json"):
        shutil.copy(Path(MANIFEST).with_suffix(suffix), Path(manifest).with_suffix(suffix))
    return manifest


def refusal(manifest: str, spec: PhantomSpec) -> str:
    with pytest.raises(ConfigurationError) as caught:
        ensure_phantom(manifest, spec)
    return str(caught.value)


def test_a_training_that_asks_for_another_phantom_is_refused(here: Path) -> None:
    before = digests(here)
    ensure_phantom(MANIFEST, TINY)  # what is there already
    said = refusal(MANIFEST, replace(TINY, matrix=64, spurious=SpuriousDials(kernel=0.5)))
    faults = [line for line in said.splitlines() if line.startswith("  - ")]
    assert faults == ["  - matrix: on disk 32, asked for 64", "  - spurious::kernel: on disk 0.0, asked for 0.5"]
    assert "name another manifest, such as data_manifests/phantom_2.csv, or delete" in said
    assert "  - seed: on disk 5, asked for 20260" in refusal(MANIFEST, PhantomSpec())  # the default is asked for too
    assert digests(here) == before


def test_every_new_field_is_compared(here: Path) -> None:
    pairs = {"nuisance": "kernel", "studies": [1] * 11}
    other = replace(TINY, mechanism="flip", side_letter_fraction=0.3, pairs=pairs, reversed_studies=(1, 0, 0, 0))
    said = refusal(MANIFEST, other)
    for fault in (
        "mechanism: on disk latent, asked for flip",
        "side_letter_fraction: on disk 0.0, asked for 0.3",
        "pairs::nuisance: on disk None, asked for kernel",
        "pairs::studies: on disk [24, 6, 6, 6, 6, 6, 6, 6, 6, 0, 6], asked for [1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1]",
        "reversed_studies: on disk [0, 0, 0, 0], asked for [1, 0, 0, 0]",
    ):
        assert f"  - {fault}\n" in f"{said}\n"
    mine = copied("data_manifests/mine.csv")
    assert "mechanism: on disk latent, asked for flip" in refusal(mine, replace(PhantomSpec(), mechanism="flip"))


def test_two_phantoms_lie_side_by_side(here: Path) -> None:
    other = replace(TINY, spurious={"head_holder": 0.9})
    before = digests(here / "data/phantom")
    ensure_phantom("data_manifests/phantom_dial.csv", other)
    assert digests(here / "data/phantom") == before
    assert len(digests(here / "data/phantom_dial")) == len(before)
    ensure_phantom(MANIFEST, TINY)
    ensure_phantom("data_manifests/phantom_dial.csv", other)
    assert "spurious::head_holder: on disk 0.9, asked for 0.0" in refusal("data_manifests/phantom_dial.csv", TINY)


def test_a_manifest_of_one_name_elsewhere_does_not_take_the_images_away(here: Path) -> None:
    before = digests(here)
    assert "matrix: on disk 32, asked for 64" in refusal("elsewhere/phantom.csv", replace(TINY, matrix=64))
    assert digests(here) == before


def test_the_command_refuses_too_and_overwrites_no_manifest(here: Path) -> None:
    def said(*options: str) -> str:
        outcome = CliRunner().invoke(cli, ["phantom", "--workers", "1", *options])
        assert outcome.exit_code == 1
        return str(outcome.exception)

    assert "seed: on disk 5, asked for 7" in said("--seed", "7")
    mine = here / "data_manifests/mine.csv"
    mine.write_text("key\n")
    assert f"{mine} is there already and describes files that its card does not name" in said("--manifest", str(mine))
    copied("data_manifests/copy.csv")
    assert "is there already and describes" in said("--manifest", "data_manifests/copy.csv")
    assert mine.read_text() == "key\n"


def test_a_manifest_drawn_from_a_phantom_is_compared_in_what_is_asked_for(here: Path) -> None:
    mine = copied("data_manifests/mine.csv")
    ensure_phantom(mine, PhantomSpec())
    ensure_phantom(mine, PhantomSpec(matrix=32))
    said = refusal(mine, PhantomSpec(matrix=64))
    assert "matrix: on disk 32, asked for 64" in said
    assert "seed" not in said.partition("again:")[2]


def test_a_phantom_that_lies_elsewhere_is_taken_as_it_is_named(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A user names the manifest of another folder's phantom, and says nothing of its specification."""
    (here / "elsewhere").mkdir()
    monkeypatch.chdir(here / "elsewhere")
    ensure_phantom(str(here / MANIFEST), PhantomSpec())
    assert "matrix: on disk 32, asked for 64" in refusal(str(here / MANIFEST), PhantomSpec(matrix=64))


def test_a_phantom_of_an_older_version(here: Path) -> None:
    recorded = here / "data/phantom/phantom.json"
    spec = json.loads(recorded.read_text())
    del spec["clot_volume_factor"]
    recorded.write_text(json.dumps({**spec, "phantom_version": 1}))
    said = refusal(MANIFEST, TINY)
    assert "phantom_version: on disk 1, asked for 3 (an older or newer version of this program made it)" in said
    assert "clot_volume_factor: not recorded on disk, asked for 1.0" in said
    recorded.write_text("[1]")
    assert "does not hold the phantom's specification; expected a JSON object" in refusal(MANIFEST, TINY)
    recorded.unlink()
    assert "data/phantom has no phantom.json: an older version of this program made it, or" in refusal(MANIFEST, TINY)
    Path(MANIFEST).unlink()
    assert "it holds images without phantom.json: they are not a phantom's, or an older" in refusal(MANIFEST, TINY)


def test_an_interrupted_phantom_is_not_taken_for_another(here: Path) -> None:
    Path(MANIFEST).unlink()
    assert "matrix: on disk 32, asked for 64" in refusal(MANIFEST, replace(TINY, matrix=64))
    before = digests(here)
    generate_phantom("data/phantom", MANIFEST, TINY, workers=1)
    assert digests(here).items() >= before.items()


def test_another_manifest_is_neither_made_nor_compared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    ensure_phantom("missing.csv", TINY)  # reading it will say that it is not there
    Path("phantom_scans.csv").write_text("a real phantom's scans, without a card")
    ensure_phantom("phantom_scans.csv", TINY)
    assert {path.name for path in tmp_path.iterdir()} == {"phantom_scans.csv"}


def test_dials_and_pairs_are_read_from_a_config() -> None:
    overlay = {"phantom::pairs": {"nuisance": "head_holder"}, "phantom::reversed_studies": [24, 6, 6, 6]}
    built = bundle_part("phantom", **overlay, **{"phantom::mechanism": "flip", "phantom::side_letter_fraction": 0.2})
    assert built == PhantomSpec(
        pairs=CounterfactualPairs("head_holder"),
        reversed_studies=(24, 6, 6, 6),
        mechanism="flip",
        side_letter_fraction=0.2,
    )
    assert PhantomSpec(spurious={"kernel": 0.25}).spurious == SpuriousDials(kernel=0.25)
    with pytest.raises(ConfigurationError, match=r"spurious_new.kernal is not a dial.* Did you mean 'kernel'"):
        PhantomSpec(spurious_new={"kernal": 0.25})
