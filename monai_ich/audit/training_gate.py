# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Training's question to the audit: is there a fatal finding?"""

from __future__ import annotations

from monai_ich.audit.audit_report import read_findings
from monai_ich.audit.findings import Finding, Severity
from monai_ich.audit.overlap import overlap_findings, protocol_name
from monai_ich.data import Manifest
from monai_ich.engines import rank
from monai_ich.utils.console import console
from monai_ich.utils.errors import FaultList, ManifestError


def refuse_findings(manifest: Manifest, allow: bool = False) -> None:
    """Refuses a manifest with a fatal finding.

    Patients and studies in several splits are looked for here and now, which takes seconds; everything else is taken
    from the audit beside the manifest, if there is one of these very bytes.

    Args:
        manifest: to be trained on.
        allow: go on, and say so.

    Raises:
        ManifestError: listing every fatal finding.
    """
    now = [f for f in overlap_findings(manifest.frame, protocol_name(manifest.card)) if f.severity is Severity.FATAL]
    audited = read_findings(manifest.path, manifest.sha256)
    known = {(finding.check, finding.summary) for finding in now}
    fatal = [*now, *(f for f in audited or [] if f.severity is Severity.FATAL and (f.check, f.summary) not in known)]
    if audited is None and rank() == 0:
        console.print(f"not audited yet: python -m monai_ich audit {manifest.path}", soft_wrap=True)
    if not fatal:
        return
    faults = FaultList(f"{manifest.path} has fatal findings, so results would be wrong:")
    for finding in fatal:
        faults.add(_text(finding))
    if not allow:
        faults.add("to train all the same: --data::allow_findings True")
        faults.raise_if_any(ManifestError)
    if rank() == 0:
        console.print(f"[bold]training in spite of {len(fatal)} fatal findings[/] of the audit:")
        for fault in faults.faults:
            console.print(f"  - {fault}", markup=False, soft_wrap=True)


def _text(finding: Finding) -> str:
    return f"{finding.check}: {finding.summary} {finding.remedy}".strip()
