# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Installs the built wheel alone, and with each extra alone, and runs the commands that work then.

    python3 tests/extras/check_extras.py [--work FOLDER] [--only EXTRA ...]

The extras are read from the wheel's metadata. An extra without an entry in `CHECKS` fails, so that none is untested.
Nothing is imported from the repository: the commands run in a folder that holds copies of `bundles/` and `tests/`.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).resolve().parent
# A phantom of uncompressed slices, and a network, that take seconds.
TINY_DATA = {
    "phantom::studies": "[8,1,1,1,1,1,1,1,1,1,1]",
    "phantom::slices_per_study": "3",
    "phantom::matrix": "64",
    "phantom::transfer_syntax": "explicit_vr_little_endian",
}
TINY_RUN = {"max_epochs": "1", "batch_size": "2", "image_size": "64", "precision": "float32", "run_dir": "runs/tiny"}


class CheckError(Exception):
    """A command did not do what it has to."""


class Environment:
    """A virtual environment with the wheel in it, and the folder where its commands run."""

    def __init__(self, venv: Path, folder: Path, wheel: Path) -> None:
        self.venv = venv
        self.folder = folder
        self.wheel = wheel

    def step(self, text: str) -> None:
        """Prints what is done now."""
        print(f"{self.venv.name}: {text}", flush=True)

    def install(self, *what: str) -> None:
        """Installs packages at the versions of `constraints.txt`. Modules are compiled when they are imported."""
        options = ["--quiet", "--disable-pip-version-check", "--no-compile"]
        self.python("-m", "pip", "install", *options, "--constraint", str(ROOT / "constraints.txt"), *what)

    def copy(self, name: str) -> Environment:
        """The same environment under another name. Its files are hard links: pip replaces a file, and changes none.

        Only `bin/python` is used of it, as the other scripts of `bin/` start the original's Python.
        """
        venv = self.venv.with_name(name)
        shutil.copytree(self.venv, venv, symlinks=True, copy_function=os.link)
        copied = Environment(venv, self.folder, self.wheel)
        found = copied.python("-c", "import monai_ich, sys; print(sys.prefix, monai_ich.__file__)").split()
        if Path(found[0]) != venv or not Path(found[1]).is_relative_to(venv):
            raise CheckError(f"expected the Python of {venv} and its monai_ich, got {found}")
        return copied

    def python(self, *arguments: str, fails_with: str = "", folder: Path | None = None) -> str:
        """Runs this environment's Python and returns what it printed.

        Raises:
            CheckError: it failed; or, with `fails_with`, it succeeded, or its output does not hold that text.
        """
        return self.run(str(self.venv / "bin/python"), *arguments, fails_with=fails_with, folder=folder)

    def run(self, *command: str, fails_with: str = "", folder: Path | None = None) -> str:
        """As `python`, with any program."""
        kept = {key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "MLFLOW"))}
        environment = {**kept, "PYTHONNOUSERSITE": "1", "COLUMNS": "200"}
        done = subprocess.run(
            command,
            cwd=folder or self.folder,
            env=environment,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
        )
        expected = "an error" if fails_with else "success"
        if (done.returncode != 0) != bool(fails_with) or fails_with not in done.stdout or "Traceback" in done.stdout:
            said = f" that says {fails_with!r}" if fails_with else ""
            raise CheckError(
                f"expected {expected}{said}, got exit status {done.returncode}:\n  {' '.join(command)}\n{done.stdout}"
            )
        return done.stdout

    def script(self, name: str, *arguments: str) -> str:
        """Runs a file that lies beside this one."""
        return self.python(str(HERE / name), *arguments)


def check_no_extra(base: Environment) -> None:
    """Every command that needs no extra, from the phantom to the heat map."""
    base.step("commands and rooms")
    base.run(str(base.venv / "bin/monai-ich"), "--help")
    base.script("import_all.py")
    base.step("a phantom, and training")
    settings = [word for key, value in {**TINY_DATA, **TINY_RUN}.items() for word in (f"--{key}", value)]
    base.python("-m", "monai.bundle", "run", "--config_file", "bundles/mtl/train.json", *settings)
    ours = ("-m", "monai_ich")
    base.step("check, split, audit")
    base.python(*ours, "check", "data_manifests/phantom.csv")
    base.python(*ours, "split", "data_manifests/phantom.csv", "--output", "split.csv", "--protocol", "patient")
    base.python(*ours, "audit", "data_manifests/phantom.csv", "--no-pictures", "--workers", "1")
    base.step("predict, gradcam")
    base.python(*ours, "predict", "runs/tiny", str(source(base)), "--output-dir", "plain")
    base.python(*ours, "predict-example", "--output-dir", "example")
    base.python(*ours, "gradcam", "runs/tiny", str(source(base)), "--output-dir", "heat")
    base.step("export says which extra it needs")
    base.python(*ours, "export", "runs/tiny", "refused", fails_with="pip install 'monai_ich[export]'")


def source(environment: Environment) -> Path:
    """An uncompressed DICOM slice of the phantom."""
    return min((environment.folder / "data").rglob("*.dcm"))


def check_decoders(extra: Environment, base: Environment) -> None:
    """A slice compressed as JPEG lossless is predicted as the uncompressed one, and refused without the extra."""
    packed = extra.folder / "jpeg_lossless" / source(extra).name
    packed.parent.mkdir(exist_ok=True)
    extra.script("write_jpeg_lossless.py", str(source(extra)), str(packed))
    words = "python-gdcm: pip install 'monai_ich[decoders]'"
    base.python("-m", "monai_ich", "predict", "runs/tiny", str(packed), "--output-dir", "refused", fails_with=words)
    extra.python("-m", "monai_ich", "predict", "runs/tiny", str(packed), "--output-dir", "unpacked")
    same_bytes(extra.folder / "plain/slices.csv", extra.folder / "unpacked/slices.csv")


