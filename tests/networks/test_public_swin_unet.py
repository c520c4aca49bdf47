# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""The public Swin-Unet: its checkpoints load, and the whole network then computes its numbers and gradients."""

from __future__ import annotations

import json
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from networks_support import State, save

from monai_ich.networks import MultiTaskNet, load_pretrained_encoder, mtl_swin_unet
from monai_ich.networks.inputs import GREY_DEVIATION, GREY_MEAN
from monai_ich.utils.errors import PretrainedWeightsError

FROZEN: dict[str, Any] = json.loads(Path(__file__).with_name("public_swin_unet.json").read_text(encoding="utf-8"))
SHAPES: dict[str, list[int]] = {name: entry[0] for name, entry in FROZEN["parameters"].items()}
KERNEL, BIAS, OUTPUT = "patch_embed.proj.weight", "patch_embed.proj.bias", "output.weight"


def made(name: str, shape: Sequence[int]) -> torch.Tensor:
    """Numbers in [-1, 1) that follow from a name: the raw stream of a counter, which NumPy keeps for good."""
    raw = np.random.Philox(key=zlib.crc32(name.encode())).random_raw(int(np.prod(shape)))
    return torch.from_numpy(raw / 2.0**63 - 1.0).reshape(tuple(shape))


def made_weight(name: str, shape: Sequence[int]) -> torch.Tensor:
    values = made(name, shape)
    if name.endswith("bias"):
        return 0.1 * values
    if len(shape) == 1:  # of a LayerNorm
        return 1 + 0.2 * values
    return 0.5 * values if "bias_table" in name else values * (3 / np.prod(shape[1:])) ** 0.5


def checkpoint(prefix: str = "module.swin_unet.") -> State:
    """A checkpoint as the public code saves it: its buffers too, and the prefix of a network on several GPUs."""
    state = {prefix + name: made_weight(name, shape) for name, shape in SHAPES.items()}
    return {**state, f"{prefix}layers_up.1.blocks.0.attn.relative_position_index": torch.zeros(49, 49)}


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save(tmp_path_factory.mktemp("public") / "best_model.pth", checkpoint())


def ours(name: str) -> str:
    """The parameter of ours that a public one becomes, written out stage by stage."""
    moved = {
        "layers_up.0.": "heads.seg.expansions.2.",
        "layers_up.1.upsample.": "heads.seg.expansions.1.",
        "layers_up.2.upsample.": "heads.seg.expansions.0.",
        "layers_up.1.blocks.": "heads.seg.stages.2.blocks.",
        "layers_up.2.blocks.": "heads.seg.stages.1.blocks.",
        "layers_up.3.blocks.": "heads.seg.stages.0.blocks.",
        "concat_back_dim.1.": "heads.seg.reductions.2.",
        "concat_back_dim.2.": "heads.seg.reductions.1.",
        "concat_back_dim.3.": "heads.seg.reductions.0.",
        "norm_up.": "heads.seg.norm.",
        "up.": "heads.seg.last_expansion.",
        "output.": "heads.seg.projection.",
    }
    name = name.replace("mlp.fc", "mlp.linear")
    for start, becomes in moved.items():
        if name.startswith(start):
            return becomes + name.removeprefix(start)
    return f"encoder.{name}"


def gradient_of(name: str, network: MultiTaskNet) -> torch.Tensor:
    """The gradient of a public parameter, from that of ours; the patch embedding was changed on loading."""
    gradient = network.get_parameter(ours(name)).grad
    assert gradient is not None
    if name == KERNEL:
        of_bias = network.get_parameter(ours(BIAS)).grad
        assert of_bias is not None
        return GREY_DEVIATION * gradient + GREY_MEAN * of_bias[:, None, None, None]
    return gradient.reshape(SHAPES[name])


def test_the_whole_network_computes_the_numbers_and_gradients_of_the_public_one(file: Path) -> None:
    network = mtl_swin_unet("default", tasks=["seg"], skips="inputs").double().eval()
    receipt = load_pretrained_encoder(network, file, minimum_fraction=1.0)
    assert (receipt.layout, receipt.missing, receipt.mismatched, receipt.left_out) == ("swin_unet", (), (), ())
    assert len(receipt.loaded) + len(receipt.decoder) == len(SHAPES) == len(list(network.parameters()))

    logits = network((made("image", (2, 1, 224, 224)) + 1) / 2)["seg"]
    (logits * made("gradient", logits.shape)).sum().backward()
    values = logits.detach()
    assert values.flatten()[::2003].tolist() == pytest.approx(FROZEN["logits"], rel=0, abs=1e-9)  # deviation 1.0
    assert float(values.norm()) == pytest.approx(FROZEN["logits_norm"], rel=1e-10)
    along = float((values * made("pattern", values.shape)).sum())
    assert along == pytest.approx(FROZEN["logits_along_direction"], abs=1e-9 * FROZEN["logits_norm"])
    for name, (shape, norm, along) in FROZEN["parameters"].items():
        gradient = gradient_of(name, network)
        assert float(gradient.norm()) == pytest.approx(norm, rel=1e-8), name
        assert float((gradient * made(f"pattern {name}", shape)).sum()) == pytest.approx(along, abs=1e-8 * norm), name


