# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Running statistics of batch normalisation that belong to the weights of the epoch's end."""

from __future__ import annotations

from collections import deque

import torch
from ignite.engine import Engine, Events
from monai.inferers import Inferer
from monai.networks.utils import eval_mode
from monai.utils import CommonKeys
from torch.nn.modules.batchnorm import _BatchNorm

from monai_ich.handlers.engine_state import output_of
from monai_ich.networks import MultiTaskNet


class RunningStatisticsRefresh:
    """After every epoch estimates the running mean and variance of batch normalisation anew.

    In training a layer normalises by its batch, and keeps a moving average over batches for validation. That average
    is of past weights, and of features with stochastic depth. While the encoder learns fast, it lags: probabilities are
    then shifted, all the same way, so that a good AUC goes with a macro-F1 at a fixed threshold that says nothing.

    So the images of the epoch's last batches go through the network once more, with its weights of now and in
    evaluation mode, and the statistics become the mean over these batches. Weights and training are not touched:
    training never reads the running statistics. Nothing is drawn at random, and an epoch's batches follow from its
    number, so that a resumed run gets the same statistics. With several processes each uses its own share of a batch;
    `GlobalBatchNorm` gathers them. Frozen layers, which are in evaluation mode, keep their statistics. A network
    without batch normalisation costs nothing.

    Attach it to the trainer before the validation handler and the checkpoints.
    """

    def __init__(self, network: MultiTaskNet, inferer: Inferer, batches: int = 16) -> None:
        """
        Args:
            network: the bare network, without `DistributedDataParallel`. Of its heads only those with batch
                normalisation run, if there are any.
            inferer: as in validation, so that features have the same precision.
            batches: how many; 0 leaves the moving average as it is, as in the paper's recipe. Their images
                (B, 1, H, W) stay in memory. On the phantom 16 of 16 images do as well as
                the whole epoch (docs/phantom_results.md).
        """
        normalising = {task: head for task, head in network.heads.items() if _layers(head)}
        self.network = MultiTaskNet(network.encoder, normalising or dict(network.heads.items()))
        self.inferer = inferer
        self.images: deque[torch.Tensor] = deque(maxlen=batches)

    def attach(self, engine: Engine) -> None:
        if self.images.maxlen and _layers(self.network):
            engine.add_event_handler(Events.ITERATION_COMPLETED, self._keep)
            engine.add_event_handler(Events.EPOCH_COMPLETED, self._refresh)

    def _keep(self, engine: Engine) -> None:
        self.images.append(output_of(engine)[CommonKeys.IMAGE])

    def _refresh(self, engine: Engine) -> None:
        layers = [layer for layer in _layers(self.network) if layer.training]
        momenta = [layer.momentum for layer in layers]
        with eval_mode(self.network):
            for layer in layers:
                layer.reset_running_stats()
                layer.momentum = None  # the plain mean over batches
                layer.train()
            for images in self.images:
                self.inferer(images, self.network)
        for layer, momentum in zip(layers, momenta, strict=True):
            layer.momentum = momentum
        self.images.clear()


def _layers(network: torch.nn.Module) -> list[_BatchNorm]:
    return [module for module in network.modules() if isinstance(module, _BatchNorm)]
