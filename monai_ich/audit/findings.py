# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""What a check of a data set says: how grave it is, in one sentence, what to do, and where to look."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class Severity(StrEnum):
    """In ascending order. `SKIPPED`: could not be checked; `WARNING`: goes with every result; `FATAL`: voids them."""

    PASSED = "passed"
    SKIPPED = "skipped"
    WARNING = "warning"
    FATAL = "fatal"


@dataclass(frozen=True)
class Finding:
    """One result of one check.

    It is printed, and written to reports that people share: it may name slices, patients and studies by the manifest's
    pseudonyms, and nothing else of them, no path and no cell of a header.

    Attributes:
        check: which check, a heading of `docs/audit.md`.
        severity: how grave.
        summary: what was found, in a sentence with its numbers.
        remedy: what to do; empty when there is nothing to do.
        examples: a few rows to look at, {column: value} each, of the same columns.
    """

    check: str
    severity: Severity
    summary: str
    remedy: str = ""
    examples: tuple[Mapping[str, Any], ...] = field(default=())


def worst(findings: Iterable[Finding]) -> Severity:
    """The gravest severity; `PASSED` of none.

    >>> worst([Finding("masks", Severity.WARNING, ""), Finding("power", Severity.PASSED, "")]).value
    'warning'
    """
    order = list(Severity)
    return max((finding.severity for finding in findings), key=order.index, default=Severity.PASSED)
