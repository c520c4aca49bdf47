# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Nothing that identifies a patient is in anything that an import writes, files' names and the terminal included."""

from __future__ import annotations

import gzip
import io
import re
import stat
import unicodedata
from pathlib import Path

import pydicom
import pytest
from importer_support import (
    PLANTED,
    bleeding_patient,
    edit,
    plant,
    read,
    request,
    write_nifti_mask,
    write_study,
    written_files,
)
from typer.testing import CliRunner

import monai_ich
from monai_ich.__main__ import cli
from monai_ich.importers import Pseudonyms, import_dicom, load_key, locate
from monai_ich.importers.redaction import Identity, Redactor, identity_of
from monai_ich.utils.errors import ConfigurationError, ManifestError

SECRETS = re.compile(r"yamada|tar[ōo]\b|0471193|19570314|14031957|2291847", re.IGNORECASE)


def export_with_names(tmp_path: Path) -> Path:
    """A folder named after the patient, with good slices, damaged ones, a localizer, and a mask by the ID."""
    folder = tmp_path / "export" / "YAMADA_TARO_19570314" / "ACC2291847"
    patient = bleeding_patient(1)
    paths, rendered = write_study(folder, patient, change=plant)
    more, _ = write_study(folder / "more", bleeding_patient(2), change=plant)
    more[0].write_bytes(more[0].read_bytes()[:300])  # ends within its header
    edit(more[1], lambda data: setattr(data, "ImageType", ["ORIGINAL", "PRIMARY", "LOCALIZER"]))
    edit(more[2], lambda data: setattr(data, "RescaleType", data.PatientID))  # quoted by the reader's message
    paths[0].rename(folder / f"{PLANTED['PatientID']}_1.dcm")
    write_nifti_mask(tmp_path / "masks" / f"{PLANTED['PatientID']}.nii.gz", patient, rendered)
    return tmp_path / "export"


def assert_clean(*folders: Path) -> None:
    for path in written_files(*folders):
        assert not SECRETS.search(str(path.relative_to(folders[0].parent))), path
        if path.suffix not in (".dcm", ".gz"):
            assert not SECRETS.search(path.read_text(encoding="utf-8")), path


def test_planted_identifiers_are_nowhere(tmp_path: Path) -> None:
    source = export_with_names(tmp_path)
    labels = tmp_path / "labels.csv"
    labels.write_text(f"PatientID,Name,hypodensity\n{PLANTED['PatientID']},{PLANTED['PatientName']},1\nMRN-9,X,0\n")
    arguments = ["import", "dicom", str(source), "--manifest", str(tmp_path / "manifests" / "m.csv")]
    arguments += ["--output", str(tmp_path / "out"), "--hospital", "1", "--labels", str(labels), "--workers", "1"]
    arguments += ["--masks", str(tmp_path / "masks"), "--key-file", str(tmp_path / "secret" / "key"), "--files", "link"]
    arguments += ["--allow-gaps"]
    outcome = CliRunner().invoke(cli, arguments, catch_exceptions=False)
    assert outcome.exit_code == 0
    assert not SECRETS.search(outcome.output)
    frame = read(tmp_path / "manifests" / "m.csv").frame
    assert len(frame) == 5  # one of the second series is left
    assert frame["hypodensity"].isna().tolist() == [mask == "" for mask in frame["mask"]]
    assert "1 labels stayed unknown" in outcome.output
    assert_clean(tmp_path / "out", tmp_path / "manifests")
    refused = (tmp_path / "out" / "import" / "refused.csv").read_text()
    assert "RescaleType is '[removed]'" in refused
    assert "labels,1,1 rows name no patient that was imported (rows 3)" in refused


def test_paths_that_mention_the_patient_are_refused_by_default(tmp_path: Path) -> None:
    export_with_names(tmp_path)
    with pytest.raises(ManifestError, match="nothing can be imported"):
        import_dicom(request(tmp_path, files="refer"))
    assert_clean(tmp_path / "out")
    refused = (tmp_path / "out" / "import" / "refused.csv").read_text()
    assert "its path mentions the patient's name, number, date or UID" in refused
    assert "--files link" in refused


