# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""The project's own errors: each says what was expected, what came and what to do."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from pathlib import Path


class MonaiIchError(Exception):
    """Base of every error that is the user's to mend; the command line shows its message without a traceback.

    Programs read the fields, people read `str(error)`. Nothing takes a message apart. An error keeps its fields when a
    worker process sends it back.

    Attributes:
        headline: the message, or, where there are several faults, the line above them.
        faults: one text each, where several faults were found; all of them, also those that the message only counts.
    """

    def __init__(self, headline: str = "", faults: Iterable[str] = (), most: int = 20) -> None:
        """`most` faults at most are spelled out in the message, the rest are counted."""
        self.headline, self.faults, self.most = headline, tuple(faults), most
        super().__init__(headline, self.faults, most)  # what unpickling calls `__init__` with

    @classmethod
    def listing(cls, headline: str, faults: Iterable[str], most: int) -> MonaiIchError:
        """An error of this class with several faults."""
        return cls(headline, faults, most)

    def __str__(self) -> str:
        lines = [self.headline, *(f"  - {fault}" for fault in self.faults[: self.most])]
        if len(self.faults) > self.most:
            lines.append(f"  ... and {len(self.faults) - self.most} more")
        return "\n".join(lines)


class ConfigurationError(MonaiIchError):
    """A configuration key is unknown, or a value is of the wrong kind."""


class ManifestError(MonaiIchError):
    """A manifest, or a file that it names, is not what the schema asks for."""


class ImageReadError(MonaiIchError):
    """An image or mask file is missing, unreadable, or not a CT in HU.

    Attributes:
        path: the file; None where the error lists the faults of several.
        fault: what is wrong with it, without its path and without a full stop.
        remedy: what to do, a sentence; "" where `fault` says it all.

    >>> str(ImageReadError("a.dcm", "RescaleSlope is missing", "Export the original slice."))
    'a.dcm: RescaleSlope is missing. Export the original slice.'
    """

    def __init__(
        self,
        path: Path | str | None,
        fault: str,
        remedy: str = "",
        faults: Iterable[str] = (),
        most: int = 20,
    ) -> None:
        headline = fault if path is None else f"{path}: {fault}. {remedy}".rstrip()
        super().__init__(headline, faults, most)
        self.path, self.fault, self.remedy = None if path is None else Path(path), fault, remedy
        self.args = (path, fault, remedy, self.faults, most)

    @classmethod
    def listing(cls, headline: str, faults: Iterable[str], most: int) -> MonaiIchError:
        return cls(None, headline, faults=faults, most=most)


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


def first_line(error: BaseException) -> str:
    """The first line of what a library's error says, or its class where it says nothing.

    >>> first_line(OSError("no such host\\nTraceback ...")), first_line(EOFError())
    ('no such host', 'EOFError')
    """
    return next(iter(str(error).splitlines()), "") or type(error).__name__


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
        raise error.listing(self.headline, self.faults, self.most)
