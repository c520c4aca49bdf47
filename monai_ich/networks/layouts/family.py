# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""The part that all kinds of encoders share: find the encoder in a file, tell its layout, list what was not used."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from torch import Tensor

from monai_ich.utils.errors import PretrainedWeightsError

# Functions of the geometry and counters, not weights: stored by some versions, never needed.
_DERIVED = re.compile(r"(^|\.)(relative_position_index|attn_mask|num_batches_tracked)$")


@dataclass
class EncoderWeights:
    """The tensors of a file under the keys of our encoder.

    Attributes:
        layout: the layout's name, e.g. `hugging_face`.
        tensors: the encoder's key to the tensor.
        sources: the encoder's key to the file's keys that it was made of.
        unknown: the file's other keys (classifier heads, decoders); derived buffers are not listed.
        presupposes: attributes that the encoder must have for the numbers to be those of the file's own network.
        note: what the file's keys cannot tell, for the receipt.
        decoder: the file's segmentation decoder under the keys of ours, if it has one. Its `presupposes` are attributes
            of the encoder, too.
    """

    layout: str
    tensors: dict[str, Tensor] = field(default_factory=dict)
    sources: dict[str, tuple[str, ...]] = field(default_factory=dict)
    unknown: list[str] = field(default_factory=list)
    presupposes: dict[str, str] = field(default_factory=dict)
    note: str = ""
    decoder: EncoderWeights | None = None

    def put(self, key: str, tensor: Tensor, *sources: str) -> None:
        """Enters one tensor and the file's keys that it was made of."""
        self.tensors[key], self.sources[key] = tensor, sources


def _same(key: str) -> str:
    return key


def _no_resampling(key: str, tensor: Tensor, target: Tensor) -> Tensor | None:
    return None


@dataclass(frozen=True)
class WeightFamily:
    """A kind of encoder that published weights exist for; an encoder class names its own as `weight_family`.

    Attributes:
        name: as a reader knows it.
        layouts: the layouts that are understood, for messages.
        converters: a key that a layout surely has, after any prefix, to the function that renames a layout. It gets
            the encoder's part of the file, without the prefix and without derived buffers.
        input_kernel: key of the kernel that reads the image, whose input channels may be adapted.
        canonical: from a key of the encoder to the name that the converters use.
        resample: (key, the file's tensor, the encoder's) to a tensor of the encoder's shape, or None.
    """

    name: str
    layouts: str
    converters: Mapping[str, Callable[[Mapping[str, Tensor]], EncoderWeights]]
    input_kernel: str
    canonical: Callable[[str], str] = _same
    resample: Callable[[str, Tensor, Tensor], Tensor | None] = _no_resampling

    def convert(self, state: Mapping[str, Tensor]) -> EncoderWeights:
        """Detects the layout by its keys, and renames.

        Raises:
            PretrainedWeightsError: the layout is unknown, or the file holds more than one such encoder.
        """
        prefix, stem = self._find_stem(state)
        weights = self.converters[stem](
            {
                key.removeprefix(prefix): tensor
                for key, tensor in state.items()
                if key.startswith(prefix) and not _DERIVED.search(key)
            }
        )
        used = set()
        for part in filter(None, (weights, weights.decoder)):
            part.sources = {key: tuple(prefix + source for source in sources) for key, sources in part.sources.items()}
            used |= {source for sources in part.sources.values() for source in sources}
        weights.unknown = [key for key in state if key not in used and not _DERIVED.search(key)]
        return weights

    def _find_stem(self, state: Mapping[str, Tensor]) -> tuple[str, str]:
        """The prefix before the encoder's keys, and the key after it that tells the layout."""
        found = [
            (key.removesuffix(stem), stem)
            for key in state
            for stem in self.converters
            if key == stem or key.endswith("." + stem)
        ]
        if len(found) == 1:
            return found[0]
        came = f"{len(found)} of them came ({[prefix for prefix, _ in found]})" if found else f"{list(state)[:4]} came"
        raise PretrainedWeightsError(
            f"Expected the keys of one {self.name} encoder ({self.layouts} layout: "
            f"{' or '.join(map(repr, self.converters))} after any prefix), but {came}: give a {self.name} checkpoint."
        )
