"""The wheel holds the program, its configs and its base, and works away from the checkout."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(build, cwd=CHECKOUT, check=True, capture_output=True)
    (made,) = folder.glob("*.whl")
    return made


def test_the_wheel_holds_every_config_and_the_shipped_base(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    for path in (CHECKOUT / "conf").rglob("*.yaml"):
        assert f"ctxext/conf/{path.relative_to(CHECKOUT / 'conf').as_posix()}" in names
    for name in ("config.json", "model.safetensors", "tokenizer.json", "README.md"):
        assert f"ctxext/bases/tiny/{name}" in names


def test_the_installed_wheel_composes_the_main_command_elsewhere(wheel: Path, tmp_path: Path) -> None:
    site = tmp_path / "site"
    install = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--no-deps",
        "--no-index",
        "--target",
        str(site),
        str(wheel),
    ]
    subprocess.run(install, check=True, capture_output=True)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    # PYTHONPATH comes before the checkout that is installed in place, so that the wheel is what runs.
    command = [sys.executable, "-m", "ctxext", "train", "+method=rope_interp", "--cfg", "job"]
    environment = {**os.environ, "PYTHONPATH": str(site)}
    shown = subprocess.run(command, cwd=elsewhere, env=environment, check=True, capture_output=True, text=True).stdout
    where = [sys.executable, "-c", "import ctxext; print(ctxext.__file__)"]
    found = subprocess.run(where, cwd=elsewhere, env=environment, check=True, capture_output=True, text=True).stdout
    assert found.startswith(str(site))
    assert "name: rope_interp" in shown
    assert "_target_: ctxext.position.rope.RopeInterp" in shown
