# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Pretrained encoders: four layouts of one model, what does not fit, mirroring, the receipt, and broken files."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch
from huggingface_hub.errors import LocalEntryNotFoundError
from monai.networks.nets.swin_unetr import SwinTransformer
from networks_support import standardised
from safetensors.torch import save_file
from torch import Tensor

from monai_ich.networks import MultiTaskNet, SwinDecoder, SwinEncoder, load_pretrained_encoder, pretrained_files
from monai_ich.networks.layouts.swin import resample_bias_table
from monai_ich.utils.errors import PretrainedWeightsError

State = dict[str, Tensor]
SHAPE = {"embed_dim": 12, "num_heads": (1, 2, 2, 4)}


def build(**changes: object) -> SwinEncoder:
    settings = {"in_channels": 3, "depths": (2, 2, 4, 2), "window_size": 4, **SHAPE}
    return SwinEncoder(**{**settings, **changes})


def parameters(encoder: torch.nn.Module) -> State:
    return {name: parameter.detach().clone() for name, parameter in encoder.named_parameters()}


@pytest.fixture(scope="module")
def source() -> State:
    generator = torch.Generator().manual_seed(0)
    return {name: torch.randn(value.shape, generator=generator) for name, value in parameters(build()).items()}


def official(state: State) -> State:
    renamed = {key.replace("mlp.linear", "mlp.fc"): value for key, value in state.items()}
    extra = {"head.weight": torch.zeros(1000, 96), "head.bias": torch.zeros(1000)}
    derived = {
        "layers.0.blocks.0.attn.relative_position_index": torch.zeros(16, 16, dtype=torch.long),
        "layers.0.blocks.1.attn_mask": torch.zeros(4, 16, 16),
    }
    return {**renamed, **extra, **derived}


def timm(state: State) -> State:
    def move(key: str) -> str:
        found = re.match(r"layers\.(\d)\.downsample\.(.+)", key)
        return f"layers.{int(found[1]) + 1}.downsample.{found[2]}" if found else key

    renamed = {move(key).replace("mlp.linear", "mlp.fc"): value for key, value in state.items()}
    return {**renamed, "head.fc.weight": torch.zeros(1000, 96), "head.fc.bias": torch.zeros(1000)}


def hugging_face(state: State, prefix: str = "swin.") -> State:
    names = {
        "patch_embed.proj": "embeddings.patch_embeddings.projection",
        "patch_embed.norm": "embeddings.norm",
        "norm1": "layernorm_before",
        "norm2": "layernorm_after",
        "attn.proj": "attention.output.dense",
        "attn.relative_position_bias_table": "attention.self.relative_position_bias_table",
        "mlp.linear1": "intermediate.dense",
        "mlp.linear2": "output.dense",
    }
    result: State = {"classifier.weight": torch.zeros(1000, 96), "classifier.bias": torch.zeros(1000)}
    for key, value in state.items():
        if "attn.qkv" in key:
            for name, third in zip(("query", "key", "value"), value.chunk(3), strict=True):
                result[f"{prefix}encoder.{key.replace('attn.qkv', f'attention.self.{name}')}"] = third.clone()
            continue
        new = f"layernorm.{key[5:]}" if key.startswith("norm.") else key
        for ours, theirs in names.items():
            if not key.startswith("norm."):
                new = new.replace(ours, theirs)
        result[prefix + ("encoder." if new.startswith("layers.") else "") + new] = value
    return result


def save(path: Path, content: object) -> Path:
    torch.save(content, path)
    return path


