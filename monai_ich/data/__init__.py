# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Floor 2: manifests (schema, reading, writing), splits (protocols), data sets and samplers."""

from monai_ich.data.balancing import DrawnStrata, SubsampledStrata, balanced_strata
from monai_ich.data.datasets import SliceDataset
from monai_ich.data.groups import SliceGroups, attributes_of_groups, slice_groups
from monai_ich.data.manifest import (
    Manifest,
    UnsplitManifest,
    dataset_directory,
    read_manifest,
    read_unsplit,
    refresh_card,
    split_names,
    test_splits,
    write_manifest,
)
from monai_ich.data.mixing import ContradictingPartners, mixing_partners
from monai_ich.data.samplers import Draw, EpochSampler, ShardSampler
from monai_ich.data.splits import (
    PROTOCOLS,
    check_patients_apart,
    hospital_protocol,
    kfold_protocol,
    paper_protocol,
    patient_protocol,
    protocol_counts,
    shared_patients,
)
from monai_ich.data.store import SliceStore

__all__ = [
    "PROTOCOLS",
    "ContradictingPartners",
    "Draw",
    "DrawnStrata",
    "EpochSampler",
    "Manifest",
    "ShardSampler",
    "SliceDataset",
    "SliceGroups",
    "SliceStore",
    "SubsampledStrata",
    "UnsplitManifest",
    "attributes_of_groups",
    "balanced_strata",
    "check_patients_apart",
    "dataset_directory",
    "hospital_protocol",
    "kfold_protocol",
    "mixing_partners",
    "paper_protocol",
    "patient_protocol",
    "protocol_counts",
    "read_manifest",
    "read_unsplit",
    "refresh_card",
    "shared_patients",
    "slice_groups",
    "split_names",
    "test_splits",
    "write_manifest",
]