def test_masks_carry_no_names_in_their_headers(tmp_path: Path) -> None:
    export_with_names(tmp_path)
    manifest = read(import_dicom(request(tmp_path, masks=tmp_path / "masks", allow_gaps=True)).manifest)
    for name in {name for name in manifest.frame["mask"] if name}:
        assert not SECRETS.search(gzip.decompress((manifest.dataset_dir / name).read_bytes()).decode("latin-1"))


def test_a_refused_file_is_found_again_with_the_key(tmp_path: Path) -> None:
    source = export_with_names(tmp_path)
    result = import_dicom(request(tmp_path, allow_gaps=True))
    shown = next(entry.path for entry in result.refused if "localizer" in entry.reason)
    assert "[" in shown
    key = tmp_path / "secret" / "key"
    expected = source / "YAMADA_TARO_19570314" / "ACC2291847" / "more" / "IM0002.dcm"
    assert locate(source, shown, Pseudonyms(load_key(key, ()))) == [expected]
    outcome = CliRunner().invoke(cli, ["import", "locate", str(source), shown, "--key-file", str(key)])
    assert outcome.output.strip() == str(expected)
    with pytest.raises(ConfigurationError, match="nothing under"):
        CliRunner().invoke(
            cli, ["import", "locate", str(source), "[0]", "--key-file", str(key)], catch_exceptions=False
        )


def test_pseudonyms_are_those_of_the_key(tmp_path: Path) -> None:
    write_study(tmp_path / "export", bleeding_patient(1), change=plant)

    def identifiers(key: str, output: str) -> set[str]:
        result = import_dicom(request(tmp_path, key_file=tmp_path / key / "key", output=tmp_path / output))
        return set(read(result.manifest).frame[["patient_id", "study_id", "key"]].to_numpy().ravel())

    first = identifiers("one", "a")
    assert identifiers("one", "b") == first
    assert not identifiers("two", "c") & first
    header = pydicom.dcmread(next((tmp_path / "export").iterdir()))
    assert not first & {header.PatientID, header.StudyInstanceUID, header.SeriesInstanceUID}


def test_the_key_is_made_for_its_owner_alone_and_kept_out_of_projects(tmp_path: Path) -> None:
    key = tmp_path / "home" / "key"
    made = load_key(key, ())
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert len(made) == 32
    assert load_key(key, ()) == made
    key.chmod(0o640)
    with pytest.raises(ConfigurationError, match=r"can be read by others \(mode 640\)"):
        load_key(key, ())
    key.chmod(0o600)
    key.write_text("short")
    with pytest.raises(ConfigurationError, match="holds no key; expected 64 hexadecimal digits"):
        load_key(key, ())
    (tmp_path / "project" / ".git").mkdir(parents=True)
    for place, never in (("project/sub/key", ()), ("home/data/key", (tmp_path / "home" / "data",))):
        with pytest.raises(ConfigurationError, match=r"lies in .*, which is shared or holds the data"):
            load_key(tmp_path / place, never)
        assert not (tmp_path / place).exists()
    with pytest.raises(ConfigurationError, match="shared"):
        load_key(Path(monai_ich.__file__).parents[1] / "key", ())


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("export/Yamada/1.dcm", True),
        ("YAMADA TARO", True),
        ("mrn0471193", True),
        ("MRN_0471193.dcm", True),
        ("1957-03-14", True),
        ("14.03.1957", True),
        ("acc-2291847", True),
        ("hospital_1/series_2/IM0001.dcm", False),
        ("taronga", False),  # a short name counts as a whole word only
        ("taro", True),
    ],
)
def test_what_counts_as_a_mention(text: str, found: bool) -> None:
    data = pydicom.Dataset()
    plant(data)
    assert identity_of(data).is_in(text) is found
    assert Identity().is_in(text) is False


