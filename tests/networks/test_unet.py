# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""The U-Net, cut in two, is MONAI's BasicUNet."""

from __future__ import annotations

import pytest
import torch
from monai.networks.nets import BasicUNet
from networks_support import State, count, randomise, standardised

from monai_ich.networks import PyramidUNetDecoder, UNetPyramid, unet_segmenter
from monai_ich.utils.errors import ConfigurationError


def from_basic_unet(state: State) -> State:
    """BasicUNet's keys to those of `unet_segmenter`."""
    renamed = {}
    for key, value in state.items():
        module, _, rest = key.partition(".")
        kind, _, number = module.partition("_")
        if kind == "conv":
            renamed[f"encoder.first.{rest}"] = value
        elif kind == "down":
            renamed[f"encoder.downs.{int(number) - 1}.{rest}"] = value
        elif kind == "upcat":
            renamed[f"heads.seg.ups.{int(number) - 1}.{rest}"] = value
        else:
            renamed[f"heads.seg.projection.{rest}"] = value
    return renamed


def test_numbers_are_those_of_basic_unet() -> None:
    theirs = BasicUNet(2, 1, 2, (16, 32, 64, 96, 128, 16), act=("relu", {"inplace": True}), norm="batch", bias=False)
    randomise(theirs)
    ours = unet_segmenter("demo")
    ours.load_state_dict(from_basic_unet(theirs.state_dict()))
    image = torch.rand(2, 1, 64, 96)
    torch.testing.assert_close(ours(image)["seg"], theirs(standardised(image)), rtol=1e-4, atol=1e-4)
    with torch.inference_mode():  # after a batch, with the running statistics that it moved
        torch.testing.assert_close(ours.eval()(image)["seg"], theirs.eval()(standardised(image)), rtol=1e-4, atol=1e-4)


def test_default_is_the_published_size() -> None:
    with torch.device("meta"):
        network = unet_segmenter()
        basic = BasicUNet(2, 1, 2, (64, 128, 256, 512, 1024, 64), norm="batch", bias=False)
    assert count(network) == count(basic)
    assert network.encoder.channels == (64, 128, 256, 512, 1024)


def test_the_decoder_uses_every_level() -> None:
    torch.manual_seed(0)
    decoder = PyramidUNetDecoder(2, (4, 8, 16)).eval()
    pyramid = [torch.rand(1, 4, 16, 16), torch.rand(1, 8, 8, 8), torch.rand(1, 16, 4, 4)]
    with torch.inference_mode():
        out = decoder(pyramid)
        for level in range(3):
            changed = [maps * 2 + 1 if at == level else maps for at, maps in enumerate(pyramid)]
            assert not torch.allclose(decoder(changed), out, atol=1e-4)


def test_sides_must_halve_evenly() -> None:
    assert UNetPyramid((4, 8, 16)).stride == 4
    with pytest.raises(ConfigurationError, match="multiples of 4 pixels, but 32 x 34 came"):
        UNetPyramid((4, 8, 16))(torch.zeros(1, 1, 32, 34))