def test_what_stages_put_out_gives_another_network_of_the_same_parameters(file: Path) -> None:
    image = torch.rand(1, 1, 64, 64, generator=torch.Generator().manual_seed(0))
    torch.manual_seed(0)
    inputs = mtl_swin_unet("demo", skips="inputs").eval()
    outputs = mtl_swin_unet("demo", skips="outputs").eval()
    outputs.load_state_dict(inputs.state_dict())
    with torch.inference_mode():
        one, other = inputs(image), outputs(image)
        first, *_, last = inputs.encoder(image)
        torch.testing.assert_close(first, inputs.encoder.patch_embed((image - GREY_MEAN) / GREY_DEVIATION))
        torch.testing.assert_close(last, outputs.encoder(image)[-1], rtol=0, atol=0)
    assert torch.equal(one["cls"], other["cls"])  # the classifier reads the last stage alone
    for task in ("seg", "rec"):
        assert (one[task] - other[task]).norm() > 0.1 * one[task].norm(), task


def test_a_decoder_of_other_skips_is_refused_and_an_encoder_alone_is_not(file: Path) -> None:
    network = mtl_swin_unet("default", tasks=["seg"], skips="outputs")
    with pytest.raises(PretrainedWeightsError, match="set `skips` of the network to 'inputs'"):
        load_pretrained_encoder(network, file)
    classifier = mtl_swin_unet("default", tasks=["cls"], skips="outputs")
    receipt = load_pretrained_encoder(classifier, file, minimum_fraction=1.0)
    assert receipt.decoder == ()
    unused = {f"module.swin_unet.{name}" for name in SHAPES if ours(name).startswith("heads.")}
    assert set(receipt.left_out) == unused
    assert "the standardised image gives the same numbers" in receipt.summary()


def test_the_reconstruction_decoder_mirrors_the_encoder_and_other_classes_are_left_out(tmp_path: Path) -> None:
    state = checkpoint("swin_unet.")
    state[f"swin_unet.{OUTPUT}"] = torch.zeros(9, 96, 1, 1)  # as trained on nine organs
    network = mtl_swin_unet("default", tasks=["seg", "rec"], skips="inputs")
    before = network.heads["seg"].projection.weight.detach().clone()
    receipt = load_pretrained_encoder(network, save(tmp_path / "w.pth", state))
    assert receipt.mismatched == ("heads.seg.projection.weight",)
    shapes = "projection.weight is (9, 96) in the file and (2, 96) in the network: another width"
    assert receipt.differences == (f"segmentation decoder: {shapes}",)
    assert receipt.left_out == (f"swin_unet.{OUTPUT}",)
    torch.testing.assert_close(network.heads["seg"].projection.weight, before, rtol=0, atol=0)
    assert receipt.mirrored
    assert all(name.startswith("heads.rec.stages.") for name in receipt.mirrored)
    key = "blocks.1.mlp.linear2.weight"
    seg, rec, encoder = (
        network.get_parameter(f"{part}.0.{key}") for part in ("heads.seg.stages", "heads.rec.stages", "encoder.layers")
    )
    expected = made_weight("layers_up.3.blocks.1.mlp.fc2.weight", seg.shape).float()
    torch.testing.assert_close(seg, expected, rtol=0, atol=0)
    torch.testing.assert_close(rec, encoder, rtol=0, atol=0)


def test_the_last_projection_begins_as_a_convolution_does() -> None:
    torch.manual_seed(0)
    weights = torch.cat([mtl_swin_unet("default", ["seg"]).heads["seg"].projection.weight.detach() for _ in range(4)])
    limit = 96**-0.5
    assert 0.98 * limit < float(weights.abs().max()) <= limit
    assert float(weights.std()) == pytest.approx(limit / 3**0.5, rel=0.06)  # 768 values
