# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Mutates a manifest and its card, and judges what the reader makes of it; one random source decides everything."""

from __future__ import annotations

import csv
import io
import json
import posixpath
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from monai_ich.data import read_manifest, read_unsplit, refresh_card, write_manifest
from monai_ich.utils.errors import ManifestError, MonaiIchError
from monai_ich.utils.keys import MARKERS

NASTY_CELLS = (
    *("", " ", "0", "1", "00", "-1", "1.0", "1e3", "NaN", "nan", "NA", "None", "True", "inf", "2147483648", "9" * 400),
    *("train", "val", "Train ", "test", "test_a", "testé", " train", "train\t"),
    *("a/b.dcm", "../x", "a/../b", "/etc/passwd", "C:\\x", "a\\b", "//", ".", "a//b.dcm", "a/./b.dcm", "images/"),
    *("a" * 300, "a/" * 2000 + "b", "x" * 140_000, "\0", "a\0b", "\n", "a\nb", 'a"b', "a,b", "'", '"', "=1+1", "#"),
    *(
        "\u0301",
        "é",
        "é",
        "\u202e",
        "\ufeff",
        "\u200b",
        "٣",
        "１",
        "²",
        "\U0001f9e0",
        "p0 ",
        "\xa0p0",
        "\x1b[31m",
        "\r",
    ),
)
NASTY_JSON = (
    *(None, True, 0, -1, 1.5, 10**400, float("nan"), float("inf"), "", "\0", "a" * 70_000, "\ud800", "../..", "~"),
    *([], [40], [40, 80], [40, 0], [float("nan"), 80], [40, float("inf")], [True, 80], ["40", 80], {}, {"name": 1}),
    *([[]], {"name": ["x"]}, "paper"),
)
HARMLESS = ("columns permuted", "CRLF", "byte order mark", "all quoted", "blank lines at the end")


def base_frame() -> pd.DataFrame:
    """Two slices a split, one with and one without hypodensity."""
    rows = [
        {
            "key": f"{split}-{i}",
            "image": f"images/{number}.nii.gz" if number else f"images/{i}.dcm",
            "image_slice": i if number else None,
            "mask": f"masks/{number}.nii.gz",
            "mask_slice": i,
            "patient_id": f"p{number}",
            "study_id": f"s{number}",
            "hospital": "1",
            "split": split,
            **dict.fromkeys(MARKERS, i),
        }
        for number, split in enumerate(("train", "val", "test"))
        for i in range(2)
    ]
    return pd.DataFrame(rows)


def write_base(folder: Path) -> Path:
    """A data set of empty files with its manifest."""
    frame = base_frame()
    for name in {*frame["image"], *frame["mask"]}:
        (folder / "data" / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / "data" / name).touch()
    card: dict[str, Any] = {"name": "Base", "description": "x", "licence": "CC0-1.0", "window_hu": (40, 80)}
    return write_manifest(
        frame, folder / "base.csv", dataset_dir=folder / "data", protocol={"name": "x"}, seed=0, **card
    )


@dataclass
class Draft:
    """A manifest in the making: rows of cells, then bytes; and the card's bytes."""

    rows: list[list[str]]
    card: bytes
    names: list[str] = field(default_factory=list)
    dialect: dict[str, Any] = field(default_factory=lambda: {"lineterminator": "\n"})
    tail: str = ""

    def text(self) -> bytes:
        stream = io.StringIO()
        csv.writer(stream, **self.dialect).writerows(self.rows)
        return (stream.getvalue() + self.tail).encode("utf-8", "surrogatepass")


def _cell(rng: random.Random, draft: Draft) -> None:
    row = rng.choice(draft.rows[1:]) if len(draft.rows) > 1 else draft.rows[0]
    if row:
        row[rng.randrange(len(row))] = rng.choice(NASTY_CELLS)


def _copied_cell(rng: random.Random, draft: Draft) -> None:
    """A cell of another row of the same column: plausible, and so the hardest to notice."""
    if len(draft.rows) > 2:
        one, other = rng.sample(draft.rows[1:], 2)
        column = rng.randrange(min(len(one), len(other)) or 1)
        if column < min(len(one), len(other)):
            one[column] = rng.choice([other[column], other[column] + rng.choice(" 0/\t"), "./" + other[column]])