JAPANESE = "YAMADA^TAROU=山田^太郎=やまだ^たろう"


def _named(name: str, character_set: str | list[str] = "ISO_IR 192", keyword: str = "PatientName") -> pydicom.Dataset:
    data = pydicom.Dataset()
    data.SpecificCharacterSet = character_set
    setattr(data, keyword, name)
    return _stored(data)


def _stored(data: pydicom.Dataset) -> pydicom.Dataset:
    """As it is read from a file."""
    file = io.BytesIO()
    data.save_as(file, implicit_vr=False, little_endian=True)
    file.seek(0)
    return pydicom.dcmread(file, force=True)


@pytest.mark.parametrize(
    "text",
    [
        *("山田太郎", "山田_太郎", "20210301CT_山田太郎様", "太郎山田", "やまだたろう", "ヤマダ", "ﾔﾏﾀﾞ ﾀﾛｳ"),
        *("ＹＡＭＡＤＡ", "tarouyamada", "山田病院", unicodedata.normalize("NFD", "ヤマダ")),
    ],
)
@pytest.mark.parametrize("character_set", ["ISO_IR 192", ["", "ISO 2022 IR 87"]])
def test_every_group_of_a_japanese_name_counts(text: str, character_set: str | list[str]) -> None:
    assert identity_of(_named(JAPANESE, character_set)).is_in(f"export/{text}/IM0001.dcm")
    assert not identity_of(_named("SUZUKI^HANAKO=鈴木^花子=すずき^はなこ", character_set)).is_in(text)


@pytest.mark.parametrize(
    ("name", "texts", "others"),
    [
        (
            "Kim^Hui=김^희중",
            ["김희중", "CT김희중1", "희중", "김 희중", unicodedata.normalize("NFD", "김희중")],
            ["김치"],
        ),
        ("Wang^XiaoDong=王^小东", ["王小东", "ct王小东-1", "小东", "王_小东", "wangxiaodong"], ["王府", "小儿"]),
        ("Wang^Wei=王^伟", ["王伟", "a王伟b", "王/伟"], ["王府井", "伟大"]),
        ("しょういち^ﾕｳｺ", ["ｼﾖｳｲﾁ", "ショウイチ", "ゆうこ"], ["ゆう"]),
        ("山田　太郎", ["太郎", "山田太郎", "太郎山田"], ["山", "郎"]),
        ("Li^Na", ["li", "LI_NA", "lina", "nali"], ["lina2", "clinic", "final", "linate"]),
        ("Li^Na=李^娜=", ["李娜"], ["clinical", "李子"]),
    ],
)
def test_names_of_other_scripts_and_short_ones(name: str, texts: list[str], others: list[str]) -> None:
    identity = identity_of(_named(name))
    assert [text for text in texts if not identity.is_in(text)] == []
    assert [text for text in others if identity.is_in(text)] == []


@pytest.mark.parametrize("encoding", ["cp932", "euc_jp", "utf-8", "iso2022_jp", "gb18030"])
@pytest.mark.parametrize("declared", ["", "ISO_IR 100"])
def test_a_name_whose_character_set_is_not_declared(encoding: str, declared: str) -> None:
    data = pydicom.Dataset()
    data.SpecificCharacterSet = declared
    data.add_new("PatientName", "PN", "山田^曾太".encode(encoding))  # with ^ as the second byte of a letter in cp932
    stored = _stored(data)
    assert identity_of(stored).is_in("export/山田曾太/1.dcm")
    assert identity_of(stored) == identity_of(stored)


def test_every_one_of_several_names_counts() -> None:
    identity = identity_of(_named("Yamada^Hana=山田^花\\Tanaka^Hana=田中^花", keyword="OtherPatientNames"))
    assert all(identity.is_in(text) for text in ("田中花", "山田花", "hanatanaka", "Tanaka"))
    assert "[" not in "".join(identity.raw)


