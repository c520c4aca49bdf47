# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Joint encoders: what is frozen stays as it was to the bit, and comes from a segmentation run."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from networks_support import State, save
from torch import nn

from monai_ich.networks import (
    JointEncoder,
    MultiTaskNet,
    SwinEncoder,
    UNetPyramid,
    joint_learning,
    joint_swin,
    load_pretrained_encoder,
    load_segmentation_encoder,
    mtl_swin_unet,
    unet_segmenter,
)
from monai_ich.utils.errors import ConfigurationError, PretrainedWeightsError


def checkpoint(network: nn.Module, path: Path) -> Path:
    """As `best.pt` of a run."""
    return save(path, {"model": network.state_dict(), "epoch": 3, "val_iou": 0.5})


def moved_unet() -> MultiTaskNet:
    """A U-Net whose running statistics are no longer those of a new one."""
    torch.manual_seed(1)
    network = unet_segmenter("demo")
    network(torch.rand(2, 1, 64, 64))
    return network


def snapshot(module: nn.Module) -> State:
    return {key: value.clone() for key, value in module.state_dict().items()}


def equal(one: State, other: State) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[key], other[key]) for key in one)


@pytest.mark.parametrize("classifier", ["efficientnet", "wavelet"])
def test_training_leaves_the_frozen_encoder_bit_identical(classifier: str, tmp_path: Path) -> None:
    path = checkpoint(moved_unet(), tmp_path / "best.pt")
    network = joint_learning("demo", segmentation_checkpoint=path, classifier=classifier)
    frozen, trainable = snapshot(network.encoder.frozen), snapshot(network.encoder.trainable)
    optimizer = torch.optim.AdamW(network.parameters(), lr=0.1, weight_decay=0.5)  # even given all of them
    network.train()
    for _ in range(3):
        optimizer.zero_grad()
        network(torch.rand(4, 1, 64, 64))["cls"].square().sum().backward()
        optimizer.step()
    assert equal(network.encoder.frozen.state_dict(), frozen)
    assert equal(frozen, moved_unet().encoder.state_dict()), "and they are the segmentation run's"
    assert any("running_mean" in key for key in frozen)
    changed = {key for key, value in network.encoder.trainable.state_dict().items() if not value.equal(trainable[key])}
    assert changed == set(trainable), "everything of the trainable encoder moved"


def test_the_frozen_encoder_stays_in_evaluation_mode_and_out_of_the_graph() -> None:
    network = joint_learning("demo")
    for mode in (True, False, True):
        network.train(mode)
        assert not any(module.training for module in network.encoder.frozen.modules())
        assert all(module.training is mode for module in network.encoder.trainable.modules())
    assert not any(parameter.requires_grad for parameter in network.encoder.frozen.parameters())
    assert all(parameter.requires_grad for parameter in network.encoder.trainable.parameters())
    image = torch.rand(2, 1, 64, 64, requires_grad=True)
    network.encoder(image)[-1][:, : network.encoder.frozen.channels[-1]].sum().backward()
    assert image.grad.abs().sum() == 0


def test_pooled_outputs_are_concatenated_frozen_first() -> None:
    torch.manual_seed(0)
    network = joint_swin("demo", standardise_pooled=False).eval()
    image = torch.rand(2, 1, 64, 96)
    with torch.inference_mode():
        parts = [part(image)[-1].mean(dim=(2, 3)) for part in (network.encoder.frozen, network.encoder.trainable)]
        pooled = torch.cat(parts, dim=1)
        (level,) = network.encoder(image)
        assert torch.equal(level, pooled[:, :, None, None])
        torch.testing.assert_close(network(image)["cls"], network.heads["cls"].linear(pooled))
    single = mtl_swin_unet("demo", ["cls"])
    assert network.heads["cls"].linear.in_features == 2 * single.heads["cls"].linear.in_features
    assert network.encoder.channels == (512,)


def test_state_dict_holds_both_and_loads_without_the_segmentation_run(tmp_path: Path) -> None:
    path = checkpoint(moved_unet(), tmp_path / "best.pt")
    trained = joint_learning("demo", segmentation_checkpoint=path)
    fresh = joint_learning("demo", segmentation_checkpoint="")
    assert not equal(snapshot(fresh), snapshot(trained))
    fresh.load_state_dict(trained.state_dict())
    image = torch.rand(2, 1, 64, 64)
    with torch.inference_mode():
        assert torch.equal(fresh.eval()(image)["cls"], trained.eval()(image)["cls"])


def test_the_frozen_swin_encoder_is_that_of_the_segmentation_run(tmp_path: Path) -> None:
    source = mtl_swin_unet("demo", ["seg"])
    network = joint_swin("demo", segmentation_checkpoint=checkpoint(source, tmp_path / "best.pt"))
    assert equal(network.encoder.frozen.state_dict(), source.encoder.state_dict())


