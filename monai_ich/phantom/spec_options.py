# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""A specification from the words of a command line."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from monai_ich.phantom.spec import CounterfactualPairs, PhantomSpec
from monai_ich.utils.errors import ConfigurationError, FaultList, shown
from monai_ich.utils.lists import comma_list


def spec_from_options(
    dials: Sequence[str] = (),
    dials_new: Sequence[str] = (),
    pairs: str | None = None,
    pair_studies: str | None = None,
    studies: str | None = None,
    reversed_studies: str | None = None,
    **fields: Any,
) -> PhantomSpec:
    """Builds a specification; what is not given has its default.

    Args:
        dials: dials of hospitals 1-4, each as `name=value`.
        dials_new: dials of hospitals 5-11, each as `name=value`.
        pairs: the nuisance of the counterfactual pairs.
        pair_studies: counts of their patients in hospitals 1 to 11, separated by commas.
        studies: counts of patients in hospitals 1 to 11, separated by commas.
        reversed_studies: counts of patients of `test_reversed` in hospitals 1 to 4, separated by commas.
        fields: other fields of `PhantomSpec`; None where they are not given.

    Raises:
        ConfigurationError: with every word that cannot be read and every value outside its range.
    """
    faults = FaultList("The phantom cannot be made with these options:")
    given = {name: value for name, value in fields.items() if value is not None}
    given["spurious"] = _dials("--dial", dials, faults)
    given["spurious_new"] = _dials("--dial-new", dials_new, faults)
    if studies is not None:
        given["studies"] = _counts("--studies", studies, PhantomSpec.studies, faults)
    if reversed_studies is not None:
        default = PhantomSpec.reversed_studies
        given["reversed_studies"] = _counts("--reversed-studies", reversed_studies, default, faults)
    wanted = CounterfactualPairs(pairs)
    if pair_studies is not None:
        wanted = replace(wanted, studies=_counts("--pair-studies", pair_studies, wanted.studies, faults))
        if pairs is None:
            faults.add("--pair-studies is given without --pairs, expected the nuisance as well: --pairs head_holder")
    try:
        spec = PhantomSpec(**given, pairs=wanted)
    except ConfigurationError as error:
        for fault in error.faults:
            faults.add(fault)
    faults.raise_if_any(ConfigurationError)
    return spec


def _dials(option: str, words: Sequence[str], faults: FaultList) -> dict[str, float]:
    """The dials from `name=value`; the specification itself refuses unknown names and values outside the range."""
    dials: dict[str, float] = {}
    for word in words:
        name, _, value = word.partition("=")
        if name in dials:
            faults.add(f"{option} gives {name} twice, expected each dial once")
        try:
            dials[name] = float(value)
        except ValueError:
            faults.add(f"{option} is {shown(word)}, expected name=value, such as head_holder=0.9")
    return dials


def _counts(option: str, text: str, default: tuple[int, ...], faults: FaultList) -> tuple[int, ...]:
    """Counts from a list with commas; the default where they cannot be read, so that other faults are found as well."""
    try:
        return tuple(int(word) for word in comma_list(text))
    except (ValueError, ConfigurationError):
        example = ",".join(str(count) for count in default)
        faults.add(f"{option} is {shown(text)}, expected whole numbers separated by commas, such as {example}")
        return default
