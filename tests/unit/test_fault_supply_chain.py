"""What is installed is what was locked: every package by hash, from the default index, and aiohttp above its last holes."""

from __future__ import annotations

import re
import tomllib
from importlib.metadata import version
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_lock_pins_every_package_by_hash_from_the_default_index():
    packages = tomllib.loads((ROOT / "uv.lock").read_text())["package"]
    assert len(packages) > 20
    for package in packages:
        if package["source"] == {"editable": "."}:
            continue
        assert package["source"] == {"registry": "https://pypi.org/simple"}, package["name"]
        files = [*package.get("wheels", []), *([package["sdist"]] if "sdist" in package else [])]
        assert files, package["name"]
        for file in files:
            assert re.fullmatch(r"sha256:[0-9a-f]{64}", file["hash"])
            assert file["url"].startswith("https://files.pythonhosted.org/"), file["url"]


def test_aiohttp_is_at_least_the_version_without_its_known_holes():
    wanted = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    (line,) = (entry for entry in wanted if entry.startswith("aiohttp"))
    floor = tuple(map(int, re.search(r">=([\d.]+)", line)[1].split(".")))
    assert floor >= (3, 14, 5)
    assert tuple(map(int, version("aiohttp").split(".")[:3])) >= floor
