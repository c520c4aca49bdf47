# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Pretrained encoders that are refused, and why: too little that fits, broken and foreign files, names, no network."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from huggingface_hub.errors import LocalEntryNotFoundError
from networks_support import State, save
from swin_layouts import build, official, parameters, random_state, timm

from monai_ich.networks import load_pretrained_encoder, pretrained_files
from monai_ich.utils.errors import PretrainedWeightsError


@pytest.fixture(scope="module")
def source() -> State:
    return random_state()


@pytest.mark.parametrize("kind", ["few_blocks", "other_width"])
def test_too_little_is_an_error_and_changes_nothing(kind: str, source: State, tmp_path: Path) -> None:
    network = build(depths=(2, 2, 18, 2)) if kind == "few_blocks" else build(embed_dim=24)
    before = parameters(network)
    with pytest.raises(PretrainedWeightsError) as caught:
        load_pretrained_encoder(network, save(tmp_path / "w.pth", official(source)))
    message = str(caught.value)
    assert "at least 90%" in message
    expected = {
        "few_blocks": [
            "not filled (layers.2.blocks.4",
            "blocks of layers.2: 4 in the file and 18 in the network: another depth",
        ],
        "other_width": [
            "patch_embed.proj.weight is (12, 3, 4, 4) in the file and (24, 3, 4, 4) in the network: another width"
        ],
    }
    assert all(words in message for words in expected[kind]), message
    assert all(torch.equal(value, before[name]) for name, value in parameters(network).items())


class Payload:
    """Pickles as a call, which a careless reader would run."""

    def __reduce__(self) -> tuple:
        return print, ("executed",)


def test_broken_and_dangerous_files_are_refused(source: State, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    whole = save(tmp_path / "whole.pth", official(source)).read_bytes()
    files = {"cut.pth": whole[: len(whole) // 2], "text.pth": b"not weights", "empty.pth": b""}
    files["cut.safetensors"] = b"\x08"
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    save(tmp_path / "code.pth", {"model": Payload()})
    for name in [*files, "code.pth"]:
        with pytest.raises(PretrainedWeightsError, match=f"{name} cannot be read"):
            load_pretrained_encoder(build(), tmp_path / name)
    assert "executed" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ({"conv1.weight": torch.zeros(1), "fc.bias": torch.zeros(1)}, ["conv1.weight", "give a Swin checkpoint"]),
        ({"epoch": 3}, ["holds none", "state dict"]),
        ([1, 2], ["holds none"]),
        (
            {"a.patch_embed.proj.weight": torch.zeros(1), "b.patch_embed.proj.weight": torch.zeros(1)},
            ["one Swin encoder", "2 of them came (['a.', 'b.'])"],
        ),
    ],
)
def test_other_content_is_refused(content: object, words: list[str], tmp_path: Path) -> None:
    with pytest.raises(PretrainedWeightsError) as caught:
        load_pretrained_encoder(build(), save(tmp_path / "w.pth", content))
    assert all(word in str(caught.value) for word in words), caught.value


def test_other_encoders_are_refused() -> None:
    with pytest.raises(PretrainedWeightsError, match="a Linear came"):
        load_pretrained_encoder(torch.nn.Linear(1, 1), "swin_tiny_patch4_window7_224")


def test_unknown_name_gets_a_suggestion() -> None:
    with pytest.raises(PretrainedWeightsError, match="Did you mean 'swin_tiny_patch4_window7_224'"):
        load_pretrained_encoder(build(), "swin_tiny_patch4_window7_244")


@pytest.mark.parametrize("address", ["hf://owner", "hf://owner/repository", "hf:///r/f"])
def test_malformed_address_is_refused(address: str) -> None:
    with pytest.raises(PretrainedWeightsError, match="hf://owner/repository"):
        load_pretrained_encoder(build(), address)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (
            "swin_tiny_patch4_window7_224",
            ("timm/swin_tiny_patch4_window7_224.ms_in1k", "model.safetensors", None),
        ),
        ("hf://owner/repository@abc/folder/file.pth", ("owner/repository", "folder/file.pth", "abc")),
    ],
)
def test_names_are_fetched_from_the_hub(name, expected, source, tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    weights, asked = save(tmp_path / "w.pth", timm(source)), []

    def download(repository: str, filename: str, revision: str | None) -> str:
        asked.append((repository, filename, revision))
        return str(weights)

    monkeypatch.setattr(pretrained_files, "hf_hub_download", download)
    assert load_pretrained_encoder(build(), name).source == name
    assert asked == [expected]


@pytest.mark.parametrize("error", [LocalEntryNotFoundError("Check your connection.\nmore"), OSError("no route")])
def test_no_network_is_said_plainly(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    def download(*_: object, **__: object) -> str:
        raise error

    monkeypatch.setattr(pretrained_files, "hf_hub_download", download)
    with pytest.raises(
        PretrainedWeightsError, match=r"Could not fetch hf://timm/swin_.*(connection|no route).*its path"
    ):
        load_pretrained_encoder(build(), "swin_base_patch4_window7_224")