def test_a_u_net_with_a_resnet_is_frozen_as_it_was_and_a_plain_one_is_refused(tmp_path: Path) -> None:
    source = unet_segmenter("demo", "resnet34")
    path = checkpoint(source, tmp_path / "best.pt")
    network = joint_learning("demo", segmentation_checkpoint=path, unet_encoder="resnet34")
    assert equal(network.encoder.frozen.state_dict(), source.encoder.state_dict())
    assert network.encoder.channels == (source.encoder.channels[-1] + network.encoder.trainable.channels[-1],)
    with pytest.raises(PretrainedWeightsError, match=r"bn1.bias is not in the file"):
        joint_learning(
            "demo", segmentation_checkpoint=checkpoint(moved_unet(), tmp_path / "plain.pt"), unet_encoder="resnet34"
        )


def test_sizes_of_the_two_encoders_may_differ() -> None:
    with torch.device("meta"):
        network = joint_swin("tiny", segmentation_size="default", drop_path_rate=0.1)
    assert network.encoder.frozen.depths == (2, 2, 2, 2)
    assert network.encoder.trainable.depths == (2, 2, 6, 2)
    assert network.encoder.channels == (1536,)
    assert network.encoder.trainable.drop_path_rate == 0.1


def test_joint_learning_at_the_papers_size() -> None:
    with torch.device("meta"):
        b3, wavelet = joint_learning(), joint_learning(classifier="wavelet", num_markers=4)
    assert b3.encoder.channels == (1024 + 1536,)
    assert wavelet.encoder.channels == (1024 + 1024,)
    assert wavelet.heads["cls"].linear.out_features == 4


def test_pretrained_weights_go_to_the_trainable_encoder_only(tmp_path: Path) -> None:
    source = SwinEncoder(1, 32, num_heads=(2, 4, 8, 16), window_size=4)
    weights = save(tmp_path / "swin.pt", source.state_dict())
    segmentation = checkpoint(mtl_swin_unet("demo", ["seg"]), tmp_path / "best.pt")
    network = joint_swin("demo", segmentation_checkpoint=segmentation, pretrained=weights)
    assert equal(network.encoder.trainable.state_dict(), source.state_dict())
    assert not equal(network.encoder.frozen.state_dict(), source.state_dict())
    frozen = snapshot(network.encoder.frozen)
    assert load_pretrained_encoder(network, weights).fraction == 1.0
    assert equal(network.encoder.frozen.state_dict(), frozen)


def test_other_checkpoints_are_refused_and_change_nothing(tmp_path: Path) -> None:
    encoder = UNetPyramid((16, 32, 64, 96, 128))
    before = snapshot(encoder)
    unet = unet_segmenter("demo")
    half = {key: value for key, value in unet.state_dict().items() if "downs.3" not in key}
    files = {
        "swin.pt": (mtl_swin_unet("demo", ["seg"]).state_dict(), r"downs.0\S+ is not in the file"),
        "joint.pt": (joint_learning("demo").state_dict(), "it has no segmentation head"),
        "half.pt": (half, r"downs.3\S+ is not in the file"),
        "wide.pt": (
            MultiTaskNet(UNetPyramid((24, 32, 64, 96, 128)), {"seg": nn.Linear(1, 1)}).state_dict(),
            r"is \(32, 24, 3, 3\) in the file, \(32, 16, 3, 3\) in the encoder",
        ),
    }
    for name, (state, words) in files.items():
        with pytest.raises(PretrainedWeightsError, match=words):
            load_segmentation_encoder(encoder, save(tmp_path / name, {"model": state}))
    with pytest.raises(PretrainedWeightsError, match=r"no file .*train the segmentation network first"):
        joint_learning("demo", segmentation_checkpoint=tmp_path / "missing.pt")
    assert equal(snapshot(encoder), before)


def test_bad_arguments_are_reported_together() -> None:
    with pytest.raises(ConfigurationError) as caught:
        joint_learning("demo", 0, pretrained="b3.pth", classifier="wavelet", convention="tensorflow")
    assert all(word in str(caught.value) for word in ("num_markers", "no published weights", "convention is for"))
    with pytest.raises(ConfigurationError, match="Did you mean 'wavelet'"):
        joint_learning("demo", classifier="wavelets")
    with pytest.raises(ConfigurationError, match="size is one of"):
        joint_learning("tiny")


def test_strides_are_brought_together() -> None:
    assert JointEncoder(UNetPyramid((4, 8)), UNetPyramid((4, 8, 16))).stride == 4