def _header(rng: random.Random, draft: Draft) -> None:
    header = draft.rows[0]
    if header:
        position = rng.randrange(len(header))
        name = header[position]
        options = [name.upper(), f" {name}", name[:-1], rng.choice(header), *rng.sample(NASTY_CELLS, 3)]
        header[position] = rng.choice(options)


def _columns(rng: random.Random, draft: Draft) -> None:
    position, value, drop = rng.randrange(14), rng.choice(NASTY_CELLS), rng.random() < 0.5
    for row in draft.rows if rng.random() < 0.7 else [rng.choice(draft.rows)]:
        if drop:
            del row[position : position + 1]
        else:
            row.insert(position, value)


def _rows(rng: random.Random, draft: Draft) -> None:
    position = rng.randrange(len(draft.rows))
    kind = rng.randrange(4)
    if kind == 0:
        draft.rows = draft.rows[:position] + draft.rows[position + 1 :] or [[]]
    elif kind == 1:
        draft.rows.insert(position, list(rng.choice(draft.rows)))
    elif kind == 2:
        draft.rows.insert(position, [] if rng.random() < 0.5 else [""] * 13)
    else:
        rng.shuffle(draft.rows)


def _dialect(rng: random.Random, draft: Draft) -> None:
    draft.dialect |= rng.choice(
        [
            {"delimiter": rng.choice(";\t |")},
            {"lineterminator": rng.choice(["\r", "\n\r", "\n\n", "\x0b", "\u2028"])},
            {"quotechar": "'"},
            {"quoting": csv.QUOTE_NONE, "escapechar": "\\"},
            {"doublequote": False, "escapechar": "\\"},
        ]
    )


def _json(rng: random.Random, draft: Draft) -> None:
    try:
        card = json.loads(draft.card)
    except (ValueError, RecursionError):
        return
    if not isinstance(card, dict) or not card:
        return
    key = rng.choice(list(card))
    kind = rng.randrange(5)
    if kind == 0:
        del card[key]
    elif kind == 1:
        card = rng.choice([[card], [], "card", 3, None, {}])
    else:
        card[key] = rng.choice(NASTY_JSON)
    draft.card = json.dumps(card).encode()
    if rng.random() < 0.1:
        deep, digits = "[" * 100_000, b'"seed": ' + b"7" * 5000
        draft.card = rng.choice([deep.encode(), draft.card.decode().encode("utf-16"), draft.card[:-1] + b", " + digits])


MUTATIONS: tuple[Callable[[random.Random, Draft], None], ...] = (
    *(_cell, _cell, _copied_cell, _copied_cell, _header, _columns, _rows, _dialect, _json, _json),
)


def _bytes(rng: random.Random, data: bytes) -> bytes:
    kind = rng.randrange(7)
    where = rng.randrange(len(data) + 1)
    if kind == 0:
        return data[:where]
    if kind == 1:
        return data[:where] + rng.randbytes(rng.randrange(1, 9)) + data[where:]
    if kind == 2:
        return data[:where] + data[where + rng.randrange(1, 9) :]
    if kind == 3:
        return data.decode("utf-8", "replace").encode(
            rng.choice(["utf-16", "utf-16-le", "utf-32", "utf-7", "cp037"]), "replace"
        )
    if kind == 4:
        return rng.choice([b"", b"\xef\xbb\xbf", b"\xef\xbb\xbf\n", b"\n\n", b'"', b"\0" * 99, b"PK\3\4" + data])
    if kind == 5:
        return b"\xef\xbb\xbf" * 2 + data
    flipped = bytearray(data)
    for _ in range(rng.randrange(1, 4)):
        if flipped:
            flipped[rng.randrange(len(flipped))] ^= 1 << rng.randrange(8)
    return bytes(flipped)


def mutate(rng: random.Random, path: Path, base: Path) -> list[str]:
    """Writes a mutated copy of the manifest `base` to `path`; returns what was done, in words."""
    with base.open(newline="") as stream:
        draft = Draft(list(csv.reader(stream)), base.with_suffix(".json").read_bytes())
    for mutation in rng.choices(MUTATIONS, k=rng.choice([0, 1, 1, 1, 2, 3])):
        draft.names.append(mutation.__name__)
        mutation(rng, draft)
    try:
        data = draft.text()
    except csv.Error:  # such cells cannot be written in this dialect
        data = base.read_bytes()
    if rng.random() < 0.25:
        draft.names.append("bytes")
        data = _bytes(rng, data)
    path.write_bytes(data)
    card = draft.card
    if rng.random() < 0.1:
        draft.names.append("bytes of the card")
        card = _bytes(rng, card)
    path.with_suffix(".json").write_bytes(card)
    return draft.names


