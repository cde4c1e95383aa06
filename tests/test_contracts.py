"""The import contracts of pyproject.toml: each is broken once, in a skeleton of the project, and seen to fail."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("importlinter", reason="needs the extra `lint`")

ROOT = Path(__file__).resolve().parents[1]
MODULES = (
    *("app.__init__", "app.startup", "app.session", "app.window", "app.widgets.__init__", "app.widgets.heatmap"),
    *("app.panels.__init__", "app.panels.flow", "app.panels.curves"),
    *("engine.__init__", "engine.initializers", "engine.network", "engine.trainer", "engine.layers.__init__"),
    *("resources.__init__",),
)
BREACHES = [
    ("engine-knows-no-screen", "engine.trainer", "app.session"),
    ("engine-knows-no-screen", "engine.layers", "PySide6.QtCore"),
    ("engine-knows-no-screen", "engine.network", "pyqtgraph"),
    ("resources-import-nothing", "resources", "engine.network"),
    ("startup-is-light", "app.startup", "PySide6.QtCore"),
    ("startup-is-light", "app.startup", "engine.network"),
    ("engine-layers", "engine.network", "engine.trainer"),
    ("engine-layers", "engine.initializers", "engine.layers"),
    ("app-layers", "app.widgets.heatmap", "app.session"),
    ("app-layers", "app.panels.flow", "app.window"),
    ("panels-apart", "app.panels.flow", "app.panels.curves"),
]


def verdict(root: Path, *options: str) -> tuple[int, str]:
    """Exit code and output of import-linter: for all contracts, or with `--contract NAME` for one."""
    code = "import sys; from importlinter.cli import lint_imports_command as run; sys.path.insert(0, ''); run()"
    command = [sys.executable, "-c", code, "--no-cache", "--no-logo", *options]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=60)
    return done.returncode, done.stdout + done.stderr


@pytest.fixture
def skeleton(tmp_path: Path) -> Path:
    """The project's packages as empty files, with the project's contracts."""
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    for module in MODULES:
        file = tmp_path / f"{module.replace('.', '/')}.py"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    return tmp_path


def test_without_a_breach_every_contract_is_kept(skeleton):
    code, output = verdict(skeleton)
    assert code == 0, output


@pytest.mark.parametrize(("contract", "importer", "imported"), BREACHES)
def test_a_breach_of_a_contract_is_seen(skeleton, contract, importer, imported):
    file = skeleton / importer.replace(".", "/")
    file = file / "__init__.py" if file.is_dir() else file.with_suffix(".py")
    file.write_text(f"import {imported}\n")
    code, output = verdict(skeleton, "--contract", contract)
    assert code == 1
    assert "BROKEN" in output
    assert importer in output


def test_every_contract_is_broken_here():
    contracts = {
        line.split('"')[1] for line in (ROOT / "pyproject.toml").read_text().splitlines() if line.startswith("id = ")
    }
    assert contracts == {contract for contract, _, _ in BREACHES}


def test_the_project_keeps_its_contracts():
    code, output = verdict(ROOT)
    assert code == 0, output
