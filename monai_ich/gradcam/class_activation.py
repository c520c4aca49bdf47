# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Grad-CAM of any layer, with channels first or last: MONAI's arithmetic, on gradients that leave no trace."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from monai.networks.nets.swin_unetr import PatchMergingV2, SwinTransformerBlock
from monai.visualize import GradCAM, GradCAMpp
from monai.visualize.class_activation_maps import ModelWithHooks
from monai.visualize.visualizer import default_upsampler
from torch import Tensor, nn

from monai_ich.utils.errors import ConfigurationError, did_you_mean


class HiResCAM(GradCAM):
    """HiResCAM (arXiv 2011.08891): each position weighed by its own gradient, `relu(sum_c dy/dA_c A_c)`.

    Grad-CAM averages the gradient over the positions first, which loses the place where a network reads different
    things at different places; a map that is pooled next, as a CNN's last, gives the same either way.
    """

    def compute_map(self, x: Tensor, class_idx: int | None = None, **kwargs: Any) -> Tensor:  # type: ignore[override]
        """(B, C, H, W) to (B, 1, h, w), not negative."""
        _, (activation,), (gradient,) = self.nn_module(x, class_idx=class_idx)
        return (gradient * activation).sum(1, keepdim=True).relu()


METHODS = {"gradcam": GradCAM, "gradcam++": GradCAMpp, "hirescam": HiResCAM}
METHOD_TITLES = {"gradcam": "Grad-CAM", "gradcam++": "Grad-CAM++", "hirescam": "HiResCAM"}
# Modules whose output is (B, H, W, C), and so is that of everything inside them.
_CHANNELS_LAST = (nn.LayerNorm, nn.Linear, SwinTransformerBlock, PatchMergingV2)


@dataclass(frozen=True, eq=False)
class ActivationMaps:
    """What speaks for a class, and where.

    Attributes:
        output: what the network put out: (B, K), or (B, K, H, W).
        cells: (B, h, w), the map at the layer's own resolution, not negative.
        maps: (B, H, W), the same brought to the input's size bilinearly. Not scaled: a slice's maximum is its own.
    """

    output: Tensor
    cells: Tensor
    maps: Tensor


def activation_maps(
    network: nn.Module,
    images: Tensor,
    *,
    layer: str,
    class_index: int,
    minus: int | None = None,
    sign: int = 1,
    method: str = "gradcam",
) -> ActivationMaps:
    """Grad-CAM (arXiv 1610.02391), Grad-CAM++ (arXiv 1710.11063) or HiResCAM of a batch; slices stay independent.

    With activations A_c (h, w) of the layer and a score y, a class's logit, `gradcam` is
    `relu(sum_c a_c A_c)`, a_c the mean over positions of dy/dA_c.

    The network is run in evaluation mode and in float32, and is left as it was: modes, hooks and the parameters'
    gradients.

    Args:
        network: returns a tensor (B, K) of logits, or (B, K, H, W), whose mean over the positions is the score.
        images: (B, C, H, W), on the network's device.
        layer: name of a module as in `named_modules`. It gives (B, C, h, w), or (B, h, w, C) inside Swin stages and
            their norms; or, as encoders do, a list of maps, whose last one is taken.
        class_index: which of the K.
        minus: a class whose logit is taken off the score. Of two logits under a softmax only the difference, the
            log-odds, means anything; what they have in common never changes the probability, but it would the map.
        sign: -1 for what speaks against the class.
        method: a key of `METHODS`.

    Returns:
        The maps, on the CPU.

    Raises:
        ConfigurationError: there is no such layer or method, the layer's output is no map, or the score does not
            depend on it.
    """
    if method not in METHODS:
        raise ConfigurationError(
            f"method: expected one of {list(METHODS)}, got {method!r}.{did_you_mean(method, METHODS)}"
        )
    recorder = LayerGradients(network, layer, sign, minus)
    # MONAI takes a recorder for the network, but does not say so
    cells = METHODS[method](recorder, layer).compute_map(  # type: ignore[arg-type]
        images, class_idx=class_index
    )  # (B, 1, h, w)
    assert recorder.output is not None  # the network has run
    maps = default_upsampler(images.shape[2:])(cells)
    return ActivationMaps(recorder.output.cpu(), cells[:, 0].cpu(), maps[:, 0].cpu())


