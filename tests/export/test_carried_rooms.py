# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""A bundle carries the rooms behind its config, by whatever room the config names a part."""

from __future__ import annotations

import pytest

from monai_ich.export.carried_rooms import rooms_behind, with_home_rooms
from monai_ich.utils.errors import ExportError


def test_a_part_is_named_by_the_room_that_defines_it() -> None:
    """`bundle` offers parts of other rooms, and importing it imports training."""
    config = "$monai_ich.bundle.RunDirectory(Path(@run_dir))"
    assert with_home_rooms(config) == config.replace("bundle", "utils.run_files")
    assert "handlers" in rooms_behind(config)
    assert rooms_behind(with_home_rooms(config)) == ["utils"]


@pytest.mark.parametrize("name", ["monai_ich.losses.PAPER_WEIGHTS", "monai_ich.networks.sizes", "monai_ich.phantom"])
def test_constants_modules_and_rooms_keep_their_names(name: str) -> None:
    assert with_home_rooms(f"${name}") == f"${name}"


def test_a_part_that_is_not_in_its_rooms_list_is_named_by_its_module() -> None:
    name = "monai_ich.export.carried_rooms.rooms_behind"
    assert with_home_rooms(name) == name


def test_a_part_that_does_not_exist_is_refused() -> None:
    with pytest.raises(ExportError, match=r"the run's config names monai_ich\.bundle\.prophesy"):
        with_home_rooms("$monai_ich.bundle.prophesy()")
