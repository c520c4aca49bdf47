# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""The project's own errors: each says what was expected, what came and what to do."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class MonaiIchError(Exception):
    """Base of every error that is the user's to mend; the command line shows its message without a traceback."""


class ConfigurationError(MonaiIchError):
    """A configuration key is unknown, or a value is of the wrong kind."""


class ManifestError(MonaiIchError):
    """A manifest, or a file that it names, is not what the schema asks for."""


class ImageReadError(MonaiIchError):
    """An image or mask file is missing, unreadable, or not a CT in HU."""


class CacheError(MonaiIchError):
    """The cache's folder cannot be written to, or its disk is full."""


class PretrainedWeightsError(MonaiIchError):
    """A weights file is missing, of an unknown layout, or fits the network less than expected."""


class RunDirectoryError(MonaiIchError):
    """A run's directory cannot be resumed, evaluated or written to as asked."""


class ComparisonError(MonaiIchError):
    """Predictions cannot be put into one table: other slices, another manifest or other settings."""


class ExportError(MonaiIchError):
    """A run cannot be exported, or an exported file does not compute what the network does."""


def shown(value: object, longest: int = 120) -> str:
    """The representation of a value for a message; a long one is cut.

    >>> shown("traim"), shown("x" * 9, longest=4)
    ("'traim'", "'xxx...")
    """
    return cut(repr(value), longest)


def cut(text: str, longest: int = 400) -> str:
    """A text for a message, no longer than that; for words of a library, which may quote a damaged file.

    >>> cut("too long", longest=3)
    'too...'
    """
    return text if len(text) <= longest else f"{text[:longest]}..."


def did_you_mean(name: str, options: Iterable[str]) -> str:
    """Returns " Did you mean 'x'?" for the option nearest to `name`, or an empty string when none is near.

    >>> did_you_mean("lrr", ["lr", "seed"])
    " Did you mean 'lr'?"
    >>> did_you_mean("zzz", ["lr", "seed"])
    ''
    """
    options = list(options)
    if len(name) > 2 * max(map(len, options), default=0):
        return ""  # too long to be near, and slow to compare
    near = difflib.get_close_matches(name, options, n=1, cutoff=0.6)
    return f" Did you mean {near[0]!r}?" if near else ""


class FaultList:
    """Collects the faults of one input, so that all are reported together rather than one a run.

    >>> faults = FaultList("2 rows of x.csv cannot be used")
    >>> faults.raise_if_any(ManifestError)
    >>> faults.add("row 3: label is 7, expected 0, 1 or empty")
    >>> faults.raise_if_any(ManifestError)
    Traceback (most recent call last):
        ...
    monai_ich.utils.errors.ManifestError: 2 rows of x.csv cannot be used
      - row 3: label is 7, expected 0, 1 or empty
    """

    def __init__(self, headline: str, most: int = 20) -> None:
        """`headline` opens the message; at most `most` faults are spelled out, the rest are counted."""
        self.headline = headline
        self.most = most
        self.faults: list[str] = []

    def add(self, fault: str) -> None:
        self.faults.append(fault)

    def __len__(self) -> int:
        return len(self.faults)

    def raise_if_any(self, error: type[MonaiIchError]) -> None:
        """Raises `error` with every collected fault; does nothing when there are none."""
        if not self.faults:
            return
        shown = [f"  - {fault}" for fault in self.faults[: self.most]]
        if len(self.faults) > self.most:
            shown.append(f"  ... and {len(self.faults) - self.most} more")
        raise error("\n".join([self.headline, *shown]))