class LayerGradients(ModelWithHooks):
    """Activations of one layer and the gradient of a score by them, as MONAI's `GradCAM` and `GradCAMpp` ask for.

    MONAI's own recorder leaves its hooks on the network for ever, switches off in-place activations, clears and fills
    the parameters' gradients, gets nothing from frozen layers, and takes every map for (B, C, h, w). Here the graph
    begins at the layer: its output is handed on as a new leaf, so that what lies before it, frozen or not, is never
    differentiated, and no parameter gets a gradient.
    """

    def __init__(self, network: nn.Module, layer: str, sign: int = 1, minus: int | None = None) -> None:
        """Takes a network that returns a tensor, the layer's name, and of the score the sign and what is taken off.

        Raises:
            ConfigurationError: there is no such layer.
        """
        modules = dict(network.named_modules())
        if layer not in modules or not layer:
            raise ConfigurationError(
                f"layer: expected the name of a module of the network, such as {_examples(modules)}, got {layer!r}."
                f"{did_you_mean(layer, modules)}"
            )
        super().__init__(network, layer)
        self.layer, self.module, self.sign, self.minus = layer, modules[layer], sign, minus
        self.channels_last = is_channels_last(modules, layer)
        self.leaves: list[Tensor] = []
        self.output: Tensor | None = None

    def __call__(
        self, x: Tensor, class_idx: int | None = None, retain_graph: bool = False, **kwargs: Any
    ) -> tuple[Tensor, tuple[Tensor], tuple[Tensor]]:
        """Returns the output, the layer's activations (B, C, h, w) and the gradient of the score, the same shape.

        Raises:
            ConfigurationError: the layer's output is no map, it does not run once, or the score does not depend on it.
        """
        with torch.enable_grad():
            output, leaf = self._run(x, **kwargs)
            logits = output if output.ndim == 2 else output.flatten(2).mean(2)  # (B, K)
            score = self.sign * logits[:, class_idx].sum()
            if self.minus is not None:
                score = score - self.sign * logits[:, self.minus].sum()
        depends = score.requires_grad  # not where all that the score is made of is frozen
        gradients = (
            torch.autograd.grad(score, leaf, retain_graph=retain_graph, allow_unused=True) if depends else (None,)
        )
        gradient = gradients[0]
        if gradient is None:
            raise ConfigurationError(
                f"layer: the score does not depend on {self.layer}: name a layer between the image and the head."
            )
        self.output = output.detach()
        # GradCAMpp multiplies its map by exp(score): a positive factor, which changes nothing but may overflow
        self.score = torch.zeros((), device=x.device)
        return self.output, (self._channels_first(leaf.detach()),), (self._channels_first(gradient),)

    def _run(self, x: Tensor, **kwargs: Any) -> tuple[Tensor, Tensor]:
        """Returns the network's output and the leaf that the layer handed on."""
        self.leaves.clear()
        hook = self.module.register_forward_hook(self._begin_graph)
        try:
            with evaluation_mode(self.model), torch.autocast(x.device.type, enabled=False):
                output = self.model(x, **kwargs)
        finally:
            hook.remove()
        if len(self.leaves) != 1:
            raise ConfigurationError(
                f"layer: {self.layer} runs {len(self.leaves)} times in a pass, expected once: name another layer."
            )
        return output, self.leaves.pop()

    def _begin_graph(self, module: nn.Module, inputs: Any, output: Any) -> Any:
        level = output[-1] if isinstance(output, list) and output else output
        if not isinstance(level, Tensor) or level.ndim != 4 or level.shape[0] != inputs[0].shape[0]:
            shape = tuple(level.shape) if isinstance(level, Tensor) else type(level).__name__
            raise ConfigurationError(
                f"layer: {self.layer} gives {shape}, expected a map (B, C, h, w) or (B, h, w, C): name another layer."
            )
        leaf = level.detach().clone().requires_grad_()
        self.leaves.append(leaf)
        handed_on = leaf.clone()  # what follows may work in place, which a leaf does not allow
        return [*output[:-1], handed_on] if isinstance(output, list) else handed_on

    def _channels_first(self, tensor: Tensor) -> Tensor:
        return tensor.permute(0, 3, 1, 2).contiguous() if self.channels_last else tensor


def is_channels_last(modules: dict[str, nn.Module], layer: str) -> bool:
    """Whether a module's output is (B, h, w, C): a LayerNorm, a linear layer, or Swin's blocks and what is in them.

    >>> modules = {"": nn.Identity(), "norm": nn.LayerNorm(8), "conv": nn.Conv2d(1, 8, 3)}
    >>> is_channels_last(modules, "norm"), is_channels_last(modules, "conv")
    (True, False)
    """
    parts = layer.split(".")
    above = [modules[".".join(parts[:depth])] for depth in range(1, len(parts) + 1)]
    return any(isinstance(module, _CHANNELS_LAST) for module in above)


@contextmanager
def evaluation_mode(network: nn.Module) -> Iterator[None]:
    """Puts a network into evaluation mode, and every part of it back into its own."""
    modes = {module: module.training for module in network.modules()}
    network.eval()
    try:
        yield
    finally:
        for module, mode in modes.items():
            module.training = mode


def _examples(modules: dict[str, nn.Module]) -> str:
    names = [name for name in modules if name]
    return ", ".join(names[:2] + names[-1:])
