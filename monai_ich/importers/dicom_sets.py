# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Imports the two public sets of DICOM series with a table of labels: RSNA 2019 and CQ500."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
from pydicom.dataset import Dataset

from monai_ich.importers.assembly import Card, ImportResult
from monai_ich.importers.dicom import DicomRequest, Tree, import_tree
from monai_ich.importers.item_records import Refusal
from monai_ich.importers.pseudonyms import Pseudonyms, PublishedNames
from monai_ich.importers.public_tables import REMEDY, read_public_table, whole_numbers
from monai_ich.importers.redaction import Redactor
from monai_ich.importers.scanning import Names, ScanOptions, names_in_header
from monai_ich.importers.series_item import SeriesOptions
from monai_ich.importers.volume_items import PublicRequest
from monai_ich.labels.label_matching import Labels
from monai_ich.utils.errors import ConfigurationError
from monai_ich.utils.keys import ANY_HAEMORRHAGE, HAEMORRHAGE_TYPES

_RSNA = Card(
    "RSNA 2019 intracranial haemorrhage",
    "Head CTs with the types of haemorrhage of each slice; no masks (doi 10.1148/ryai.2020190211).",
    "non-commercial use, with citation; see https://www.kaggle.com/c/rsna-intracranial-hemorrhage-detection",
)
_CQ500 = Card(
    "CQ500",
    "Head CTs read by three radiologists; labels are majority votes on whole studies, repeated on every slice "
    "(arXiv 1803.05854).",
    "CC BY-NC-SA 4.0; see http://headctstudy.qure.ai/dataset",
)

# The columns of reads.csv, after R1:, R2: and R3:.
_CQ500_LABELS = {
    "ICH": ANY_HAEMORRHAGE,
    "IPH": HAEMORRHAGE_TYPES["intraparenchymal"],
    "IVH": HAEMORRHAGE_TYPES["intraventricular"],
    "SDH": HAEMORRHAGE_TYPES["subdural"],
    "EDH": HAEMORRHAGE_TYPES["epidural"],
    "SAH": HAEMORRHAGE_TYPES["subarachnoid"],
    "ChronicBleed": "label_chronic_bleed",
    "Fracture": "label_fracture",
    "CalvarialFracture": "label_calvarial_fracture",
    "MassEffect": "label_mass_effect",
    "MidlineShift": "label_midline_shift",
}
_READERS = ("R1", "R2", "R3")
# Series of CQ500 that are no plain brain reconstruction, by the name of their folder. "4cc sec 150cc" is an injection,
# 150 ml at 4 ml/s. CECT is contrast-enhanced CT, and a "C" of its own stands for contrast, too.
_CONTRAST = (
    r"post|(?<!non )(?<!non-)(?<!pre )contrast|\d\s*cc\b|\bcc sec|\bcect\b|\bc\+?$|\boral\b|\bi\.?v\b|angio|\bcta\b"
)
_NOT_PLAIN = re.compile(rf"bone|sag|cor\b|coronal|mpr|mip|{_CONTRAST}", re.I)
_PLAIN = re.compile(r"plain|pre contrast|non.?contrast", re.I)
# A series that covers less of the head than this share of what the case's longest one covers is a fragment.
_LEAST_COVERAGE = 1 / 3


def import_rsna(request: PublicRequest) -> ImportResult:
    """Imports `stage_2_train` with `stage_2_train.csv`; series with missing slices are taken too.

    Raises:
        ConfigurationError: the folder is not the data set, or its table is not as published.
    """
    source = request.source.resolve()
    request.refuse_without_source(source / "stage_2_train")
    request.refuse_without_source(source / "stage_2_train.csv")
    pseudonyms = PublishedNames()
    labels = read_rsna_labels(source / "stage_2_train.csv", pseudonyms)
    table = source / "stage_2_train.csv"
    return _import_set(request, source / "stage_2_train", _RSNA, labels, names_of_rsna, "rsna", table)