@pytest.mark.parametrize(
    ("layout", "content"),
    [
        ("official", lambda state: {"model": official(state), "epoch": 299}),
        ("timm", timm),
        ("hugging_face", hugging_face),
        ("monai", lambda state: {"state_dict": {f"encoder.{key}": value for key, value in state.items()}}),
    ],
)
def test_every_layout_of_one_model_gives_the_same_encoder(layout: str, content, source: State, tmp_path: Path) -> None:
    encoder = build()
    receipt = load_pretrained_encoder(encoder, save(tmp_path / "weights.pth", content(source)), minimum_fraction=1.0)
    assert receipt.layout == layout
    assert (receipt.fraction, receipt.missing, receipt.mismatched, receipt.interpolated) == (1.0, (), (), ())
    assert all("head" in key or "classifier" in key for key in receipt.left_out)
    assert len(receipt.left_out) == (0 if layout == "monai" else 2)
    for name, value in parameters(encoder).items():
        assert torch.equal(value, source[name]), name


def test_safetensors_and_the_layout_of_monais_own_network(tmp_path: Path) -> None:
    settings = {"window_size": (4, 4), "patch_size": (4, 4), "depths": (2, 2, 4, 2), "patch_norm": True, **SHAPE}
    theirs = SwinTransformer(3, spatial_dims=2, **settings).eval()
    state = {f"swinViT.{key}": value.contiguous() for key, value in theirs.state_dict().items()}
    save_file(state, tmp_path / "w.safetensors")
    encoder = build().eval()
    receipt = load_pretrained_encoder(encoder, tmp_path / "w.safetensors")
    assert (receipt.layout, receipt.missing) == ("monai", ("norm.weight", "norm.bias"))
    image = torch.rand(1, 3, 128, 128)
    theirs.layers3[0].downsample = None  # MONAI returns what comes after patch merging, ours what comes before
    with torch.inference_mode():
        expected = theirs.patch_embed(standardised(image))
        for stage in (theirs.layers1, theirs.layers2, theirs.layers3):
            expected = stage[0](expected)
        torch.testing.assert_close(encoder(image)[2], expected, rtol=1e-4, atol=1e-4)


def test_shallower_network_takes_the_first_blocks_of_each_stage(source: State, tmp_path: Path) -> None:
    encoder = build(depths=(2, 2, 2, 2))
    receipt = load_pretrained_encoder(encoder, save(tmp_path / "w.pth", official(source)), minimum_fraction=1.0)
    for name, value in parameters(encoder).items():
        assert torch.equal(value, source[name]), name
    blocks = {re.match(r"layers\.2\.blocks\.\d", key)[0] for key in receipt.left_out if not key.startswith("head.")}
    assert blocks == {"layers.2.blocks.2", "layers.2.blocks.3"}
    assert "left out (head.weight" in receipt.summary()


def test_three_channels_are_summed_into_one(source: State, tmp_path: Path) -> None:
    grey, colour = build(in_channels=1).eval(), build().eval()
    weights = save(tmp_path / "w.pth", timm(source))
    receipt = load_pretrained_encoder(grey, weights)
    load_pretrained_encoder(colour, weights)
    assert receipt.adapted == ("patch_embed.proj.weight",)
    torch.testing.assert_close(grey.patch_embed.proj.weight[:, 0], source["patch_embed.proj.weight"].sum(1))
    image = torch.rand(1, 1, 64, 64)
    with torch.inference_mode():
        torch.testing.assert_close(grey(image)[0], colour(image)[0], rtol=1e-3, atol=1e-3)


def test_one_channel_is_spread_over_three(source: State, tmp_path: Path) -> None:
    state = {**source, "patch_embed.proj.weight": source["patch_embed.proj.weight"][:, :1]}
    encoder = build()
    load_pretrained_encoder(encoder, save(tmp_path / "w.pth", state))
    expected = state["patch_embed.proj.weight"].expand(-1, 3, -1, -1) / 3
    torch.testing.assert_close(encoder.patch_embed.proj.weight.detach(), expected)


def cubic(distance: float) -> float:
    """Cubic convolution with a = -0.75 (Keys 1981), the kernel that `bicubic` names in PyTorch."""
    d, a = abs(distance), -0.75
    if d <= 1:
        return (a + 2) * d**3 - (a + 3) * d**2 + 1
    return a * d**3 - 5 * a * d**2 + 8 * a * d - 4 * a if d < 2 else 0.0


