# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""What a table of labels would give, from the headers alone: nothing is written, and no pixel is read."""

from __future__ import annotations

import secrets
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from monai_ich.importers.assembly import label_counts
from monai_ich.importers.balance_sheet import Balance
from monai_ich.importers.dicom import DicomRequest, check_request, labels_of_tree, request_scan, scan_tree
from monai_ich.importers.pseudonyms import Pseudonyms
from monai_ich.importers.redaction import Redactor
from monai_ich.labels.label_matching import LabelRows, Labels, label_rows, unused_rows
from monai_ich.labels.label_tables import read_labels
from monai_ich.utils.errors import ConfigurationError


@dataclass(frozen=True, eq=False)
class LabelPreview:
    """What a table of labels is, and which images it is about.

    Attributes:
        labels: by the names that the images have.
        rows: what becomes of the table's rows.
        unmatched: numbers of the rows whose name no image has.
        named: names at the labels' level that the images have, and `labelled`: those of them that the table has.
        counts: label -> positive, negative and unknown rows among those that are used.
        refused, slices: files that cannot be used, and those that can, by their headers.
    """

    labels: Labels
    rows: LabelRows
    unmatched: list[int]
    named: int
    labelled: int
    counts: Mapping[str, tuple[int, int, int]]
    refused: int
    slices: int


def preview_labels(request: DicomRequest) -> LabelPreview:
    """Reads the table and the headers, and matches them.

    The key of the pseudonyms is neither read nor made: another one, which is forgotten, serves as well.

    Raises:
        ConfigurationError, ManifestError: as `import_dicom` does; there is no table; nothing matches.
    """
    check_request(request, writes=False)
    if request.labels is None:
        raise ConfigurationError("a dry run shows what a table of labels gives; name the table with --labels")
    pseudonyms = Pseudonyms(secrets.token_bytes(32))
    labels = read_labels(request.labels, pseudonyms, request.columns, request.table)
    with tempfile.TemporaryDirectory(prefix="monai_ich_") as progress:
        redactor = Redactor(pseudonyms, request.source.resolve())
        output = request.output.resolve()
        tree = scan_tree(redactor, request_scan(request), Path(progress), request.workers, Balance(), skip=(output,))
    labels = labels_of_tree(labels, tree)
    present = tree.names(labels.level)
    rows = label_rows(present, labels)
    assert rows is not None  # a table was read
    used = labels.cells[labels.cells.index.isin(list(present))]
    return LabelPreview(
        labels=labels,
        rows=rows,
        unmatched=[*unused_rows(present, labels), *unused_rows(present, labels, ambiguous=True)],
        named=len(present),
        labelled=len(used),
        counts={name: label_counts(used[name]) for name in used},
        refused=sum(entry.files for entry in tree.refused),
        slices=sum(map(len, tree.series.values())),
    )