def names_of_rsna(dataset: Dataset, path: Path) -> Names:
    """Labels name the file; patient, study and series are pseudonyms in the header."""
    return replace(names_in_header(dataset, path), instance=path.stem)


def read_rsna_labels(path: Path, pseudonyms: Pseudonyms) -> Labels:
    """Six rows an image, `<image>_<type>,0|1`, become one with six labels; rows that are there twice count once.

    Raises:
        ConfigurationError: a row has no type, a label is not 0 or 1, or rows contradict each other.
    """
    table = read_public_table(path, ("ID", "Label"), {"ID": str, "Label": "Int8"})
    kinds = {"any": ANY_HAEMORRHAGE, **HAEMORRHAGE_TYPES}
    # by regular expressions, which run in native code: the release has 4.5 million rows
    image = table["ID"].str.replace(r"_[a-z]+$", "", regex=True)
    kind = pd.Index(list(kinds)).get_indexer(table["ID"].str.replace(r"^.*_", "", regex=True))  # -1: another kind
    unknown = kind < 0
    twice = table["ID"].duplicated()
    if unknown.any() or twice.any():
        raise ConfigurationError(
            f"{path.name}: {int(unknown.sum())} rows end in no type of haemorrhage ({', '.join(kinds)}), and "
            f"{int(twice.sum())} contradict another row. {REMEDY}"
        )
    whole_numbers(table, ("Label",), path, most=1)
    number, images = pd.factorize(image)
    cells = np.full((len(images), len(kinds)), np.nan)
    cells[number, kind] = table["Label"].to_numpy(float, na_value=np.nan)
    tokens = pd.Index([pseudonyms.token("instance", str(name)) for name in images])
    rows = pd.Series(image.drop_duplicates().index + 2, index=tokens)
    return Labels("instance", pd.DataFrame(cells, index=tokens, columns=list(kinds.values())), None, rows)


def import_cq500(request: PublicRequest, slices: str = "thick") -> ImportResult:
    """Imports one plain series a case, and the majority vote of `reads.csv`.

    Args:
        request: as for every public set.
        slices: where a case has several plain series, take the one with "thick" (fewest) or "thin" (most) slices.

    Raises:
        ConfigurationError: the folder is not the data set, its table is not as published, or `slices` is unknown.
    """
    if slices not in ("thick", "thin"):
        raise ConfigurationError(f"slices is {slices!r}; expected thick or thin")
    source = request.source.resolve()
    request.refuse_without_source(source / "reads.csv")
    pseudonyms = PublishedNames()
    labels = read_cq500_labels(source / "reads.csv", pseudonyms)
    names = partial(names_of_cq500, source)
    choose = partial(choose_plain, source, slices)
    return _import_set(request, source, _CQ500, labels, names, "cq500", source / "reads.csv", choose)


def cq500_case(text: str) -> str:
    """The case's name in one spelling.

    >>> cq500_case("CQ500CT310 CQ500CT310"), cq500_case("CQ500-CT-310"), cq500_case("notes")
    ('CQ500-CT-310', 'CQ500-CT-310', '')
    """
    found = re.search(r"CQ500-?CT-?(\d{1,9})", text)
    return f"CQ500-CT-{int(found[1])}" if found else ""


def names_of_cq500(source: Path, dataset: Dataset, path: Path) -> Names:
    """The case is named by its folder; every case is one patient with one study."""
    case = cq500_case(path.relative_to(source).parts[0]) or str(dataset.StudyInstanceUID)
    return replace(names_in_header(dataset, path), patient=case, study=case)


