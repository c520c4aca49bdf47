# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Says in sentences how the weights of a file differ from those of a network: what a person needs to find the file."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from torch import Tensor

# A block of a ResNet, a Swin and an EfficientNet: its stage, its number in the stage, and what is inside it.
_BLOCK = re.compile(r"(?P<stage>layer\d+|layers\.\d+|_blocks)(?:\.blocks)?\.(?P<number>\d+)\.(?P<inside>.+)")


def weight_differences(saved: Mapping[str, Tensor], own: Mapping[str, Tensor], unfit: Iterable[str]) -> tuple[str, ...]:
    """Compares a file's tensors with a network's, both under the same names.

    Args:
        saved: the file's tensors.
        own: the network's.
        unfit: names of tensors that both have and whose shapes cannot be brought together.

    Returns:
        One sentence for each kind of difference, with an example: number of blocks, kind of block, number of axes,
        kernel size, width, input channels.
    """
    examples: dict[str, list[str]] = {}
    for name in unfit:
        examples.setdefault(shape_difference(tuple(saved[name].shape), tuple(own[name].shape)), []).append(name)
    sentences = [*_block_counts(saved, own), *_block_kinds(saved, own)]
    for kind, names in examples.items():
        shapes = f"{tuple(saved[names[0]].shape)} in the file and {tuple(own[names[0]].shape)} in the network"
        more = f" (and so of {len(names) - 1} more)" if len(names) > 1 else ""
        sentences.append(f"{names[0]} is {shapes}: {kind}{more}")
    return tuple(sentences)


def shape_difference(saved: tuple[int, ...], own: tuple[int, ...]) -> str:
    """Names what differs between two shapes of one parameter: (out, in, ...kernel), (out, in) or (channels,).

    >>> shape_difference((64, 3, 3, 3), (64, 3, 7, 7)), shape_difference((64, 4, 7, 7), (64, 3, 7, 7))
    ('another kernel size', 'other input channels')
    >>> shape_difference((48, 1, 2, 2, 2), (96, 3, 4, 4))
    'one axis more in the file, as in networks for volumes'
    """
    if len(saved) != len(own):
        more = len(saved) - len(own)
        where = "the file, as in networks for volumes" if more > 0 else "the network"
        return f"{'one axis' if abs(more) == 1 else f'{abs(more)} axes'} more in {where}"
    kinds = ["another kernel size"] if saved[2:] != own[2:] else []
    if saved[0] != own[0]:
        kinds.append("another width")
    elif saved[1:2] != own[1:2]:
        kinds.append("other input channels")
    return " and ".join(kinds)


def _blocks(tensors: Mapping[str, Tensor]) -> dict[str, dict[int, set[str]]]:
    """{stage: {number of the block: modules inside it}}"""
    found: dict[str, dict[int, set[str]]] = {}
    for match in filter(None, map(_BLOCK.fullmatch, tensors)):
        module = match["inside"].rpartition(".")[0]
        found.setdefault(match["stage"], {}).setdefault(int(match["number"]), set()).add(module)
    return found


def _block_counts(saved: Mapping[str, Tensor], own: Mapping[str, Tensor]) -> list[str]:
    theirs, ours = _blocks(saved), _blocks(own)
    if not theirs:
        return []
    counts = {stage: (len(theirs.get(stage, {})), len(blocks)) for stage, blocks in ours.items()}
    differing = {stage: pair for stage, pair in counts.items() if pair[0] != pair[1]}
    if not differing:
        return []
    in_file, in_network = (", ".join(map(str, column)) for column in zip(*differing.values(), strict=True))
    return [f"blocks of {', '.join(differing)}: {in_file} in the file and {in_network} in the network: another depth"]


def _block_kinds(saved: Mapping[str, Tensor], own: Mapping[str, Tensor]) -> list[str]:
    """The first block that both have and whose modules differ."""
    theirs, ours = _blocks(saved), _blocks(own)
    for stage, blocks in ours.items():
        for number in blocks.keys() & theirs.get(stage, {}).keys():
            inside, wanted = theirs[stage][number], blocks[number]
            surplus, lacking = sorted(inside - wanted), sorted(wanted - inside)
            parts = [f"has {', '.join(surplus)}, which the network has not"] if surplus else []
            parts += [f"lacks {', '.join(lacking)}"] if lacking else []
            if parts:
                return [f"block {number} of {stage} in the file {' and '.join(parts)}: another kind of block"]
    return []
