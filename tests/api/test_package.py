"""The package as a user gets it: built, installed into a clean environment, run; and what its documents promise of it."""

import ast
import configparser
import hashlib
import importlib
import importlib.metadata
import json
import os
import re
import subprocess
import sys
import sysconfig
import tarfile
import tomllib
import venv
import zipfile
from pathlib import Path

import pytest
import yaml

import shiftproof

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
BOOTSTRAP = {"pip", "setuptools", "wheel", "shiftproof"}  # of every environment, and ourselves


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def build(source: Path, out: Path, kind: str) -> Path:
    command = [sys.executable, "-m", "build", "--no-isolation", f"--{kind}", "--outdir", str(out), str(source)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    (made,) = out.iterdir()
    return made


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    return build(ROOT, tmp_path_factory.mktemp("wheel"), "wheel")


@pytest.fixture(scope="module")
def sdist(tmp_path_factory):
    return build(ROOT, tmp_path_factory.mktemp("sdist"), "sdist")


def contents(wheel: Path) -> dict[str, str]:
    with zipfile.ZipFile(wheel) as archive:
        return {name: hashlib.sha256(archive.read(name)).hexdigest() for name in archive.namelist()}


def test_the_wheel_holds_the_package_whole_and_nothing_else(wheel):
    package = ROOT / "src" / "shiftproof"
    files = {p.relative_to(ROOT / "src").as_posix() for p in package.rglob("*") if p.is_file()}
    pages = {f"shiftproof/report/check/pages/{code}.md" for code in shiftproof.records.CODES}
    ours = {f for f in files if "__pycache__" not in f} | pages
    held = set(contents(wheel))
    assert {f for f in held if ".dist-info/" not in f} == ours
    for needed in (
        "py.typed",
        "experiments/costs.json",
        "report/templates/page.js",
        "report/templates/page.html.j2",
        "learning/site/app.js",
        "learning/site/vendor/LICENSE.preact",
        "learning/weights/drag.json",
    ):
        assert f"shiftproof/{needed}" in held
    for needed in ("METADATA", "RECORD", "WHEEL", "entry_points.txt", "licenses/LICENSE", "licenses/NOTICE"):
        assert f"shiftproof-{shiftproof.__version__}.dist-info/{needed}" in held


def test_the_wheel_brings_the_command_and_the_pytest_plugin(wheel):
    with zipfile.ZipFile(wheel) as archive:
        (name,) = [n for n in archive.namelist() if n.endswith("entry_points.txt")]
        points = configparser.ConfigParser()
        points.read_string(archive.read(name).decode())
    assert dict(points["console_scripts"]) == {"shiftproof": "shiftproof.cli:main"}
    assert dict(points["pytest11"]) == {"shiftproof": "shiftproof.pytest_plugin"}


def test_the_source_distribution_builds_the_same_wheel(wheel, sdist, tmp_path):
    with tarfile.open(sdist) as archive:
        names = archive.getnames()
        archive.extractall(tmp_path, filter="data")
    top = f"shiftproof-{shiftproof.__version__}"
    assert {Path(n).parts[1] for n in names} == {
        "src",
        "docs",
        "pyproject.toml",
        "README.md",
        "LICENSE",
        "NOTICE",
        "CHANGELOG.md",
        "CITATION.cff",
        "SECURITY.md",
        "constraints.txt",
        "PKG-INFO",
        ".gitignore",
    }
    assert contents(build(tmp_path / top, tmp_path / "again", "wheel")) == contents(wheel)


class Installed:
    """An environment that has the wheel, and the dependencies of the environment that runs the tests."""

    def __init__(self, folder: Path, wheel: Path) -> None:
        venv.create(folder, with_pip=False)
        self.folder, self.bin = folder, folder / "bin"
        python = str(self.bin / "python")
        command = [
            sys.executable,
            "-m",
            "pip",
            "--python",
            python,
            "install",
            "--quiet",
            "--no-index",
            "--no-deps",
            wheel,
        ]
        done = subprocess.run(command, capture_output=True, text=True, env=self.environment)
        assert done.returncode == 0, done.stderr
        # Only now, and by a plain path: pip never sees the other packages, and our own editable install, which is a
        # .pth file among them, is not read from a folder that is itself named in one.
        (site,) = folder.glob("lib/python*/site-packages")
        (site / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")

    @property
    def environment(self) -> dict[str, str]:
        return {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}

    def run(self, *command: str, cwd: Path) -> subprocess.CompletedProcess[str]:
        command = (str(self.bin / command[0]), *command[1:])
        return subprocess.run(command, cwd=cwd, env=self.environment, capture_output=True, text=True)


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    return Installed(tmp_path_factory.mktemp("installed") / "env", wheel)


def test_what_is_imported_is_the_wheel(installed, tmp_path):
    code = (
        "import importlib.metadata, pkgutil, sys, shiftproof as sp\n"
        "[getattr(sp, name) for name in sp.__all__]\n"
        "print(importlib.metadata.version('shiftproof'), sp.__version__)\n"
        "print(*{m.__file__ for n, m in sys.modules.items() if n.split('.')[0] == 'shiftproof'}, sep='\\n')"
    )
    done = installed.run("python", "-c", code, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    versions, *files = done.stdout.splitlines()
    assert versions == f"{shiftproof.__version__} {shiftproof.__version__}"
    assert len(files) > 20
    assert all(Path(file).is_relative_to(installed.folder) for file in files), files


def test_its_command_line_runs(installed, tmp_path):
    assert "audit" in installed.run("shiftproof", "--help", cwd=tmp_path).stdout
    assert installed.run("shiftproof", "-V", cwd=tmp_path).stdout == f"shiftproof {shiftproof.__version__}\n"
    listed = installed.run("shiftproof", "reproduce", "--list", cwd=tmp_path)  # reads costs.json
    assert listed.returncode == 0, listed.stderr
    page = installed.run("shiftproof", "check", "--explain", "T2", cwd=tmp_path)  # is in the wheel
    assert (page.returncode, page.stdout[:12]) == (0, "# T2: paddin"), page.stderr
    words = ("audit", "builtin:digits-cnn", "digits", "--limit", "20", "--max-px", "1", "--out", "made", "--json")
    done = installed.run("shiftproof", *words, cwd=tmp_path)  # draws the page from its templates
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["data"]["used"] == 20
    assert (tmp_path / "made" / "index.html").read_text().startswith("<!doctype html>")


def test_the_extras(wheel):
    with zipfile.ZipFile(wheel) as archive:
        (name,) = [n for n in archive.namelist() if n.endswith("/METADATA")]
        metadata = archive.read(name).decode()
    assert set(re.findall(r"^Provides-Extra: (.+)$", metadata, re.MULTILINE)) == {
        "timm",
        "onnx",
        "pandas",
        "training",
        "all",
        "dev",
    }
    for extra, brings in (
        ("timm", "timm"),
        ("timm", "torchvision"),
        ("onnx", "onnxruntime"),
        ("pandas", "pandas"),
        ("training", "torchmetrics"),
        ("training", "pytorch-lightning"),
        ("training", "tensorboard"),
        ("all", "timm"),
        ("all", "onnxruntime"),
    ):
        assert re.search(rf"^Requires-Dist: {brings}\b.*extra == '{extra}'$", metadata, re.MULTILINE), (extra, brings)
    assert "Requires-Dist: scipy" in metadata


def imported(tree: ast.AST) -> set[str]:
    """The top-level packages that a module imports anywhere in it."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {a.name.partition(".")[0] for a in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            found.add(str(node.module).partition(".")[0])
    return found


def undeclared(packages: set[str], requirements: list[str]) -> set[str]:
    """The packages that come with none of the distributions required."""
    required = {canonical(re.split(r"[\s<>=!~;\[]", r)[0]) for r in requirements}
    homes = importlib.metadata.packages_distributions()
    foreign = packages - sys.stdlib_module_names - {"shiftproof"}
    return {p for p in foreign if not required & {canonical(d) for d in homes.get(p, ())}}


def test_every_package_that_the_source_imports_is_declared():
    extras = PROJECT["optional-dependencies"]
    # pytest loads the plugin, so it is there where the plugin runs; who does not test needs none
    requirements = [
        *PROJECT["dependencies"],
        *extras["timm"],
        *extras["onnx"],
        *extras["pandas"],
        *extras["training"],
        "pytest",
    ]
    packages = set().union(*(imported(ast.parse(p.read_text())) for p in (ROOT / "src").rglob("*.py")))
    assert {"torch", "scipy", "msgspec", "onnxruntime"} <= packages
    assert undeclared(packages, requirements) == set()
    assert undeclared(packages, [r for r in requirements if not r.startswith("scipy")]) == {"scipy"}


def unpinned(installed: dict[str, str], constraints: str) -> set[str]:
    """The installed distributions that the constraints do not hold at their version."""
    pins = dict(line.split("==") for line in constraints.splitlines() if line and not line.startswith("#"))
    pinned = {canonical(name): version for name, version in pins.items()}
    return {name for name, version in installed.items() if pinned.get(canonical(name)) != version}


def test_every_installed_package_is_pinned():
    if Path(sys.prefix).resolve() != (ROOT / ".venv").resolve():
        pytest.skip("not in the project's own .venv")
    found = importlib.metadata.distributions(path=[sysconfig.get_path("purelib"), sysconfig.get_path("platlib")])
    installed = {d.name: d.version for d in found if canonical(d.name) not in BOOTSTRAP}
    assert len(installed) > 50
    assert unpinned(installed, (ROOT / "constraints.txt").read_text()) == set()


def test_a_package_that_is_not_pinned_is_noticed():
    constraints = "numpy==2.0\nscikit_image==0.26.0\n"
    assert unpinned({"numpy": "2.0", "scikit-image": "0.26.0"}, constraints) == set()
    assert unpinned({"numpy": "2.1", "scipy": "1.0"}, constraints) == {"numpy", "scipy"}


def test_the_citation_says_what_the_package_says():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert {"cff-version", "message", "title", "authors"} <= set(citation)  # what the format requires
    assert citation["cff-version"] == "1.2.0"
    assert citation["type"] == "software"
    assert citation["version"] == shiftproof.__version__ == PROJECT["version"]
    assert citation["license"] == PROJECT["classifiers"][2].split()[-2]
    assert citation["authors"] == PROJECT["authors"]
    for reference in citation["references"]:
        assert {"type", "title", "authors"} <= set(reference)
        assert reference["url"] in PROJECT["urls"].values()


def resolved(name: str) -> object:
    """The module, or the thing in a module, of a dotted name."""
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError:
        module, _, member = name.rpartition(".")
        return getattr(importlib.import_module(module), member)


def test_every_place_that_the_security_page_names_exists():
    page = (ROOT / "SECURITY.md").read_text()
    names = re.findall(r"`(shiftproof\.[\w.]+)`", page)
    assert len(names) >= 15
    for name in names:
        assert resolved(name) is not None
    with pytest.raises((ImportError, AttributeError)):
        resolved("shiftproof.data.npz.open_nothing")


def without_texts(code: str) -> str:
    """The code without docstrings and comments."""
    tree = ast.parse(code)
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            node.value = ast.Constant(None)
    return ast.unparse(tree)


def test_every_reader_of_files_stands_on_the_security_page():
    page = (ROOT / "SECURITY.md").read_text()
    reading = re.compile(
        r"\bopen\(|read_bytes\(|read_text\(|np\.load\(|fromfile\(|torch\.load\(|InferenceSession\(|exec_module\("
    )
    for folder in ("models", "data"):
        for path in (ROOT / "src/shiftproof" / folder).rglob("*.py"):
            name = ".".join(path.relative_to(ROOT / "src").with_suffix("").parts)
            if reading.search(without_texts(path.read_text())):
                assert name in page, f"{name} reads files and is not in SECURITY.md"
