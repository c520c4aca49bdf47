# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Runs an exported bundle in a process of its own that cannot import this package, and makes runs of other rows."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import torch
from monai.bundle import ConfigParser

from monai_ich.export.inference_config import NETWORK, inference_config
from monai_ich.utils.run_files import RunDirectory

# MONAI's own command line, several times in one process: importing it takes most of the time. That the package cannot
# be imported is proven twice: it is refused by name, and no module's file may lie in its folder.
ALONE = """
import json, runpy, sys
from pathlib import Path

class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "monai_ich":
            raise ModuleNotFoundError(f"{name} is not installed here", name=name)

sys.meta_path.insert(0, Refuse())
package, steps = Path(sys.argv[1]), json.loads(sys.argv[2])
for step in steps:
    if isinstance(step, str):
        exec(step)
    else:
        sys.argv = ["monai.bundle", *step]
        runpy.run_module("monai.bundle", run_name="__main__", alter_sys=True)
files = [getattr(module, "__file__", None) for module in list(sys.modules.values())]
used = [file for file in files if file and Path(file).is_relative_to(package)]
assert not used, used
print("MODULES", json.dumps(sorted(name for name in sys.modules if name.split(".")[0] == "scripts")))
"""


def run_alone(bundle: Path, package: Path, steps: list[Any]) -> list[str]:
    """Runs `steps` (arguments of `python -m monai.bundle`, or code) in the bundle; returns its modules in use."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("PYTHONPATH", "MLFLOW"))}
    command = [sys.executable, "-c", ALONE, str(package), json.dumps(steps)]
    done = subprocess.run(command, cwd=bundle, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout.rpartition("MODULES ")[2])


def run_of_row(complete: Path, overlay: Path, folder: Path) -> Path:
    """Makes a complete run's directory of another row from one that was trained: untrained weights, its other files."""
    shutil.copytree(complete, folder, ignore=shutil.ignore_patterns("last.pt", "figures", "evaluation"))
    changed = ConfigParser.load_config_files([str(complete / "train.json"), str(overlay)])
    (folder / "train.json").write_text(json.dumps(changed))
    torch.manual_seed(0)
    network = ConfigParser(inference_config(RunDirectory(folder))).get_parsed_content(NETWORK)
    torch.save({"model": network.state_dict(), "epoch": 1}, folder / "models/best.pt")
    return folder
