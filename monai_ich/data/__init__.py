# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Floor 2: manifests (schema, reading, writing), splits (protocols), data sets and samplers, the phantom."""

from monai_ich.data.datasets import SliceDataset
from monai_ich.data.manifest import (
    Manifest,
    dataset_directory,
    read_manifest,
    refresh_card,
    split_names,
    test_splits,
    write_manifest,
)
from monai_ich.data.phantom import PhantomSpec, generate_phantom
from monai_ich.data.samplers import Draw, EpochSampler, ShardSampler
from monai_ich.data.splits import paper_protocol, protocol_counts
from monai_ich.data.store import SliceStore

__all__ = [
    "Draw",
    "EpochSampler",
    "Manifest",
    "PhantomSpec",
    "ShardSampler",
    "SliceDataset",
    "SliceStore",
    "dataset_directory",
    "generate_phantom",
    "paper_protocol",
    "protocol_counts",
    "read_manifest",
    "refresh_card",
    "split_names",
    "test_splits",
    "write_manifest",
]