def test_wide_names_are_taken_out_of_messages_and_of_paths_together(tmp_path: Path) -> None:
    redactor = Redactor(Pseudonyms(bytes(32)), tmp_path)
    identity = identity_of(_named(JAPANESE)) | Identity(plain=frozenset({"19570314"}))
    assert redactor.message("Kernel is 'ﾔﾏﾀﾞ様', 花子", {}, identity) == "Kernel is '[removed]', 花子"
    shown = redactor.path(tmp_path / "1957" / "03" / "14" / "1.dcm", identity)
    assert not re.search("1957|/03/", shown)
    assert redactor.path(tmp_path / "花子" / "山田太郎" / "1.dcm", identity).startswith("花子/[")


def test_a_hospital_that_is_called_as_a_patient_is_refused_with_a_remedy(tmp_path: Path) -> None:
    def named(data: pydicom.Dataset, _: int) -> None:
        data.SpecificCharacterSet, data.PatientName = "ISO_IR 192", JAPANESE

    write_study(tmp_path / "export" / "山田病院", bleeding_patient(1), change=named)
    write_study(tmp_path / "export" / "中央病院", bleeding_patient(2))
    by_path = import_dicom(request(tmp_path, files="refer")).refused
    assert {(entry.path.partition("/")[0][0], "in folder level 1" in entry.reason) for entry in by_path} == {
        ("[", True)
    }
    assert "rename that folder" in by_path[0].remedy
    result = import_dicom(request(tmp_path, hospital="", hospital_level=1))
    assert set(read(result.manifest).frame["hospital"]) == {"中央病院"}
    assert "may be no hospital" in result.refused[0].reason
    assert "--hospital or in the labels' column 'hospital'" in result.refused[0].remedy


def test_two_projects_of_one_key_cannot_be_joined(tmp_path: Path) -> None:
    patient = bleeding_patient(1)
    _, rendered = write_study(tmp_path / "export", patient, change=plant)
    write_nifti_mask(tmp_path / "masks" / f"{PLANTED['PatientID']}.nii.gz", patient, rendered)

    def texts(project: str) -> set[str]:
        """All names in what an import writes: cells, parts of paths, and what its records hold."""
        folder = tmp_path / (project or "own")
        asked = request(
            tmp_path, project=project, output=folder / "out", manifest=folder / "m.csv", masks=tmp_path / "masks"
        )
        frame = read(import_dicom(asked).manifest).frame
        assert (frame["mask"] != "").all()
        content = " ".join(path.read_text() for path in written_files(folder) if path.suffix not in (".dcm", ".gz"))
        paths = " ".join(str(path.relative_to(folder)) for path in written_files(folder))
        return set(re.findall(r"[0-9a-f]{16}", content + paths))

    own, one, other = (texts(project) for project in ("", "hospital A", "hospital B"))
    assert min(len(own), len(one), len(other)) > 5
    assert own.isdisjoint(one | other)
    assert one.isdisjoint(other)
    assert texts("hospital A") == one
    with pytest.raises(ConfigurationError, match="under the pseudonyms of another key or project"):
        import_dicom(request(tmp_path, project="hospital B", output=tmp_path / "hospital A" / "out"))
    with pytest.raises(ConfigurationError, match="with --files refer its manifest names the source's files"):
        import_dicom(request(tmp_path, project="hospital B", files="refer"))


def test_a_refused_file_of_a_project_is_found_with_its_name(tmp_path: Path) -> None:
    source = export_with_names(tmp_path)
    result = import_dicom(request(tmp_path, allow_gaps=True, project="trial"))
    shown = next(entry.path for entry in result.refused if "localizer" in entry.reason)
    arguments = ["import", "locate", str(source), shown, "--key-file", str(tmp_path / "secret" / "key")]
    assert CliRunner().invoke(cli, [*arguments, "--project", "trial"]).output.strip().endswith("IM0002.dcm")
    with pytest.raises(ConfigurationError, match="check --key-file, --project"):
        CliRunner().invoke(cli, arguments, catch_exceptions=False)
