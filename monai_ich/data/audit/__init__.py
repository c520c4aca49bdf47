# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""What an audit finds in a manifest's rows and in its slices' fingerprints."""

from monai_ich.data.audit.balance import hospital_counts, uneven_hospitals
from monai_ich.data.audit.findings import Finding, Severity, worst
from monai_ich.data.audit.near_duplicates import GUARANTEED_DISTANCE, MAX_DISTANCE, MOST_PARTNERS, near_pairs
from monai_ich.data.audit.overlap import (
    both_tests,
    may_share,
    overlap_findings,
    protocol_name,
    shared_severity,
    split_pairs,
)
from monai_ich.data.audit.similarity import FEWEST_CONTENT_SHARE, NEAR_IDENTICAL, similarity

__all__ = [
    "FEWEST_CONTENT_SHARE",
    "GUARANTEED_DISTANCE",
    "MAX_DISTANCE",
    "MOST_PARTNERS",
    "NEAR_IDENTICAL",
    "Finding",
    "Severity",
    "both_tests",
    "hospital_counts",
    "may_share",
    "near_pairs",
    "overlap_findings",
    "protocol_name",
    "shared_severity",
    "similarity",
    "split_pairs",
    "uneven_hospitals",
    "worst",
]
