# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Attributes as a user names them, such as `head_holder=yes`: which slices have one, and which of its values."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import pandas as pd

from monai_ich.utils.errors import ConfigurationError, FaultList, did_you_mean, shown
from monai_ich.utils.keys import ATTRIBUTE, Key, attributes_among, is_attribute

# Two values of which everybody knows which one means "with".
OPPOSITES = ({"no", "yes"}, {"0", "1"}, {"false", "true"})
FORMS = "head_holder=yes (a value), clot_volume_ml:10:25 (limits of bins), or hospital (values alone)"


@dataclass(frozen=True)
class Attribute:
    """What may go with a marker without being one, as a user names it.

    Attributes:
        name: of the column `attribute_<name>`; or `hospital`.
        present: the value that counts as "with" (a nuisance that is there); "" where no value does.
        limits: of a number's bins, rising. A bin holds its lower limit. Numbers in the last bin count as "with".
    """

    name: str
    present: str = ""
    limits: tuple[float, ...] = ()

    @property
    def column(self) -> str:
        """The column of a table of predictions."""
        return self.name if self.name == Key.HOSPITAL else ATTRIBUTE + self.name

    @property
    def text(self) -> str:
        """As a user writes it."""
        bins = "".join(f":{limit:g}" for limit in self.limits)
        return self.name + (bins or (f"={self.present}" if self.present else ""))

    @property
    def label(self) -> str:
        """The text as a part of a metric's name.

        >>> Attribute("clot_volume_ml", limits=(10.0, 25.0)).label
        'clot_volume_ml_10_25'
        """
        return re.sub(r"[^a-zA-Z0-9]+", "_", self.text).strip("_")

    def values(self, texts: Iterable[str]) -> np.ndarray:
        """The value of each slice, as text (N,): the cell, or the name of its bin; "" where it is unknown.

        >>> Attribute("clot_volume_ml", limits=(10.0,)).values(["3", "10", ""])
        array(['<10', '>=10', ''], dtype=object)

        Raises:
            ConfigurationError: bins are asked for, and a cell is no finite number.
        """
        cells = pd.Series(list(texts), dtype=object).fillna("").astype(str)
        if not self.limits:
            return cells.to_numpy(dtype=object)
        numbers = pd.to_numeric(cells.where(cells != ""), errors="coerce")
        wrong = cells[(cells != "") & ~np.isfinite(numbers)].unique()
        if len(wrong):
            raise ConfigurationError(
                f"attribute {self.text}: expected numbers in {self.column}, got {', '.join(map(shown, wrong[:3]))}; "
                f"values that are no numbers have no bins"
            )
        bins = np.array([*self.bins, ""], dtype=object)
        places = np.where(cells == "", len(bins) - 1, np.digitize(numbers, self.limits))
        return bins[places]

    @property
    def bins(self) -> list[str]:
        """Names of the bins, from low to high; none without limits."""
        if not self.limits:
            return []
        between = [f"{low:g} to {high:g}" for low, high in pairwise(self.limits)]
        return [f"<{self.limits[0]:g}", *between, f">={self.limits[-1]:g}"]

    def named(self, value: str) -> str:
        """A value with the attribute's name.

        >>> volume = Attribute("volume", limits=(10.0, 25.0))
        >>> Attribute("holder").named("yes"), [volume.named(name) for name in volume.bins]
        ('holder=yes', ['volume<10', 'volume 10 to 25', 'volume>=25'])
        """
        if not self.limits:
            return f"{self.name}={value}"
        return self.name + value if value[0] in "<>" else f"{self.name} {value}"

    @property
    def value_with(self) -> str:
        """The value that counts as "with"; "" where none does."""
        return self.bins[-1] if self.limits else self.present


def parse_attribute(text: str) -> Attribute:
    """Reads one attribute as a user writes it.

    >>> parse_attribute("head_holder=yes")
    Attribute(name='head_holder', present='yes', limits=())
    >>> parse_attribute("clot_volume_ml:10:25").bins
    ['<10', '10 to 25', '>=25']

    Raises:
        ConfigurationError: the text is not one of the forms.
    """
    name, sign, value = text.partition("=")
    name, *limits = name.split(":")
    name = name.strip().removeprefix(ATTRIBUTE)
    value = value.strip()
    faults = FaultList(f"attribute {shown(text)} cannot be used; expected {FORMS}:")
    if name != Key.HOSPITAL and not is_attribute(ATTRIBUTE + name):
        faults.add(f"{shown(name)} is no name of an attribute: lower case, digits and underscores")
    if sign and not value:
        faults.add("the value behind '=' is missing")
    if sign and limits:
        faults.add("a value and limits of bins cannot be given together")
    numbers = [_number(limit) for limit in limits]
    rising = all(low < high for low, high in pairwise(numbers))
    if not all(map(math.isfinite, numbers)) or not rising:
        faults.add(f"the limits of bins must be rising numbers, got {', '.join(map(shown, limits))}")
    faults.raise_if_any(ConfigurationError)
    return Attribute(name, value, tuple(numbers))


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan


def resolve_attribute(attribute: Attribute, texts: Iterable[str]) -> Attribute:
    """The attribute with the value that counts as "with" filled in, where the column's two values say it.

    Of `no`/`yes`, `0`/`1` and `false`/`true` the second one does. A column of more than two values, and `hospital`,
    stays without: its slices are grouped by value, and nothing is compared "with" against "without".

    Args:
        attribute: as it was asked for.
        texts: the column's cells, of all test sets together.

    Raises:
        ConfigurationError: the value is not among the column's, or the column has two values that do not say which one
            is meant.
    """
    known = sorted(set(attribute.values(texts)) - {""})
    if attribute.present and known and attribute.present not in known:
        raise ConfigurationError(
            f"attribute {attribute.text}: {attribute.column} has no value {shown(attribute.present)}; expected one of "
            f"{', '.join(known[:20])}.{did_you_mean(attribute.present, known)}"
        )
    if attribute.value_with or attribute.name == Key.HOSPITAL:
        return attribute
    if set(known) in OPPOSITES:
        return replace(attribute, present=known[1])
    if len(known) == 2:
        either = " or ".join(f"{attribute.name}={value}" for value in known)
        raise ConfigurationError(f"attribute {attribute.text}: say which value counts as with it: {either}")
    return attribute


def known_opposites(frame: pd.DataFrame) -> list[Attribute]:
    """The attributes of a table whose values, `no` and `yes` or alike, say by themselves which one means "with"."""
    found = []
    for column in attributes_among(frame.columns):
        if set(frame[column].unique()) - {""} in OPPOSITES:
            found.append(resolve_attribute(Attribute(column.removeprefix(ATTRIBUTE)), frame[column]))
    return found
