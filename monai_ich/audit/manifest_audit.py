# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Audits a manifest: what would make a result wrong, or must be said with it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from monai.transforms import Compose
from rich.table import Table

from monai_ich.audit.audit_figures import balance_figure, pairs_figure
from monai_ich.audit.audit_report import AuditReport, html_path, json_path, write_report
from monai_ich.audit.balance import hospital_counts
from monai_ich.audit.findings import Finding, Severity
from monai_ich.audit.header_check import header_findings
from monai_ich.audit.overlap import overlap_findings, protocol_name
from monai_ich.audit.pixel_check import PixelFindings, pixel_findings
from monai_ich.audit.row_checks import balance_findings, power_findings
from monai_ich.data import Manifest, SliceStore, read_manifest
from monai_ich.data.manifest_cells import check_is_there
from monai_ich.data.manifest_labels import known_labels, nowhere_known
from monai_ich.transforms import FitSquared, HUWindowd, LoadSlicesd
from monai_ich.utils.console import console
from monai_ich.utils.errors import ConfigurationError, ImageReadError, ManifestError, MonaiIchError
from monai_ich.utils.keys import BRAIN_WINDOW_HU, Key, unknown_label
from monai_ich.utils.provenance import sha256_of_file
from monai_ich.visualize import panel_figure

EXIT_CLEAN, EXIT_WARNINGS, EXIT_FATAL = 0, 1, 2
PICTURE_SIDE = 256
CHARTED_HOSPITALS = 30
PIXEL_CHECKS = ("headers", "acquisition", "files", "background", "near-identical slices", "canary", "masks")

_STYLES = {
    Severity.PASSED: "green",
    Severity.SKIPPED: "dim",
    Severity.WARNING: "bold yellow",
    Severity.FATAL: "bold red",
}


@dataclass(frozen=True)
class AuditRequest:
    """What to audit, and how far.

    Attributes:
        manifest: the CSV.
        marker: that balance, headers, background and power are looked at for.
        dataset_dir: folder of the images; None: the card's.
        pixels: read headers and images too, not the table alone.
        pictures: put slices into the HTML page.
        strict: warnings, too, end with a status other than 0.
        cache_dir: keeps what was computed of every slice, for the next audit; None keeps it in memory.
        workers: processes that decode; None takes one for each available core.
    """

    manifest: Path
    marker: str = "hypodensity"
    dataset_dir: Path | None = None
    pixels: bool = True
    pictures: bool = True
    strict: bool = False
    cache_dir: Path | None = None
    workers: int | None = None


def audit_manifest(request: AuditRequest) -> int:
    """Runs every check, prints the findings, and writes `<manifest>.audit.json` and `.audit.html` beside the CSV.

    Returns:
        The exit status: 0 without fatal findings, 1 for warnings with `strict`, 2 for a fatal finding.

    Raises:
        ManifestError: there is no such file.
        ConfigurationError: the manifest has no such marker, or knows it in no row although it knows other labels.
    """
    check_is_there(request.manifest)
    manifest, findings = _read(request)
    report = _schema_report(request, findings) if manifest is None else _report(request, manifest, findings)
    write_report(report, request.manifest)
    _print(report, request.manifest)
    if report.severity is Severity.FATAL:
        return EXIT_FATAL
    return EXIT_WARNINGS if request.strict and report.severity is Severity.WARNING else EXIT_CLEAN


def _read(request: AuditRequest) -> tuple[Manifest | None, list[Finding]]:
    """The manifest, also when only its files are at fault; None when its table is."""
    path, folder = request.manifest, request.dataset_dir
    again = f"The command names each fault on the screen, as does: python -m monai_ich check {path.name}"
    try:
        table = read_manifest(path, markers=(), dataset_dir=folder, check_files=False, required_splits=())
    except ManifestError as error:
        _show_on_screen(error)
        return None, [Finding("schema", Severity.FATAL, "The table does not fit the schema, so no check ran.", again)]
    # without any label the images and masks can be audited all the same
    markers = [request.marker] if known_labels(table.frame) else []
    fault = unknown_label(request.marker, table.frame.columns) or (markers and nowhere_known(table.frame, *markers))
    if fault:
        raise ConfigurationError(fault)
    try:
        manifest = read_manifest(path, markers=markers, dataset_dir=folder)
    except ManifestError as error:
        _show_on_screen(error)
        summary = "The table fits the schema, but files are missing, or a split lacks rows or one of the classes."
        return table, [Finding("schema", Severity.FATAL, summary, again)]
    return manifest, [Finding("schema", Severity.PASSED, f"{len(manifest.frame)} rows fit the schema.")]


