# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""An audit's report: JSON for programs, one self-contained HTML page for readers."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

import monai_ich
from monai_ich.audit.findings import Finding, Severity, worst
from monai_ich.utils.errors import ManifestError
from monai_ich.utils.files import replace_file, replace_json
from monai_ich.utils.templates import render
from monai_ich.visualize import figure_bytes

FORMAT = 1

_VERDICTS = {
    Severity.PASSED: "No fault was found.",
    Severity.SKIPPED: "No fault was found; some checks were not possible.",
    Severity.WARNING: "Usable, with warnings to be reported with every result.",
    Severity.FATAL: "Not fit for training: results would be wrong.",
}


@dataclass(frozen=True)
class AuditReport:
    """What an audit found.

    Attributes:
        manifest: the CSV's name, without its folder.
        sha256: of the CSV's bytes, which is what the findings hold for.
        marker: whose balance, headers and power were checked.
        protocol: of the card; "" where there is none.
        findings: in the order of the checks.
        hospitals: counts of every hospital within every split.
        figures: {heading: figure}.
    """

    manifest: str
    sha256: str
    marker: str
    protocol: str
    findings: Sequence[Finding]
    hospitals: Sequence[Mapping[str, Any]] = ()
    figures: Mapping[str, Figure] = field(default_factory=dict)

    @property
    def severity(self) -> Severity:
        return worst(self.findings)


def json_path(manifest: Path) -> Path:
    """Where a manifest's audit is looked for: `mine.audit.json` beside `mine.csv`."""
    return manifest.with_suffix(".audit.json")


def html_path(manifest: Path) -> Path:
    """The page beside it."""
    return manifest.with_suffix(".audit.html")


def write_report(report: AuditReport, manifest: Path) -> None:
    """Writes both files beside the manifest, the JSON last."""
    replace_file(html_path(manifest), as_html(report).encode())
    content = {
        "format": FORMAT,
        "created_by": f"monai_ich {monai_ich.__version__}",
        "manifest": report.manifest,
        "sha256": report.sha256,
        "marker": report.marker,
        "protocol": report.protocol,
        "severity": report.severity,
        "findings": [asdict(finding) for finding in report.findings],
        "hospitals": list(report.hospitals),
    }
    replace_json(json_path(manifest), content)


def read_findings(manifest: Path, sha256: str) -> list[Finding] | None:
    """The findings of a manifest's last audit; None when there is none, or it is of another version of the CSV.

    Raises:
        ManifestError: the file beside the manifest is not an audit's.
    """
    path = json_path(manifest)
    if not path.is_file():
        return None
    try:
        content = json.loads(path.read_bytes())
        if content["sha256"] != sha256:
            return None
        return [
            Finding(one["check"], Severity(one["severity"]), one["summary"], one["remedy"])
            for one in content["findings"]
        ]
    except (json.JSONDecodeError, UnicodeDecodeError, KeyError, TypeError, ValueError) as error:
        raise ManifestError(
            f"{path} is not an audit of monai_ich ({type(error).__name__}: {error}); run the audit again: "
            f"python -m monai_ich audit {manifest}"
        ) from error


def as_html(report: AuditReport) -> str:
    """The whole page, pictures within."""
    return render(
        Path(__file__).with_name("audit_page.html.jinja"),
        report=report,
        verdict=_VERDICTS[report.severity],
        version=monai_ich.__version__,
        pictures={heading: _png_text(figure) for heading, figure in report.figures.items()},
    )


def _png_text(figure: Figure) -> str:
    """A figure's PNG in base64."""
    return base64.b64encode(figure_bytes(figure, dpi=90)).decode()