def rewrite(name: str, path: Path, base: Path) -> None:
    """Writes `base` to `path` in another form that means the same, and refreshes the card."""
    with base.open(newline="") as stream:
        draft = Draft(list(csv.reader(stream)), base.with_suffix(".json").read_bytes())
    if name == "columns permuted":
        draft.rows = [row[5:] + row[:5] for row in draft.rows]
    elif name == "CRLF":
        draft.dialect = {"lineterminator": "\r\n"}
    elif name == "all quoted":
        draft.dialect |= {"quoting": csv.QUOTE_ALL}
    elif name == "blank lines at the end":
        draft.tail = "\n\n" + "," * 12 + "\n"
    path.write_bytes((b"\xef\xbb\xbf" if name == "byte order mark" else b"") + draft.text())
    path.with_suffix(".json").write_bytes(draft.card)
    refresh_card(path)


def judge(path: Path, dataset_dir: Path) -> str:
    """Reads the manifest in every way; returns "read" or "refused".

    Raises:
        AssertionError: what was read is not what the file says, or breaks the schema.
        Exception: any error that is not the project's own.
    """
    outcomes = [_attempt(lambda: read_manifest(path, dataset_dir=dataset_dir).frame, path)]
    outcomes.append(_attempt(lambda: read_unsplit(path).frame, path, splits=False))
    if _attempt(lambda: refresh_card(path), path):
        manifest = _manifest_or_none(path)
        if manifest is not None:
            _check_frame(manifest.frame, path, True)
            _check_card(manifest.card)
            outcomes.append(True)
    return "read" if any(outcomes) else "refused"


def _manifest_or_none(path: Path) -> Any:
    try:
        return read_manifest(path)
    except ManifestError as error:
        _check_message(error, path)
        return None


def _attempt(read: Callable[[], Any], path: Path, splits: bool = True) -> bool:
    try:
        result = read()
    except MonaiIchError as error:
        _check_message(error, path)
        return False
    if isinstance(result, pd.DataFrame):
        _check_frame(result, path, splits)
    return True


def _check_message(error: MonaiIchError, path: Path) -> None:
    assert path.stem in str(error), error
    assert str(error).isascii() or "�" not in str(error)
    str(error).encode()  # it can be printed
    assert len(str(error)) < 60_000, len(str(error))


def _check_frame(frame: pd.DataFrame, path: Path, splits: bool) -> None:
    """Against Python's own csv module, and the schema in other words."""
    rows = [row for row in csv.reader(io.StringIO(path.read_bytes().decode("utf-8-sig"), newline="")) if any(row)]
    header, body = rows[0], rows[1:]
    assert len(frame) == len(body)
    for name in frame.columns:
        column = [row[header.index(name)] for row in body]
        if name == "split" and not splits:
            continue
        if frame[name].dtype == "Int64":
            assert [None if pd.isna(v) else str(v) for v in frame[name]] == [c or None for c in column]
        elif name in MARKERS:
            assert [None if pd.isna(v) else v for v in frame[name]] == [float(c) if c else None for c in column]
        else:
            assert frame[name].tolist() == column
            blanks = name not in ("image", "mask") and any(cell != cell.strip() for cell in column)
            assert not blanks, name
            assert not any("\0" in cell or "\n" in cell for cell in column), name
    assert frame["key"].is_unique
    assert not (frame[["key", "image", "patient_id", "study_id", "hospital"]] == "").any(axis=None)
    if splits:
        plain = frame["image"].map(posixpath.normpath)
        places = frame.assign(image=plain, image_slice=frame["image_slice"].fillna(-1))
        assert (
            not places[["image", "image_slice", "split"]].drop_duplicates().duplicated(["image", "image_slice"]).any()
        )
        assert {"train", "val"} <= set(frame["split"])


def _check_card(card: Any) -> None:
    level, width = card["window_hu"]
    assert abs(level) < 1e9
    assert 0 < width < 1e9
    assert isinstance(card["protocol"].get("name", ""), str)
    assert isinstance(card["dataset_dir"], str)


def prepare(folder: Path) -> Callable[[random.Random], str]:
    """Makes the base files; returns one case of the fuzzer."""
    base = write_base(folder)

    def case(rng: random.Random) -> str:
        mutate(rng, folder / "m.csv", base)
        return judge(folder / "m.csv", folder / "data")

    return case
