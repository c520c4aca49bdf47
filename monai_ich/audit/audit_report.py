# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""An audit's report: JSON for programs, one self-contained HTML page for readers."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from html import escape
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

import monai_ich
from monai_ich.audit.findings import Finding, Severity, worst
from monai_ich.utils.errors import ManifestError
from monai_ich.utils.files import replace_file, replace_json
from monai_ich.visualize import figure_bytes

FORMAT = 1

_VERDICTS = {
    Severity.PASSED: "No fault was found.",
    Severity.SKIPPED: "No fault was found; some checks were not possible.",
    Severity.WARNING: "Usable, with warnings to be reported with every result.",
    Severity.FATAL: "Not fit for training: results would be wrong.",
}
_COLOURS = {
    Severity.PASSED: "#009E73",
    Severity.SKIPPED: "#767676",
    Severity.WARNING: "#B26B00",
    Severity.FATAL: "#B3261E",
}
_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 62rem; margin: 2rem auto; padding: 0 1rem; color: #1b1b1b }
table { border-collapse: collapse; margin: .6rem 0; font-size: 13px }
td, th { border: 1px solid #ddd; padding: .2rem .6rem; text-align: left; vertical-align: top }
h2 { margin-top: 2rem }
img { max-width: 100% }
.badge { color: #fff; border-radius: 4px; padding: .1rem .5rem; font-size: 12px; text-transform: uppercase }
.remedy { color: #444 }
.verdict { border-left: 6px solid; padding: .5rem 1rem; background: #f6f6f6; font-size: 17px }
small { color: #555 }
"""


@dataclass(frozen=True)
class AuditReport:
    """What an audit found.

    Attributes:
        manifest: the CSV's name, without its folder.
        sha256: of the CSV's bytes, which is what the findings hold for.
        marker: that balance, headers and power were looked at for.
        protocol: the card's; "" where there is none.
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
    facts = {
        "manifest": report.manifest,
        "SHA-256": report.sha256,
        "protocol": report.protocol or "not stated",
        "marker": report.marker,
        "made by": f"monai_ich {monai_ich.__version__}",
    }
    rows = "".join(f"<tr><th>{escape(name)}</th><td>{escape(value)}</td></tr>" for name, value in facts.items())
    pictures = "".join(_picture(heading, figure) for heading, figure in report.figures.items())
    note = "<p><small>The pictures are of your images: share this page as you may share those.</small></p>"
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Audit of {escape(report.manifest)}</title>'
        f"<style>{_STYLE}</style></head><body><h1>Audit of {escape(report.manifest)}</h1>"
        f'<p class="verdict" style="border-color:{_COLOURS[report.severity]}">{_VERDICTS[report.severity]}</p>'
        f"<table>{rows}</table><h2>Findings</h2>{''.join(map(_finding, report.findings))}"
        f"<h2>Counts of {escape(report.marker)}</h2>{_table(report.hospitals)}{pictures}"
        f"{note if pictures else ''}</body></html>\n"
    )


def _finding(finding: Finding) -> str:
    remedy = f'<br><span class="remedy">{escape(finding.remedy)}</span>' if finding.remedy else ""
    badge = f'<span class="badge" style="background:{_COLOURS[finding.severity]}">{finding.severity}</span>'
    return f"<p>{badge} <b>{escape(finding.check)}</b>: {escape(finding.summary)}{remedy}</p>{_table(finding.examples)}"


def _table(rows: Sequence[Mapping[str, Any]]) -> str:
    if not rows:
        return ""
    head = "".join(f"<th>{escape(str(name))}</th>" for name in rows[0])
    body = "".join("<tr>" + "".join(f"<td>{escape(str(cell))}</td>" for cell in row.values()) + "</tr>" for row in rows)
    return f"<table><tr>{head}</tr>{body}</table>"


def _picture(heading: str, figure: Figure) -> str:
    data = base64.b64encode(figure_bytes(figure, dpi=90)).decode()
    return f'<h2>{escape(heading)}</h2><img alt="{escape(heading)}" src="data:image/png;base64,{data}">'
