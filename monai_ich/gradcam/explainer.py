# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Grad-CAM of a network of this project: which head, which class, and the layer where the map is taken."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from monai_ich.gradcam.class_activation import METHOD_TITLES, METHODS, ActivationMaps, activation_maps
from monai_ich.networks import HeadOutput, JointEncoder, MultiTaskNet, SwinEncoder
from monai_ich.utils.errors import ConfigurationError, FaultList, did_you_mean
from monai_ich.utils.keys import MARKERS, Task, is_label
from monai_ich.utils.probabilities import marker_probabilities

_PREFIX = "network."  # of the network's modules inside `HeadOutput`
HEADS = (Task.CLS.value, Task.SEG.value)


@dataclass(frozen=True)
class GradCAMChoice:
    """What is explained, and where.

    Attributes:
        head: `cls`: the marker's log-odds; `seg`: the haematoma's, averaged over the slice.
        marker: of the classifier; empty for its first.
        layer: a module's name, as in the network's `named_modules`; empty for `default_layer`.
        method: `gradcam` as published, which named known causes best (docs/decisions/0017); `hirescam`, which was never
            empty on the phantom; or `gradcam++`.
        against: what speaks against the marker (or the haematoma) instead of for it.
    """

    head: str = Task.CLS.value
    marker: str = ""
    layer: str = ""
    method: str = "gradcam"
    against: bool = False


def default_layer(network: MultiTaskNet) -> str:
    """Returns the layer where maps are taken: late enough to know the class, early enough to know the place.

    - Swin: the last block of the last stage but two, sides H/8. On the phantom its maps are the ones that lie in the
      haematoma. Later stages mix the positions until a map no longer says where: at H/16 and H/32 maps are empty or
      beside the blood in networks that classify well. After the final LayerNorm, pooling and a linear layer give every
      position the same gradient: the map is the logit's own sum, and mostly that sum's common offset
      (docs/gradcam.md has the figures).
    - CNNs: the encoder's last map, which the classifier pools, as in the paper of Grad-CAM. ResNet: `encoder.layer4`;
      EfficientNet: after the last convolution's activation; Wavelet CNN and U-Net: the last level.
    - Joint systems: the same of the trainable part. What the joint encoder itself gives is pooled already,
      (B, C, 1, 1), and points nowhere. `encoder.frozen` asks for the frozen part's last map.
    """
    of_cnn = "encoder.trainable" if isinstance(network.encoder, JointEncoder) else "encoder"
    return swin_layer(network, 2) or of_cnn


def swin_layer(network: MultiTaskNet, stages_behind: int) -> str:
    """Returns the last block of a Swin's stage that so many stages follow, its first one at most; "" of a CNN.

    Of four stages, 2 is H/8 and 1 is H/16.
    """
    name, encoder = "encoder", network.encoder
    if isinstance(encoder, JointEncoder):
        name, encoder = "encoder.trainable", encoder.trainable
    if not isinstance(encoder, SwinEncoder):
        return ""
    stage = max(len(encoder.depths) - 1 - stages_behind, 0)
    return f"{name}.layers.{stage}.blocks.{encoder.depths[stage] - 1}"


def unwrapped(network: nn.Module) -> nn.Module:
    """Returns the network that `DistributedDataParallel` wraps, or the network itself."""
    return network.module if isinstance(network, DistributedDataParallel) else network


class GradCAMExplainer:
    """A network and what of it is explained.

    Attributes:
        choice: with the marker and the layer filled in.
    """

    def __init__(self, network: nn.Module, markers: Sequence[str], choice: GradCAMChoice) -> None:
        """
        Args:
            network: a `MultiTaskNet`, which `DistributedDataParallel` may wrap.
            markers: names of the classifier's outputs; empty without one.
            choice: what to explain.

        Raises:
            ConfigurationError: with all that is wrong in the choice.
        """
        bare = unwrapped(network)
        if not isinstance(bare, MultiTaskNet):
            raise ConfigurationError(f"network: expected a MultiTaskNet, got {type(bare).__name__}.")
        _check(bare, markers, choice)
        self.markers = tuple(markers)
        marker = choice.marker or next(iter(self.markers), "")
        self.choice = replace(choice, marker=marker, layer=choice.layer or default_layer(bare))
        self.network = HeadOutput(bare, choice.head)
        self.sign = -1 if choice.against else 1
        several = choice.head == Task.CLS and len(self.markers) > 1
        # two logits under a softmax (one marker, or the segmentation) count by their difference
        self.class_index = self.markers.index(self.choice.marker) if several else 1
        self.minus = None if several else 0

    def __call__(self, images: Tensor) -> ActivationMaps:
        """(B, 1, H, W) to the maps, on the CPU.

        Raises:
            ConfigurationError: the layer gives no map, or the head does not depend on it.
        """
        device = next(self.network.parameters()).device
        return activation_maps(
            self.network,
            images.to(device),
            layer=_PREFIX + self.choice.layer,
            class_index=self.class_index,
            minus=self.minus,
            sign=self.sign,
            method=self.choice.method,
        )

    def probabilities(self, output: Tensor) -> Tensor | None:
        """The marker's probability, (B,), from the head's output; None for another head."""
        if self.choice.head != Task.CLS:
            return None
        return marker_probabilities(output, len(self.markers))[:, self.markers.index(self.choice.marker)]

    @property
    def title(self) -> str:
        """What the maps show, in words."""
        side = "against" if self.choice.against else "for"
        what = self.choice.marker if self.choice.head == Task.CLS else "haematoma (segmentation)"
        return f"{METHOD_TITLES[self.choice.method]} {side} {what}, at {self.choice.layer}"


def _check(network: MultiTaskNet, markers: Sequence[str], choice: GradCAMChoice) -> None:
    faults = FaultList("Grad-CAM cannot be made as asked:")
    heads = [head for head in HEADS if head in network.tasks]
    if choice.head not in heads:
        faults.add(
            f"head: expected one of {heads}, which this network has, got {choice.head!r}."
            f"{did_you_mean(choice.head, heads)}"
        )
    # without a classifier, a label still tells the slices of the two kinds apart
    known = markers if choice.head == Task.CLS else MARKERS
    if choice.marker and choice.marker not in known and (choice.head == Task.CLS or not is_label(choice.marker)):
        faults.add(f"marker: expected one of {list(known)}, got {choice.marker!r}.{did_you_mean(choice.marker, known)}")
    names = [name for name, _ in network.named_modules() if name]
    if choice.layer and choice.layer not in names:
        hint = did_you_mean(choice.layer, names)
        faults.add(
            f"layer: expected a module of the network, such as {default_layer(network)}, got {choice.layer!r}.{hint}"
        )
    if choice.layer == "encoder" and isinstance(network.encoder, JointEncoder):
        faults.add(
            "layer: a joint encoder's output is pooled and points nowhere; name encoder.trainable or encoder.frozen"
        )
    if choice.method not in METHODS:
        faults.add(
            f"method: expected one of {list(METHODS)}, got {choice.method!r}.{did_you_mean(choice.method, METHODS)}"
        )
    faults.raise_if_any(ConfigurationError)
