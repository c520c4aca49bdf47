# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Mutates the tree of a hospital's export or of a public set, and judges what its importer makes of it."""

from __future__ import annotations

import csv
import os
import random
import shutil
import struct
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import pandas as pd
from folders_mutations import ODD_NAMES
from hospital_trees import MASKS, TABLES, hospital, hospital_request
from images_mutations import mutate_bytes
from importer_support import PLANTED, count_files, files_by_fate, read, stored_pixels
from manifest_mutations import NASTY_CELLS
from openpyxl.utils.exceptions import IllegalCharacterError
from public_sets import bhsd, cq500, instance, jpeg, physionet, rsna

from monai_ich.importers import (
    ImportResult,
    PublicRequest,
    import_bhsd,
    import_cq500,
    import_dicom,
    import_instance,
    import_physionet,
    import_rsna,
)
from monai_ich.importers.public_tables import CSV_ERRORS
from monai_ich.transforms import LoadSlicesd
from monai_ich.utils.errors import MonaiIchError
from monai_ich.utils.keys import IMAGE_VALUES, MASK_LABELS

Import = Callable[[Path], ImportResult]
PUBLIC_SETS = {
    "physionet": (physionet, import_physionet),
    "jpeg": (jpeg, import_physionet),
    "rsna": (rsna, import_rsna),
    "cq500": (cq500, import_cq500),
    "bhsd": (bhsd, import_bhsd),
    "instance": (instance, import_instance),
}
NUMBERS = ("nan", "NaN", "inf", "-inf", "1e400", "9" * 400, "-1", "0", "2", "1.0", "1.5", "0x10", "1e3", "True", " 1 ")
FILE_KINDS = (
    *("bytes", "bytes", "bytes", "emptied", "removed", "copied", "renamed", "moved"),
    *("folder in its place", "link to itself", "dangling link", "link to a folder", "exchanged"),
)
TABLE_KINDS = (
    *("cell", "cell", "cell", "number", "number", "columns exchanged", "column removed", "column renamed", "row twice"),
    *("row removed", "row short", "row long", "header only", "header removed", "encoding", "delimiter", "quote", "NUL"),
)


def mutate(rng: random.Random, root: Path) -> list[str]:
    """Changes one to three things in a tree; returns what was done."""
    done = []
    for _ in range(rng.choice([1, 1, 2, 3])):
        files = sorted(path for path in root.rglob("*") if path.is_file() and not path.is_symlink())
        tables = [path for path in files if path.suffix in (".csv", ".xlsx")]
        if tables and rng.random() < 0.45:
            done.append(_change_table(rng, rng.choice(tables)))
        elif files:
            done.append(_change_file(rng, root, rng.choice(files), files))
    return done


def _change_file(rng: random.Random, root: Path, chosen: Path, files: list[Path]) -> str:
    kind = rng.choice(FILE_KINDS)
    other = rng.choice(files)
    if kind == "bytes":
        chosen.write_bytes(mutate_bytes(rng, chosen.read_bytes() or b"\0"))
    elif kind == "emptied":
        os.truncate(chosen, 0)
    elif kind == "copied":
        free = chosen.with_name(f"copy{rng.randrange(99)}{''.join(chosen.suffixes[-2:])}")
        shutil.copyfile(chosen, rng.choice([free, other]) if other != chosen else free)
    elif kind == "renamed":
        odd = rng.choice([*ODD_NAMES, f" {chosen.name}", f"{chosen.name}.nii", f"x-{chosen.name}", chosen.name.upper()])
        chosen.rename(chosen.with_name(odd))
    elif kind == "moved":
        (root / "elsewhere").mkdir(exist_ok=True)
        chosen.rename(root / "elsewhere" / chosen.name)
    elif kind == "exchanged":
        one, two = chosen.read_bytes(), other.read_bytes()
        chosen.write_bytes(two)
        other.write_bytes(one)
    else:
        chosen.unlink()
        if kind == "folder in its place":
            chosen.mkdir()
        elif kind != "removed":
            targets = {"link to itself": chosen.name, "dangling link": "nowhere", "link to a folder": root}
            chosen.symlink_to(targets[kind])
    return kind


def _change_table(rng: random.Random, path: Path) -> str:
    kind = rng.choice(TABLE_KINDS)
    is_book = path.suffix == ".xlsx"
    if is_book and rng.random() < 0.3:
        path.write_bytes(rng.choice([b"", b"PatientID,hypodensity\n", mutate_bytes(rng, path.read_bytes() or b"\0")]))
        return "no workbook"
    try:
        rows = _read_rows(path)
    except (
        *CSV_ERRORS,
        LookupError,
        zipfile.BadZipFile,
        zlib.error,
        SyntaxError,
        EOFError,
        struct.error,
    ):  # an earlier change made it no table
        return "no table"
    rows = _change_rows(rng, kind, rows)
    if is_book:
        cells = [[_typed(cell) if rng.random() < 0.5 else cell for cell in row] for row in rows]
        try:
            pd.DataFrame(cells).to_excel(path, header=False, index=False)
        except (
            ValueError,
            IllegalCharacterError,
        ):  # openpyxl refuses control characters and long cells: there is nothing to read
            return "not written"
        return kind
    text = "\n".join((";" if kind == "delimiter" else ",").join(_quoted(cell) for cell in row) for row in rows) + "\n"
    if kind == "quote":
        place = rng.randrange(len(text))
        text = text[:place] + '"' + text[place:]
    elif kind == "NUL":
        text = text.replace(rng.choice("0,1"), "\0", 1)
    encoding = rng.choice(["utf-16", "utf-8-sig", "utf-32", "latin-1", "cp037"]) if kind == "encoding" else "utf-8"
    path.write_bytes((text + ("é" if encoding == "latin-1" else "")).encode(encoding, errors="replace"))
    return kind


