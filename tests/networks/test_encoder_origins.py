# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""What a network's encoders began from: written down by what fills them, and kept with the weights."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
import torch
from networks_support import save

from monai_ich.networks import joint_learning, pretrained_files, resnet_classifier, unet_segmenter
from monai_ich.networks.encoder_origins import ORIGINS, encoder_origins, origins_text

RESNET = {"size": "demo", "unet_encoder": "resnet34"}


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    return save(tmp_path / "mine.pth", resnet_classifier("demo").encoder.state_dict())


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()[:12]


def test_a_file_is_named_without_its_folder(weights: Path) -> None:
    network = unet_segmenter(**RESNET, pretrained=weights)
    assert encoder_origins(network) == {"encoder": f"ResNetPyramid from mine.pth (sha256 {digest(weights)})"}
    assert origins_text(encoder_origins(unet_segmenter(**RESNET))) == "encoder: ResNetPyramid from random weights"


def test_a_known_name_says_imagenet(weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pretrained_files, "hf_hub_download", lambda *_, **__: str(weights))
    text = origins_text(encoder_origins(unet_segmenter(**RESNET, pretrained="resnet34")))
    assert text == f"encoder: ResNetPyramid from resnet34, ImageNet (sha256 {digest(weights)})"
    address = "hf://owner/repository/file.pth"
    assert f"from {address} (sha256" in origins_text(encoder_origins(unet_segmenter(**RESNET, pretrained=address)))


def test_a_joint_network_names_both_and_what_the_segmentation_run_began_from(weights: Path, tmp_path: Path) -> None:
    segmenter = unet_segmenter(**RESNET, pretrained=weights)
    content = {"model": segmenter.state_dict(), "epoch": 1}
    former = save(tmp_path / "former.pt", content)
    best = save(tmp_path / "best.pt", {**content, ORIGINS: encoder_origins(segmenter)})
    origins = encoder_origins(joint_learning(**RESNET, segmentation_checkpoint=best))
    assert origins == {
        "frozen": f"ResNetPyramid from mine.pth (sha256 {digest(weights)}), then trained to segment",
        "trainable": "EfficientNetPyramid from random weights",
    }
    frozen = encoder_origins(joint_learning(**RESNET, segmentation_checkpoint=former))["frozen"]
    assert frozen == "ResNetPyramid from weights that were not recorded, then trained to segment"


def test_it_is_no_weight_and_survives_reading(weights: Path) -> None:
    network = unet_segmenter(**RESNET, pretrained=weights)
    assert network.state_dict().keys() == unet_segmenter(**RESNET).state_dict().keys()
    path = save(weights.with_name("best.pt"), {ORIGINS: encoder_origins(network)})
    assert torch.load(path, weights_only=True)[ORIGINS] == encoder_origins(network)
