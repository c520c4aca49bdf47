# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""The paper's own Table 1, to stand beside what was measured here.

Hirata and Okita, "Image Recognition Using SwinTransformer and Multitask Learning of SwinUnet" (arXiv 2505.06185), Table
1, on 179 slices of hospitals 1-4 (test A) and 179 of hospitals 5-11 (test B), marker hypodensity. `FOOTNOTES` say what
the paper leaves open.
"""

from __future__ import annotations

from dataclasses import dataclass

from monai_ich.utils.keys import Split

PAPER_MARKER = "hypodensity"
PAPER_SOURCE = "Hirata and Okita, arXiv 2505.06185, Table 1, hypodensity"

_COLUMNS = (
    (Split.TEST_A.value, "iou"),
    *((Split.TEST_A.value, metric) for metric in ("acc", "precision", "recall", "f1", "auc")),
    *((Split.TEST_B.value, metric) for metric in ("acc", "precision", "recall", "f1", "auc")),
)
_FIGURES = """
U-Net                           | .692
Swin-Unet                       | .808
ResNet152                       |    - .901 .655 .333 .692 .804 .822 .126 .095 .504 .511
Swin Transformer                |    - .956 .813 .819 .895 .963 .746 .254 .600 .599 .772
SwinTransformer-tiny            |    - .952 .825 .752 .880 .959 .755 .240 .505 .587 .741
Joint-Learning                  |    - .945 .792 .724 .863 .913 .787 .208 .305 .560 .631
Joint-SwinTransformer           |    - .956 .859 .752 .888 .974 .797 .317 .638 .650 .787
Joint-SwinTransformer-tiny      |    - .953 .857 .724 .879 .950 .782 .287 .581 .626 .788
MTL-Swin-Unet (cls+rec)         |    - .949 .805 .743 .871 .955 .736 .238 .571 .586 .755
MTL-Swin-Unet (cls+seg)         | .815 .956 .823 .800 .893 .967 .757 .256 .648 .617 .788
MTL-Swin-Unet (cls+seg+rec)     | .811 .961 .852 .809 .903 .967 .756 .276 .667 .618 .799
MTL-Swin-Unet-tiny (cls+seg+rec)| .773 .960 .841 .810 .901 .973 .752 .282 .705 .623 .790
"""


def _parsed() -> dict[str, dict[tuple[str, str], float]]:
    table: dict[str, dict[tuple[str, str], float]] = {}
    for line in _FIGURES.strip().splitlines():
        row, figures = line.split("|")
        cells = zip(_COLUMNS, figures.split(), strict=False)  # rows of segmentation alone end after the first
        table[row.strip()] = {column: float(figure) for column, figure in cells if figure != "-"}
    return table


# {row: {(test set, metric): figure}}, rows in the paper's order.
PAPER_TABLE_1 = _parsed()

Place = tuple[str, str, str]  # row, test set, metric


@dataclass(frozen=True)
class Footnote:
    """What a reader must know of some figures.

    Attributes:
        text: plain.
        places: of the figures that it is about.
        mark: the letter that these figures carry; "" for a note about nearly all of them.
    """

    text: str
    places: frozenset[Place] = frozenset()
    mark: str = ""


def _places(*metrics: str) -> frozenset[Place]:
    return frozenset(
        (row, *column) for row, figures in PAPER_TABLE_1.items() for column in figures if column[1] in metrics
    )


# The figures in these texts, and which cells are contradictory, are computed in tests/table/test_published_table.py.
FOOTNOTES = (
    Footnote("The paper does not define its IoU. This figure may be of another definition.", _places("iou"), mark="a"),
    Footnote(
        "The paper does not say that its figures are means of five runs, or that 21 of a test set's 179 slices are "
        "positive. Both are inferred: each of its recalls is a multiple of 1/105 = 1/(5 x 21), except for rounding.",
        _places("acc", "precision", "recall", "f1", "auc"),
    ),
    Footnote(
        "The paper does not define its f1. That it is macro F1 is inferred from its precision and recall.",
        _places("f1"),
    ),
    Footnote(
        "This precision contradicts the paper's own accuracy (.757) and recall (.648). With 21 positives of 179, these "
        "give .274. Together with its f1 (.617), no runs with these means have a mean precision below .271.",
        frozenset({("MTL-Swin-Unet (cls+seg)", Split.TEST_B.value, "precision")}),
        mark="b",
    ),
)


def paper_figure(row: str, test_set: str, metric: str, marker: str) -> float | None:
    """Returns the paper's figure, or None where it has none.

    >>> paper_figure("Swin Transformer", "test_hospitals_5_11", "auc", "hypodensity")
    0.772
    """
    return PAPER_TABLE_1.get(row, {}).get((test_set, metric)) if marker in ("", PAPER_MARKER) else None


def in_paper_order(rows: list[str]) -> list[str]:
    """Sorts rows as Table 1 does; rows that it does not have follow by name."""
    order = list(PAPER_TABLE_1)
    return sorted(rows, key=lambda row: (order.index(row) if row in order else len(order), row))