def check_export(extra: Environment, base: Environment) -> None:
    """A run is exported, and its bundle predicts the same where only the packages of its metadata are installed."""
    extra.python("-m", "monai_ich", "export", "runs/tiny", "shared/tiny")
    bundle = extra.folder / "shared/tiny"
    elsewhere = base.copy("elsewhere")
    elsewhere.step("the exported bundle, with what its metadata requires")
    elsewhere.script("keep_required.py", str(bundle / "configs/metadata.json"))
    config = ["--config_file", "configs/inference.json", "--bundle_root", "."]
    places = ["--input", str(source(extra)), "--output_dir", "../elsewhere"]
    elsewhere.python("-m", "monai.bundle", "run", *config, *places, folder=bundle)
    same_bytes(extra.folder / "plain/slices.csv", extra.folder / "shared/elsewhere/slices.csv")


def same_bytes(expected: Path, got: Path) -> None:
    """Raises CheckError unless both files hold the same."""
    if expected.read_bytes() != got.read_bytes():
        raise CheckError(f"expected the content of {expected}:\n{expected.read_text()}\ngot {got}:\n{got.read_text()}")


def check_test(extra: Environment, base: Environment) -> None:
    """All test modules can be imported, and the quick tests of one room pass."""
    extra.python("-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider", "tests")
    extra.python("-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/utils")
    extra.python("-m", "ruff", "--version")
    extra.python("-m", "mypy", "--version")


def check_docs(extra: Environment, base: Environment) -> None:
    """The builder of the documentation starts."""
    extra.python("-m", "mkdocs", "--version")


def check_mutation(extra: Environment, base: Environment) -> None:
    """The mutation tool starts."""
    extra.python("-m", "mutmut", "--version")


# What is run with each extra of setup.cfg: the environment with that extra, and the one without any.
CHECKS: dict[str, Callable[[Environment, Environment], None]] = {
    "decoders": check_decoders,
    "docs": check_docs,
    "export": check_export,
    "mutation": check_mutation,
    "test": check_test,
}


def check_extra(name: str, base: Environment) -> None:
    """Installs one extra into a copy of the environment without any, imports what it brought, and runs its check."""
    if name not in CHECKS:
        raise CheckError(f"the extra {name!r} has no check: add one to CHECKS in {Path(__file__).relative_to(ROOT)}")
    extra = base.copy(name)
    extra.step("install")
    extra.install(f"{extra.wheel}[{name}]")
    extra.step("its packages and commands")
    extra.script("import_extra.py", name)
    CHECKS[name](extra, base)


def set_up(base: Environment) -> None:
    """Copies what the commands work on, builds the wheel, and installs it without extras."""
    code = base.folder.with_name("code")
    copy_of_root(base.folder, "bundles", "tests", "docs", "pyproject.toml", "README.md", "CONTRIBUTING.md")
    # without what an earlier build left beside it
    copy_of_root(code, "monai_ich", "setup.cfg", "pyproject.toml", "README.md", "LICENSE")
    subprocess.run([sys.executable, "-m", "venv", str(base.venv)], check=True)
    base.step("build the wheel")
    base.python("-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(base.wheel), str(code))
    base.wheel = next(base.wheel.glob("*.whl"))
    base.step("install it")
    base.install(str(base.wheel))


def copy_of_root(target: Path, *names: str) -> None:
    """Copies files and folders of the repository."""
    target.mkdir(parents=True)
    for name in names:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, target / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copyfile(ROOT / name, target / name)


def extras_of(base: Environment) -> list[str]:
    """The extras that the installed wheel's metadata lists."""
    code = "from importlib import metadata; print(*metadata.metadata('monai_ich').get_all('Provides-Extra', []))"
    return base.python("-c", code).split()


Result = tuple[str, float, str]


def timed(name: str, check: Callable[..., None], *arguments: object) -> Result:
    """Runs a check. Returns its name, how long it took in s, and `ok` or `FAILED`; a failure is printed."""
    begun = time.monotonic()
    outcome = "ok"
    try:
        check(*arguments)
    except (CheckError, OSError, subprocess.CalledProcessError) as error:
        print(f"{name} FAILED: {error}", flush=True)
        outcome = "FAILED"
    return name, time.monotonic() - begun, outcome


def check_all(base: Environment, only: Sequence[str]) -> list[Result]:
    """Checks the wheel alone, then the extras, two at a time; their checks start from the run that the first trains."""
    results = [timed("set-up", set_up, base)]
    if results[-1][-1] == "ok":
        results.append(timed("no extra", check_no_extra, base))
    if results[-1][-1] == "ok":
        with ThreadPoolExecutor(2) as pool:
            results += pool.map(lambda name: timed(name, check_extra, name, base), only or extras_of(base))
    return results


def main() -> int:
    """Returns the exit status: 1 when any check failed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--work", type=Path, help="a new folder for all that is made, which is kept")
    parser.add_argument("--only", nargs="+", default=[], metavar="EXTRA", help="these extras alone")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        work = (arguments.work or Path(temporary)).resolve()
        begun = time.monotonic()
        results = check_all(Environment(work / "venvs/base", work / "folder", work / "wheel"), arguments.only)
        results.append(("all", time.monotonic() - begun, "ok" if {r[-1] for r in results} == {"ok"} else "FAILED"))
    for name, seconds, outcome in results:
        print(f"{name:12} {seconds:5.0f} s  {outcome}")
    return int(results[-1][-1] != "ok")


if __name__ == "__main__":
    sys.exit(main())
