"""The house: a room imports only rooms below it, and the ground floors stand without torch."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import goalward

PACKAGE = Path(goalward.__file__).parent
FLOORS = [
    "__main__",
    "cli",
    "bench",
    "benches",
    "stages",
    "prove",
    "preflight",
    "loop",
    "wiring",
    "probes",
    "recipe",
    "stage",
    "evaluation",
    "experience",
    "learning",
    "engines",
    "models",
    "kernels",
    "tasks",
    "feedback",
    "formal",
    "runs",
    "types",
    "schema",
    "errors",
    "__init__",
]
"""From roof to ground."""

LIGHT = [
    "types",
    "schema",
    "errors",
    "tasks",
    "feedback",
    "formal",
    "runs.run",
    "runs.files",
    "evaluation.statistics",
    "models.pocket",
]


def room(module: str) -> str:
    return module.split(".")[1] if "." in module else "__init__"


def imports(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return {name for name in found if name.split(".")[0] == "goalward"}


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda p: str(p.relative_to(PACKAGE)))
def test_imports_go_down(path: Path):
    own = path.relative_to(PACKAGE).with_suffix("").parts[0]
    for name in imports(path):
        below = room(name)
        assert FLOORS.index(below) >= FLOORS.index(own), f"{own} imports {name}, which stands above it"
        if own == "learning":
            assert below not in ("experience", "feedback")


def test_every_room_has_a_floor():
    rooms = {
        path.stem for path in PACKAGE.iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()
    }
    assert rooms == set(FLOORS)


def test_files_are_short():
    long = {str(p): n for p in PACKAGE.rglob("*.py") if (n := len(p.read_text().splitlines())) > 400}
    assert not long


def test_light_rooms_stand_without_torch():
    modules = [
        ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(".__init__")
        for path in PACKAGE.rglob("*.py")
    ]
    light = [m for m in modules if any((m + ".").startswith(f"goalward.{name}.") for name in LIGHT)]
    light = [m for m in light if "pocket." not in m]  # making the model needs torch; finding it does not
    assert len(light) > len(LIGHT)
    code = f"import {', '.join(light)}, sys; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
