# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Keeps what identifies a patient out of paths and messages: finds it in a header, and takes it out of a text."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue

from monai_ich.importers.item_records import Refusal, printable, refusal
from monai_ich.importers.patient_names import (
    counts_within_words,
    is_telling,
    name_parts,
    plain,
    plain_words,
    undeclared_readings,
)
from monai_ich.importers.pseudonyms import Pseudonyms
from monai_ich.reading.dicom_frames import DECODE_ERRORS
from monai_ich.utils.errors import ImageReadError

_NAMES = ("PatientName", "OtherPatientNames", "PatientBirthName", "PatientMotherBirthName", "ResponsiblePerson")
_NUMBERS = ("PatientID", "OtherPatientIDs", "AccessionNumber", "AdmissionID")
_UIDS = ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "FrameOfReferenceUID")
_DATES = ("PatientBirthDate", "StudyDate", "SeriesDate", "AcquisitionDate", "ContentDate")

# Letters of scripts that are written without blanks: a name stands within a longer run of them.
_WIDE_RUN = re.compile(r"[\u1100-\U0003ffff]+")
REMOVED = "[removed]"


@dataclass(frozen=True)
class Identity:
    """What identifies the patient of a file.

    Attributes:
        raw: the texts as they stand in the header, and their parts.
        plain: the same in lower case, without accents, letters and digits only.
    """

    raw: frozenset[str] = frozenset()
    plain: frozenset[str] = frozenset()

    def __or__(self, other: Identity) -> Identity:
        return Identity(self.raw | other.raw, self.plain | other.plain)

    def is_in(self, text: str) -> bool:
        """Whether the text mentions the patient, in whatever case, accents and punctuation.

        >>> Identity(plain=frozenset({"yamada", "17"})).is_in("2021/Yamada_T/1.dcm")
        True
        >>> Identity(plain=frozenset({"yamada", "17"})).is_in("hospital_1/0017.dcm")
        False
        """
        whole, words = plain(text), plain_words(text)
        return any(part in (whole if counts_within_words(part) else words) for part in self.plain)


def identity_of(dataset: Dataset) -> Identity:
    """Names, numbers, dates and UIDs of a data set.

    A name counts in each of its groups and in their joined forms, also where its character set is not declared.
    """
    raw: set[str] = set()
    for keyword in (*_NAMES, *_NUMBERS, *_UIDS):
        for text in _texts(dataset, keyword):
            raw.add(text)
            if keyword in _NAMES:
                raw |= name_parts(text)
    for keyword in _DATES:
        for date in _texts(dataset, keyword):
            raw.add(date)
            if re.fullmatch(r"\d{8}", date):
                year, month, day = date[:4], date[4:6], date[6:]
                raw |= {f"{day}{month}{year}", f"{month}{day}{year}", f"{year}-{month}-{day}", f"{day}.{month}.{year}"}
    return Identity(frozenset(raw), frozenset(part for text in raw if is_telling(part := plain(text))))


def _texts(dataset: Dataset, keyword: str) -> list[str]:
    """The values of an attribute, and what their bytes say in character sets that the header does not declare."""
    if keyword not in dataset:
        return []
    stored = dataset.get_item(keyword)
    try:
        value = dataset.get(keyword)
    except DECODE_ERRORS:  # of a damaged kind: its bytes may name the patient all the same
        value = stored.value.decode("latin-1") if isinstance(stored, RawDataElement) and stored.value else None
    values = list(value) if isinstance(value, MultiValue) else [value]
    readings = [str(part) for part in values if part is not None]
    if isinstance(stored, RawDataElement) and isinstance(stored.value, bytes):
        dataset[stored.tag] = stored  # the next question, too, finds the bytes, of which pydicom keeps no copy
        readings += undeclared_readings(stored.value)
    else:
        readings += [text for part in values for text in undeclared_readings(_bytes_of(part))]
    return [text for reading in readings if (text := reading.strip(" \0\t\r\n"))]


def _bytes_of(value: Any) -> bytes:
    """The bytes that a converted value was read from, as far as they are known."""
    original = getattr(value, "original_string", "" if value is None else str(value))  # of a PersonName
    return original if isinstance(original, bytes) else str(original).encode("latin-1", errors="ignore")


class Redactor:
    """Writes paths and messages without what identifies a patient.

    A part of a path that mentions the patient is replaced by `[<keyed hash>]`, from which `locate` finds the file again
    with the key. Where the patient of a file is not known, because its header cannot be read, every part is replaced.
    """

    def __init__(self, pseudonyms: Pseudonyms, source: Path, is_public: bool = False) -> None:
        self.pseudonyms = pseudonyms
        self.source = source
        self.is_public = is_public

    def path(self, path: Path, identity: Identity | None) -> str:
        """The path relative to the source, as a report may show it; None: whose file it is is not known."""
        parts = path.relative_to(self.source).parts
        if self.is_public:
            return "/".join(parts)
        return "/".join(self.shown_parts(parts, identity))

    def shown_parts(self, parts: Sequence[str], identity: Identity | None) -> list[str]:
        """The parts of a path; those that mention the patient, alone or together, are replaced."""
        is_hidden = [identity is None or identity.is_in(part) for part in parts]
        rest = "/".join(part for part, hidden in zip(parts, is_hidden, strict=True) if not hidden)
        if identity is not None and identity.is_in(rest):  # as 1957/03/14 does
            is_hidden = [True] * len(parts)
        shown = zip(parts, is_hidden, strict=True)
        return [f"[{self.pseudonyms.token('path', part)}]" if hidden else part for part, hidden in shown]

    def refusal(
        self, shown: str, error: ImageReadError, paths: Mapping[Path, str], identity: Identity | None, files: int = 1
    ) -> Refusal:
        """A refusal in the error's words, without what identifies the patient.

        Args:
            shown: the file or folder that is refused, as `path` shows it.
            error: why.
            paths: {path: as it is shown} of those that the error may mention.
            identity: the patient.
            files: how many are refused with it.
        """
        where = "" if error.path is None or paths.get(error.path) == shown else f"{error.path}: "
        faults = f": {'; '.join(error.faults)}" if error.faults else ""
        fault = self.message(f"{where}{error.fault}{faults}", paths, identity)
        return refusal(shown, fault, self.message(error.remedy, paths, identity), files)

    def message(self, text: str, shown: Mapping[Path, str], identity: Identity | None) -> str:
        """The text with each path of `shown` replaced, and whatever else it holds of the identity removed."""
        for path in sorted(shown, key=lambda p: -len(str(p))):
            text = text.replace(str(path), shown[path])
        text = text.replace(f"{self.source}/", "")
        for secret in sorted((identity or Identity()).raw, key=len, reverse=True):
            if not self.is_public and len(secret) > 1:
                text = re.sub(rf"(?<!\w){re.escape(secret)}(?!\w)", REMOVED, text, flags=re.IGNORECASE)
        if identity is None or self.is_public:
            return text
        return _WIDE_RUN.sub(lambda run: REMOVED if identity.is_in(run[0]) else run[0], text)


def locate(source: Path, shown: str, pseudonyms: Pseudonyms) -> list[Path]:
    """The files or folders under `source` that a report shows as `shown`."""
    found = [source]
    for part in shown.split("/"):
        found = [
            entry
            for folder in found
            if folder.is_dir()
            for entry in sorted(folder.iterdir())
            if part in (printable(entry.name), f"[{pseudonyms.token('path', entry.name)}]")
        ]
    return found
