# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Running statistics are estimated anew from an epoch's last batches, and nothing else changes."""

from __future__ import annotations

import copy

import torch
from ignite.engine import Engine, Events
from monai.inferers import SimpleInferer
from monai.utils import CommonKeys
from torch.optim.swa_utils import update_bn

from monai_ich.handlers import RunningStatisticsRefresh
from monai_ich.networks import ClassificationHead, JointEncoder, MultiTaskNet, SwinEncoder, resnet_classifier
from monai_ich.networks.unet import UNetPyramid

BATCHES = [torch.rand(4, 1, 32, 32, generator=torch.Generator().manual_seed(i)) for i in range(5)]


def trained(network: MultiTaskNet, batches: int = 3, epochs: int = 1, refresh: bool = True) -> MultiTaskNet:
    """Trains by one step a batch, which moves the weights so far that a moving average lags."""
    optimizer = torch.optim.SGD(network.parameters(), lr=0.5)

    def step(engine: Engine, images: torch.Tensor) -> dict[str, torch.Tensor]:
        network.train()
        optimizer.zero_grad()
        (network(images)["cls"] - 1).square().mean().backward()
        optimizer.step()
        return {CommonKeys.IMAGE: images}

    trainer = Engine(step)
    trainer.add_event_handler(Events.EPOCH_STARTED, lambda engine: torch.manual_seed(engine.state.epoch))
    if refresh:
        RunningStatisticsRefresh(network, SimpleInferer(), batches).attach(trainer)
    trainer.run(BATCHES, max_epochs=epochs)
    return network


def joint_network() -> MultiTaskNet:
    """A frozen encoder with batch normalisation, a trained one with stochastic depth, and a head that standardises."""
    torch.manual_seed(0)
    swin = SwinEncoder(1, embed_dim=8, depths=(2, 2), num_heads=(1, 2), window_size=4, drop_path_rate=0.5)
    encoder = JointEncoder(UNetPyramid((4, 8)), swin)
    return MultiTaskNet(encoder, {"cls": ClassificationHead(sum(encoder.channels), 2, standardise=True)})


def test_the_head_s_statistics_are_those_of_the_last_batches_under_the_last_weights() -> None:
    network = trained(joint_network(), batches=3)
    network.eval()
    with torch.no_grad():
        pooled = [network.encoder(images)[-1].mean(dim=(2, 3)) for images in BATCHES[-3:]]
    norm = network.heads["cls"].norm
    torch.testing.assert_close(norm.running_mean, torch.stack([p.mean(dim=0) for p in pooled]).mean(dim=0))
    torch.testing.assert_close(norm.running_var, torch.stack([p.var(dim=0) for p in pooled]).mean(dim=0))
    lagging = trained(joint_network(), refresh=False).heads["cls"].norm
    distance = (lagging.running_mean - norm.running_mean) / norm.running_var.sqrt()
    assert distance.abs().max() > 1, "without it the statistics lag by more than a deviation"


def test_layers_inside_a_cnn_are_refreshed_as_torch_does_it() -> None:
    torch.manual_seed(0)
    network = trained(resnet_classifier("demo"), batches=2)
    again = copy.deepcopy(network)
    update_bn(BATCHES[-2:], again)
    torch.testing.assert_close(network.state_dict(), again.state_dict())


def test_training_goes_on_as_without_it() -> None:
    """Weights, the random stream, modes and momenta; and the frozen encoder's statistics."""
    with_it = trained(joint_network(), epochs=2)
    state = torch.get_rng_state()
    without = trained(joint_network(), epochs=2, refresh=False)
    assert torch.get_rng_state().equal(state)
    for name, parameter in without.named_parameters():
        assert parameter.equal(with_it.get_parameter(name)), name
    assert {name: module.training for name, module in with_it.named_modules()} == {
        name: module.training for name, module in without.named_modules()
    }
    assert with_it.heads["cls"].norm.momentum == 0.1
    for name, buffer in joint_network().encoder.frozen.named_buffers():
        assert buffer.equal(with_it.encoder.frozen.get_buffer(name)), name


def test_a_network_without_batch_normalisation_keeps_no_images() -> None:
    swin = SwinEncoder(1, embed_dim=8, depths=(2, 2), num_heads=(1, 2), window_size=4)
    for standardise in (True, False):
        handler = RunningStatisticsRefresh(
            MultiTaskNet(swin, {"cls": ClassificationHead(16, 2, standardise)}), SimpleInferer()
        )
        engine = Engine(lambda *_: None)
        handler.attach(engine)
        assert engine.has_event_handler(handler._keep) is standardise
