"""What the package shows: its names, its floors, how quickly it starts."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

import shiftproof

ROOT = Path(__file__).parents[2]


def test_every_name_in_all_is_there():
    for name in shiftproof.__all__:
        assert getattr(shiftproof, name) is not None


def test_the_surface_is_what_it_was():
    assert shiftproof.__all__ == [
        "AuditOptions",
        "AuditRecord",
        "Translation",
        "TranslationSet",
        "Verdict",
        "audit",
        "check",
        "grid",
        "layers",
        "load_model",
        "measure",
        "open_data",
        "path",
        "project_to_convolution",
        "random",
        "records",
        "repair",
        "reproduce",
        "ring",
        "roundtrip_error",
        "testing",
        "torus",
        "translate",
        "wrap",
    ]


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'shift'"):
        shiftproof.shift  # noqa: B018


def test_audit_stays_a_function_whatever_is_imported():
    code = "import shiftproof.auditing.audit, shiftproof as sp; assert callable(sp.audit); assert callable(sp.grid)"
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("module", ["shiftproof", "shiftproof.cli", "shiftproof.report", "shiftproof.records"])
def test_importing_a_door_or_the_report_does_not_import_torch(module):
    code = f"import sys, {module}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_check_above_can_fail():
    code = "import sys, shiftproof.translations; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 1


def test_the_version_is_the_one_of_the_package():
    from importlib.metadata import version

    assert shiftproof.__version__ == version("shiftproof")


def test_no_registry_or_host_is_named_in_what_decides_the_install():
    for name in ("pyproject.toml", "constraints.txt", "Makefile", ".pre-commit-config.yaml"):
        text = re.sub(
            r"(?s)\[project\.urls\].*?\n\n", "", (ROOT / name).read_text()
        )  # papers, not places to install from
        assert not any(word in text for word in ("://", "index-url", "find-links", "trusted-host"))
