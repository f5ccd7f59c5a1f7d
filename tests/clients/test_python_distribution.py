"""`laurels-client` is a distribution of its own: what its wheel holds works without the service."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import venv
import zipfile
from importlib.metadata import distribution
from pathlib import Path

import pytest
from tests.support.programs import PATIENCE

ROOT = Path(__file__).parents[2]
USE = """
import asyncio, importlib, importlib.util, json, pkgutil, sys
import laurels_client
for module in pkgutil.walk_packages(laurels_client.__path__, "laurels_client."):
    importlib.import_module(module.name)
async def complete():
    async with laurels_client.Laurels("http://127.0.0.1:1", deadline=0.1) as laurels:
        await laurels.complete("lesson", "lesson-1")
try:
    asyncio.run(complete())
except laurels_client.Unsettled as unknown:
    print(json.dumps([laurels_client.__file__, importlib.util.find_spec("laurels") is None, unknown.identifiers]))
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    pip = (sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation")
    run(*pip, "--wheel-dir", str(folder), str(ROOT / "clients" / "python"))
    (built,) = folder.glob("laurels_client-*.whl")
    return built


def run(*command: str) -> str:
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, timeout=PATIENCE).stdout


def requirements(name: str) -> set[str]:
    """Return the distributions that `name` needs on this machine, with all that those need, as they are called here."""
    found, open_ones = set[str](), [name]
    while open_ones:
        current = open_ones.pop()
        if current in found:
            continue
        found.add(current)
        for line in distribution(current).requires or ():
            requirement, _, marker = line.partition(";")
            if "extra ==" not in marker and applies(marker):
                open_ones.append(re.split(r"[^\w.-]", requirement.strip(), maxsplit=1)[0])
    return found


def applies(marker: str) -> bool:
    from packaging.markers import Marker

    return not marker.strip() or Marker(marker.strip()).evaluate()


def test_the_wheel_works_without_the_service(wheel: Path, tmp_path: Path) -> None:
    """In an environment that holds the wheel, aiohttp and msgspec with what those need, and nothing else."""
    venv.create(tmp_path / "venv", symlinks=True, with_pip=False)
    (packages,) = (tmp_path / "venv" / "lib").glob("python*/site-packages")
    for name in requirements("aiohttp") | requirements("msgspec"):
        for file in distribution(name).files or ():
            top = Path(file.parts[0])
            source = Path(str(distribution(name).locate_file(top)))
            if top.name != ".." and not (packages / top).exists():
                (packages / top).symlink_to(source)
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(packages)
    python = str(tmp_path / "venv" / "bin" / "python")
    origin, alone, unknown = json.loads(run(python, "-I", "-c", USE))
    assert Path(origin).is_relative_to(packages)
    assert alone
    assert unknown == ["lesson-1"]


def test_the_wheel_says_what_it_is(wheel: Path) -> None:
    """Its types are for its users too, and it asks for aiohttp and msgspec alone."""
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        metadata = archive.read(next(name for name in names if name.endswith("/METADATA"))).decode()
        licence = archive.read(next(name for name in names if name.endswith("/licenses/LICENSE"))).decode()
    assert {re.split(r"[<>=]", line)[0] for line in re.findall(r"^Requires-Dist: (.+)$", metadata, re.MULTILINE)} == {
        "aiohttp",
        "msgspec",
    }
    assert "laurels_client/py.typed" in names
    assert licence == (ROOT / "LICENSE").read_text()