def _change_rows(rng: random.Random, kind: str, rows: list[list[str]]) -> list[list[str]]:
    """Changes one row, column or cell of a table, whose first row is its header."""
    number, width = rng.randrange(len(rows)), min(map(len, rows))
    row, column, other = rows[number], rng.randrange(max(width, 1)), rng.randrange(max(width, 1))
    if kind in ("cell", "number") and row:
        row[min(column, len(row) - 1)] = rng.choice(NASTY_CELLS if kind == "cell" else NUMBERS)
    elif kind == "columns exchanged" and width:
        for each in rows[rng.randrange(2) :]:  # with their names, or without
            each[column], each[other] = each[other], each[column]
    elif kind == "column removed":
        return [[cell for place, cell in enumerate(each) if place != column] for each in rows]
    elif kind == "column renamed" and rows[0]:
        rows[0][min(column, len(rows[0]) - 1)] = rng.choice(
            [rows[0][min(other, len(rows[0]) - 1)], "", "x", "hospital"]
        )
    elif kind == "row twice":
        rows.insert(rng.randrange(len(rows) + 1), [*row])
    elif kind == "row removed":
        rows.pop(number)
    elif kind == "row short":
        del row[column:]
    elif kind == "row long":
        row.extend(["1"] * rng.randrange(1, 4))
    elif kind == "header only":
        return rows[:1]
    elif kind == "header removed":
        return rows[1:]
    return rows


def _read_rows(path: Path) -> list[list[str]]:
    if path.suffix == ".xlsx":
        return pd.read_excel(path, header=None, dtype=str, keep_default_na=False).to_numpy(str).tolist() or [[]]
    with path.open(newline="", encoding="utf-8") as stream:
        return list(csv.reader(stream)) or [[]]


def _quoted(cell: str) -> str:
    return '"' + cell.replace('"', '""') + '"' if any(sign in cell for sign in ',;"\n\r') else cell


def _typed(cell: str) -> object:
    """As spreadsheets hold numbers."""
    try:
        return float(cell)
    except ValueError:
        return cell


def roots_of(folder: Path) -> list[Path]:
    """The folders that an import of a tree is told: of a hospital, images and masks; of a public set, the whole."""
    hospital_s = [folder / "set" / "export", folder / "set" / "masks"]
    return hospital_s if all(root.is_dir() for root in hospital_s) else [folder / "set"]


def judge(run: Import, folder: Path) -> str:
    """Imports a tree; what is imported must be a manifest that can be read, of slices that can be trained on.

    Raises:
        AssertionError: the manifest breaks its schema, a slice cannot be read, or something names the patient.
        Exception: any error that is not the project's own.
    """
    try:
        result = run(folder)
    except MonaiIchError as error:
        _check_text(str(error))
        return "refused"
    assert sum(files_by_fate(result).values()) == count_files(*roots_of(folder), skip=folder / "out")
    manifest = read(result.manifest)
    assert len(manifest.frame) == result.slices > 0
    for row in manifest.frame[manifest.frame["mask"] != ""].itertuples():
        index = None if pd.isna(row.image_slice) else int(row.image_slice)
        places = {"image": [(manifest.dataset_dir / row.image, index)]}
        rules = {name: [getattr(row, name, "")] for name in (IMAGE_VALUES, MASK_LABELS)}
        LoadSlicesd()(places | rules | {"mask": [(manifest.dataset_dir / row.mask, int(row.mask_slice))]})
    assert len(stored_pixels(manifest)) == result.slices
    for path in (result.manifest, result.reports / "refused.csv", result.reports / "series.csv"):
        _check_text(path.read_text(encoding="utf-8"))
    for entry in result.refused:
        assert entry.reason
        assert entry.remedy
    _check_text("\n".join(result.notes))
    return "read"


def _check_text(text: str) -> None:
    assert len(text) < 60_000, len(text)
    text.encode()  # it can be printed
    assert not any(value in text for value in PLANTED.values()), text[:2000]


def _public(name: str) -> Import:
    _, run = PUBLIC_SETS[name]
    return lambda folder: run(PublicRequest(folder / "set", folder / "m.csv", folder / "out", workers=1))


def _hospital(rng: random.Random) -> Import:
    ask = hospital_request(rng)
    return lambda folder: import_dicom(ask(folder))


def prepare(folder: Path) -> Callable[[random.Random], str]:
    """Makes the trees; returns one case of the fuzzer."""
    for name, (make, _) in PUBLIC_SETS.items():
        make(folder / "bases" / name)
    for masks in MASKS:
        for table in TABLES:
            hospital(folder / "bases" / f"{masks}.{table}", masks, table)

    def case(rng: random.Random) -> str:
        name = rng.choice([*PUBLIC_SETS, *["hospital"] * 4])
        if name in PUBLIC_SETS:
            run = _public(name)
        else:
            run, name = _hospital(rng), f"{rng.choice(MASKS)}.{rng.choice(TABLES)}"
        place = folder / "case"
        shutil.rmtree(place, ignore_errors=True)
        shutil.copytree(folder / "bases" / name, place / "set")
        mutate(rng, place / "set")
        outcome = judge(run, place)
        if rng.random() < 0.15:  # imported again after more has changed: what was read before must not be believed
            mutate(rng, place / "set")
            outcome = judge(run, place)
        return outcome

    return case
