# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Floor 3: from a hospital's files, or a public data set, to a manifest without names."""

from monai_ich.importers.assembly import Card, ImportResult
from monai_ich.importers.dicom import DicomRequest, import_dicom
from monai_ich.importers.dicom_sets import import_cq500, import_rsna
from monai_ich.importers.label_preview import preview_labels
from monai_ich.importers.physionet import import_physionet
from monai_ich.importers.pseudonyms import Pseudonyms, default_key_file, load_key
from monai_ich.importers.redaction import locate
from monai_ich.importers.scanning import ScanOptions
from monai_ich.importers.segmentation_sets import import_bhsd, import_instance
from monai_ich.importers.volume_items import PublicRequest
from monai_ich.labels.label_grids import TableOptions
from monai_ich.labels.label_tables import read_labels

__all__ = [
    "Card",
    "DicomRequest",
    "ImportResult",
    "Pseudonyms",
    "PublicRequest",
    "ScanOptions",
    "TableOptions",
    "default_key_file",
    "import_bhsd",
    "import_cq500",
    "import_dicom",
    "import_instance",
    "import_physionet",
    "import_rsna",
    "load_key",
    "locate",
    "preview_labels",
    "read_labels",
]