def choose_plain(source: Path, slices: str, tree: Tree) -> Tree:
    """Leaves one plain, soft-tissue series a case; bone and contrast series go, told by their folders' names."""
    cases: dict[str, dict[str, str]] = {}
    for series, entries in tree.series.items():
        cases.setdefault(entries[0]["study"], {})[series] = entries[0]["path"].parent.name
    kept, refused = {}, list(tree.refused)
    without: set[str] = set()
    for folders in cases.values():
        fit = [series for series, folder in folders.items() if not _NOT_PLAIN.search(folder)]
        fit = [series for series in fit if _PLAIN.search(folders[series])] or fit
        if not fit:
            path = tree.series[next(iter(folders))][0]["path"].relative_to(source)
            reason = f"none of its series is plain: {', '.join(sorted(folders.values()))}"
            refused.append(Refusal(path.parts[0], len(folders), reason, "Nothing: the case has no fit series."))
            without |= folders.keys()
            continue
        fit = _without_fragments(fit, tree)
        by_size = sorted(fit, key=lambda series: (len(tree.series[series]), folders[series]))
        chosen = by_size[0 if slices == "thick" else -1]
        kept[chosen] = tree.series[chosen]
    chosen_series = dict(sorted(kept.items()))
    return replace(tree, series=chosen_series, refused=refused, refused_series=frozenset(without))


def _without_fragments(series: list[str], tree: Tree) -> list[str]:
    """Leaves the series whose slices reach far enough along the patient; those without positions stay."""
    heights = {name: [entry["z_mm"] for entry in tree.series[name]] for name in series}
    reach = {name: max(of_series) - min(of_series) for name, of_series in heights.items() if None not in of_series}
    longest = max(reach.values(), default=0.0)
    return [name for name in series if reach.get(name, longest) >= _LEAST_COVERAGE * longest]


def read_cq500_labels(path: Path, pseudonyms: Pseudonyms) -> Labels:
    """The majority of three readers, for each case.

    Raises:
        ConfigurationError: columns are missing, cells are not 0 or 1, or rows name no case, or one twice.
    """
    wanted = [f"{reader}:{finding}" for reader in _READERS for finding in _CQ500_LABELS]
    table = read_public_table(path, ("name", *wanted))
    readings = whole_numbers(table, wanted, path, most=1)
    votes = {
        label: sum(readings[f"{reader}:{finding}"] for reader in _READERS) >= len(_READERS) / 2
        for finding, label in _CQ500_LABELS.items()
    }
    cases = table["name"].map(lambda name: cq500_case(str(name)))
    nameless, twice = int((cases == "").sum()), int((cases[cases != ""]).duplicated().sum())
    if nameless or twice:
        raise ConfigurationError(
            f"{path.name}: {nameless} rows name no case (CQ500-CT-<number>), and {twice} contradict another row of "
            f"their case. {REMEDY}"
        )
    tokens = pd.Index([pseudonyms.token("study", case) for case in cases])
    cells = pd.DataFrame(votes).astype(float).set_axis(tokens, axis=0)
    return Labels("study", cells, None, pd.Series(range(2, 2 + len(table)), index=tokens))


def _import_set(
    request: PublicRequest,
    source: Path,
    card: Card,
    labels: Labels,
    names: Callable[[Dataset, Path], Names],
    importer: str,
    table: Path,
    choose: Callable[[Tree], Tree] = lambda tree: tree,
) -> ImportResult:
    """Refers to the set where it lies; derived images and gaps are part of what was published and labelled."""
    output = request.output.resolve()
    asked = DicomRequest(
        source, request.manifest, output, card, Path(), positives="all", allow_gaps=True, workers=request.workers
    )
    redactor = Redactor(PublishedNames(), source, is_public=True)
    scan = ScanOptions(allow_derived=True, allow_lossy=True, hospital=importer, names=names)
    options = SeriesOptions(
        source,
        output,
        allow_gaps=True,
        image_values=request.image_values,
        instance_of=lambda dataset, path: names(dataset, path).instance,
    )
    whole = request.source.resolve()
    return import_tree(asked, redactor, scan, options, labels, whole, [table], choose, importer)