def test_bias_table_of_another_window_is_resampled_bicubically(source: State, tmp_path: Path) -> None:
    encoder = build(window_size=3)  # from windows of 4: tables of 7 x 7 become 5 x 5
    receipt = load_pretrained_encoder(encoder, save(tmp_path / "w.pth", official(source)))
    assert len(receipt.interpolated) == 10
    assert "10 bias tables resampled" in receipt.summary()
    key = "layers.1.blocks.1.attn.relative_position_bias_table"
    old = source[key].view(7, 7, 2).double()
    matrix = torch.zeros(5, 7, dtype=torch.double)
    for new_at in range(5):
        centre = (new_at + 0.5) * 7 / 5 - 0.5
        for tap in range(int(centre // 1) - 1, int(centre // 1) + 3):
            matrix[new_at, min(max(tap, 0), 6)] += cubic(centre - tap)
    expected = torch.einsum("iy,jx,yxh->ijh", matrix, matrix, old).reshape(25, 2).float()
    torch.testing.assert_close(encoder.get_parameter(key).detach(), expected, rtol=1e-4, atol=1e-4)
    assert resample_bias_table(torch.full((169, 3), 2.0), 49).shape == (49, 3)


def with_decoders() -> MultiTaskNet:
    depths = (2, 2, 4, 2)
    heads = {task: SwinDecoder(1, depths=depths, window_size=4, **SHAPE) for task in ("seg", "rec")}
    return MultiTaskNet(build(), heads)


def test_encoder_stages_are_mirrored_into_every_decoder(source: State, tmp_path: Path) -> None:
    network = with_decoders()
    receipt = load_pretrained_encoder(network, save(tmp_path / "w.pth", official(source)))
    stages = {f"heads.{task}.stages.{level}" for task in ("seg", "rec") for level in range(3)}
    assert {key[: key.index(".blocks")] for key in receipt.mirrored} == stages
    assert len(receipt.mirrored) == 2 * (2 + 2 + 4) * 13  # 13 parameters a block
    for key in receipt.mirrored:
        level, rest = re.match(r"heads\.\w+\.stages\.(\d)\.(.+)", key).groups()
        assert torch.equal(network.get_parameter(key), source[f"layers.{level}.{rest}"]), key


def test_mirroring_can_be_switched_off(source: State, tmp_path: Path) -> None:
    network = with_decoders()
    before = parameters(network.heads)
    receipt = load_pretrained_encoder(network, save(tmp_path / "w.pth", official(source)), mirror=False)
    assert receipt.mirrored == ()
    assert all(torch.equal(value, before[name]) for name, value in parameters(network.heads).items())


@pytest.mark.parametrize("kind", ["few_blocks", "other_width"])
def test_too_little_is_an_error_and_changes_nothing(kind: str, source: State, tmp_path: Path) -> None:
    network = build(depths=(2, 2, 18, 2)) if kind == "few_blocks" else build(embed_dim=24)
    before = parameters(network)
    with pytest.raises(PretrainedWeightsError) as caught:
        load_pretrained_encoder(network, save(tmp_path / "w.pth", official(source)))
    message = str(caught.value)
    assert "at least 90%" in message
    assert ("not filled (layers.2.blocks.4" if kind == "few_blocks" else "file (12,), network (24,)") in message
    assert all(torch.equal(value, before[name]) for name, value in parameters(network).items())


def test_the_fraction_is_of_parameters_and_can_be_lowered(source: State, tmp_path: Path) -> None:
    network = build()
    state = {key: value for key, value in source.items() if not key.startswith("layers.3.")}
    lost = sum(source[key].numel() for key in source.keys() - state.keys())
    receipt = load_pretrained_encoder(network, save(tmp_path / "w.pth", state), minimum_fraction=0.1)
    assert receipt.fraction == pytest.approx(1 - lost / sum(value.numel() for value in source.values()))
    assert set(receipt.missing) == source.keys() - state.keys()


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
