"""The worked example of docs/all-of-shiftproof.md: every command on one model, with what each really prints.

    python docs/worked_example.py     # runs everything again and writes docs/worked_example.json; then `make docs`

`docs/generate.py` puts the kept outputs into the page. A test runs everything again and compares.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path

KEPT = Path(__file__).with_name("worked_example.json")
WIDTH = 100
COMMANDS = {
    "audit": "shiftproof audit builtin:digits-cnn digits --boundary zero --max-px 2 --limit 200 --out audit",
    "check": "shiftproof check builtin:digits-cnn --out check",
    "refute": "shiftproof check builtin:digits-cnn --refute",
    "repair": "shiftproof repair builtin:digits-cnn --goal circular --out mended",
    "reproduce": "shiftproof reproduce softmax --out experiments",
    "learn": "shiftproof learn --export exhibits.html",
}
PYTHON = {  # run one after the other, as a reader would type them
    "python_audit": """\
import shiftproof as sp

model = sp.load_model("builtin:digits-cnn")  # or any torch.nn.Module
pictures = sp.open_data("digits", limit=200)
record = sp.audit(model, pictures, translations=sp.grid(max_px=2, boundary="zero"))
for name in ("accuracy_unmoved", "flip_rate"):
    metric = record.metrics[name]
    print(f"{name}: {metric.value:.4f}, 95 % interval {metric.low:.4f} to {metric.high:.4f}")
""",
    "python_check": """\
verdict = sp.check(model)
print(verdict.circular.status, verdict.circular.step)
for finding in verdict.findings:
    print(finding.code, finding.module, "->", finding.mend.kind)
""",
    "python_repair": """\
import torch

mended = sp.repair(model, goal="circular")
x = torch.rand(1, 1, 8, 8)
print(torch.equal(mended(x.roll((2, 3), (2, 3))), mended(x)))
""",
    "python_reproduce": """\
import tempfile
from collections.abc import Iterator
from pathlib import Path

with tempfile.TemporaryDirectory() as folder:
    record = sp.reproduce("softmax", folder=Path(folder))
for figure in record.figures[:2]:
    print(f"{figure.row}: {figure.column} {figure.measured:.2g}")
""",
    "python_layers": """\
closed = torch.nn.Sequential(
    sp.layers.CircularConv2d(1, 16, 3, padding=1),  # T2: the padding wraps around
    torch.nn.ReLU(),
    sp.layers.PolyphasePool2d(2),  # T1: the content chooses which cells are kept
    sp.layers.CircularConv2d(16, 32, 3, padding=1),
    torch.nn.ReLU(),
    sp.layers.PolyphasePool2d(2),
    sp.layers.GlobalPool2d(),  # T5: pool over positions before the dense layer
    torch.nn.Linear(32, 10),
)
verdict = sp.check(closed, (1, 8, 8))
print(verdict.circular.status, verdict.circular.step)
""",
}


@contextlib.contextmanager
def elsewhere() -> Iterator[None]:
    """An empty folder is the current one, and is removed afterwards."""
    before = Path.cwd()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        try:
            yield
        finally:
            os.chdir(before)


def printed(command: str) -> str:
    """What a command of ours prints, typed in the current folder; spaces at the ends of lines are left out."""
    from typer.testing import CliRunner

    from shiftproof.cli import app
    from shiftproof.commands.typed import typing

    words = command.split()[1:]
    with typing(words):
        done = CliRunner().invoke(app, words, env={"COLUMNS": str(WIDTH), "TERM": "dumb"})
    if done.exit_code:
        raise SystemExit(f"{command}: exit status {done.exit_code}\n{done.output}{done.exception!r}")
    return _stripped(done.stdout or done.stderr)  # `learn` says on standard error where the file is


def run() -> dict[str, str]:
    """What every command and every piece of Python prints on standard output, by name."""
    with elsewhere():
        found = {name: printed(command) for name, command in COMMANDS.items()}
        shared: dict[str, object] = {}
        for name, code in PYTHON.items():
            with contextlib.redirect_stdout(io.StringIO()) as said:
                exec(compile(code, name, "exec"), shared)
            found[name] = _stripped(said.getvalue())
    return found


def _stripped(text: str) -> str:
    return "\n".join(line.rstrip() for line in text.splitlines())


def steady(text: str) -> str:
    """A printed text without what differs from run to run and from machine to machine: numbers, bars, spacing.

    >>> steady("flip rate   72.12 %  in 3.4 ms  ▁▆██  aabbb")
    'flip rate # % in # s'
    """
    text = re.sub(r"[-<>~]?\s?\d[\d,.]*(?:e[-+]?\d+)?", " #", text)
    text = re.sub(r"# (?:ms|s|min)\b", "# s", text).replace("threads", "thread")
    text = re.sub(r"# [kKMGT]i?B\b", "# MiB", text)  # the peak is the process's, and a process of tests holds more
    text = re.sub(r"[░▒▓█▁▂▃▄▅▆▇·]+|\s[abp?]+\s*$", "", text, flags=re.MULTILINE)
    return " ".join(text.split())


# What a line with one of these says is another thing on another machine, or in another process.
OF_THE_MACHINE = re.compile(
    r"\b(?:ms|s|min|[kKMGT]i?B|FE|threads?|export|forward passes|last bit|largest difference)\b"
)


def figures(text: str) -> list[float]:
    r"""The numbers of a printed text, in order, without times and sizes in memory.

    >>> figures("flip rate   72.12 %, at dy -2\n64 views in 3.4 s")
    [72.12, -2.0]
    """
    lines = [line for line in text.splitlines() if not OF_THE_MACHINE.search(line)]
    found = re.findall(r"(?<![\w.])-?\d[\d,]*(?:\.\d+)?(?:e[-+]?\d+)?", "\n".join(lines))
    return [float(number.replace(",", "")) for number in found if number.strip("-,")]


def block(name: str) -> str:
    """A command or a piece of Python, with what it printed when it was last run."""
    said = json.loads(KEPT.read_text())[name]
    if name == "refute":  # the findings are those of the command before
        said = "...\n" + said[said.index("\n circular ") + 1 :]
    if name in COMMANDS:
        return f"```\n$ {COMMANDS[name]}\n{said}\n```"
    return f"```python\n{PYTHON[name]}```\n\n```\n{said}\n```"


def main() -> None:
    """Run everything and keep what it printed."""
    KEPT.write_text(json.dumps(run(), indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
