"""What is installed: a wheel with all that is needed and no tests, a menu entry, and a bundle without Python."""

from __future__ import annotations

import configparser
import importlib.util
import shutil
import subprocess
import sys
import tomllib
import xml.etree.ElementTree as ET
import zipfile
from pathlib import Path

import pytest

import app.__main__
from app import guide
from engine.session_file import SUFFIX

ROOT = Path(__file__).parents[1]
DESKTOP = ROOT / "resources" / "desktop"
ID = "io.github.nablascope.Nablascope"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def test_the_wheel_holds_app_engine_resources_and_guide_and_nothing_else(tmp_path: Path) -> None:
    pytest.importorskip("hatchling", reason="hatchling, which builds the wheel, is not installed")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    kept = {name for name in names if not name.startswith(f"nablascope-{PROJECT['version']}.d")}
    assert {name.partition("/")[0] for name in kept} == {"app", "engine", "resources"}
    assert not [name for name in names if "test" in name.rpartition("/")[2] and name.endswith(".py")]
    for folder in ("app", "engine"):
        assert {str(p.relative_to(ROOT)) for p in (ROOT / folder).rglob("*.py")} <= names
    assert {str(p.relative_to(ROOT)) for p in (ROOT / "resources").rglob("*.json")} <= names
    pages = {
        str(Path("resources/guide") / p.relative_to(ROOT / "docs")) for p in (ROOT / "docs" / "guide").glob("*.md")
    }
    assert pages <= names
    assert f"resources/guide/{guide.FIRST_PAGE}" in names
    assert "resources/guide/digits-dark.png" in names
    data = f"nablascope-{PROJECT['version']}.data/data/share"
    assert f"{data}/applications/{ID}.desktop" in names
    assert f"{data}/metainfo/{ID}.metainfo.xml" in names
    assert f"{data}/mime/packages/{ID}.xml" in names
    assert f"{data}/icons/hicolor/scalable/apps/{ID}.svg" in names
    assert wheel.stat().st_size < 12_000_000


def test_the_menu_entry_starts_the_program_under_the_name_its_window_has() -> None:
    file = configparser.ConfigParser(interpolation=None)
    file.optionxform = str  # type: ignore[assignment, method-assign]
    file.read(DESKTOP / f"{ID}.desktop", encoding="utf-8")
    entry = file["Desktop Entry"]
    assert (entry["Type"], entry["Name"], entry["Icon"], entry["Terminal"]) == (
        "Application",
        "Nablascope",
        ID,
        "false",
    )
    assert entry["Exec"].split()[0] in PROJECT["scripts"]
    assert entry["Categories"].endswith(";")
    of_sessions = ET.parse(DESKTOP / f"{ID}.mime.xml").getroot().find("{*}mime-type")
    assert of_sessions is not None
    assert entry["MimeType"] == f"{of_sessions.get('type')};"
    assert [glob.get("pattern") for glob in of_sessions.findall("{*}glob")] == [f"*{SUFFIX}"]
    assert f'setDesktopFileName("{ID}")' in Path(app.__main__.__file__).read_text(encoding="utf-8")
    if shutil.which("desktop-file-validate"):
        subprocess.run(["desktop-file-validate", str(DESKTOP / f"{ID}.desktop")], check=True)


def test_software_centres_are_told_what_they_ask_for() -> None:
    file = DESKTOP / f"{ID}.metainfo.xml"
    root = ET.parse(file).getroot()
    assert root.get("type") == "desktop-application"
    wanted = {"id": ID, "name": "Nablascope", "metadata_license": "CC0-1.0", "project_license": PROJECT["license"]}
    assert {field: root.findtext(field) for field in wanted} == wanted
    assert root.findtext("launchable") == f"{ID}.desktop"
    assert root.findtext("provides/binary") in PROJECT["scripts"]
    summary = root.findtext("summary") or ""
    assert 0 < len(summary) < 90
    assert not summary.endswith(".")
    assert len(root.findall("description/ul/li")) >= 3
    assert root.find("content_rating") is not None
    if shutil.which("appstreamcli"):
        subprocess.run(["appstreamcli", "validate", "--no-net", str(file)], check=True, capture_output=True)


@pytest.mark.campaign
@pytest.mark.timeout(1200)
def test_a_bundle_is_built_by_one_command_and_trains_checks_and_shows_its_window(tmp_path: Path) -> None:
    if importlib.util.find_spec("PyInstaller") is None:
        pytest.skip("PyInstaller is not installed: pip install '.[bundle]'")
    command = [sys.executable, str(ROOT / "packaging" / "bundle.py"), str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    assert "trains and shows its window" in done.stdout
    assert (tmp_path / "dist" / "nablascope" / "_internal" / "resources" / "guide" / guide.FIRST_PAGE).is_file()