def _show_on_screen(error: MonaiIchError) -> None:
    """Cells and paths may name patients: they are for this screen, not for a report."""
    console.print(str(error), markup=False, soft_wrap=True)


def _schema_report(request: AuditRequest, findings: Sequence[Finding]) -> AuditReport:
    return AuditReport(request.manifest.name, sha256_of_file(request.manifest), request.marker, "", findings)


def _report(request: AuditRequest, manifest: Manifest, findings: list[Finding]) -> AuditReport:
    frame, protocol, marker = manifest.frame, protocol_name(manifest.card), request.marker
    findings = [*findings, *overlap_findings(frame, protocol), *balance_findings(frame, marker)]
    counts = hospital_counts(frame, marker)
    hospitals = [{str(name): cell for name, cell in row.items()} for row in counts.to_dict("records")]
    figures: dict[str, Figure] = {}
    if hospitals and counts["hospital"].nunique() <= CHARTED_HOSPITALS:
        shares = [(row["hospital"], row["split"], row["slices"], row["positive"]) for row in hospitals]
        figures[f"Share of {marker} slices"] = balance_figure(shares, marker)
    if request.pixels:
        findings += header_findings(frame, manifest.dataset_dir, marker, request.workers)
        seen = pixel_findings(manifest, protocol, marker, request.cache_dir, request.workers)
        findings += seen.findings
        if request.pictures:
            figures |= _pictures(manifest, seen)
    else:
        skipped = "Left out: neither headers nor images were read (--no-pixels)."
        findings += [Finding(check, Severity.SKIPPED, skipped) for check in PIXEL_CHECKS]
    findings += power_findings(frame, marker)
    return AuditReport(manifest.path.name, manifest.sha256, marker, protocol, findings, hospitals, figures)


def _pictures(manifest: Manifest, seen: PixelFindings) -> dict[str, Figure]:
    rows = sorted({row for pair in seen.pairs for row in pair} | set(seen.masks))
    if not rows:
        return {}
    keys = [Key.IMAGE, Key.MASK]
    window = (manifest.card or {}).get("window_hu", BRAIN_WINDOW_HU)
    fit = FitSquared(keys=keys, size=PICTURE_SIDE)
    slices = SliceStore(
        manifest.frame.iloc[rows],
        manifest.dataset_dir,
        Compose([LoadSlicesd(keys=keys), HUWindowd(keys=Key.IMAGE, window=window), fit]),
        progress=False,
    )
    try:
        slices.prepare()
    except ImageReadError as error:
        console.print(f"no pictures: {error}", markup=False, soft_wrap=True)
        return {}
    drawn = {row: slices[place] for place, row in enumerate(rows)}
    titles = [f"{key} ({split})" for key, split in manifest.frame[["key", "split"]].to_numpy()[rows]]
    title = dict(zip(rows, titles, strict=True))
    figures = {}
    if seen.pairs:
        pictures = [(drawn[one]["image"], drawn[other]["image"]) for one, other in seen.pairs]
        names = [(title[one], title[other]) for one, other in seen.pairs]
        figures["Near-identical slices"] = pairs_figure(pictures, names)
    if seen.masks:
        images, masks = (np.stack([drawn[row][key] for row in seen.masks]) for key in ("image", "mask"))
        figures["Masks outside the head"] = panel_figure(images, masks, titles=[title[row] for row in seen.masks])
    return figures


def _print(report: AuditReport, manifest: Path) -> None:
    table = Table("", "check", "finding", box=None, padding=(0, 1, 0, 0))
    for finding in report.findings:
        text = f"{finding.summary} {finding.remedy}".strip()
        table.add_row(f"[{_STYLES[finding.severity]}]{finding.severity}[/]", finding.check, text)
    console.print(table)
    console.print(f"written: {html_path(manifest)} and {json_path(manifest).name}", soft_wrap=True)
