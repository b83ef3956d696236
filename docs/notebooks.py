"""A notebook for each verb, executed: docs/notebooks/VERB.ipynb.

    python docs/notebooks.py          # runs all of them and writes them anew
    python docs/notebooks.py check    # this one

A test runs their code again. Each needs neither data nor a network connection.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

FOLDER = Path(__file__).with_name("notebooks")

# Paragraphs of text and of code, by turns; text begins each.
NOTEBOOKS: dict[str, tuple[str, ...]] = {
    "audit": (
        "# Audit: how much does the answer change when the picture moves?\n\n"
        "The network reads handwritten digits of 8 x 8 pixels. It comes with shiftproof, and so do the pictures. Yours are "
        'any `torch.nn.Module`, or a word such as `"timm:resnet18"`, and a folder, a tensor, a list of pictures or a data set.',
        "import shiftproof as sp\n\n"
        'model = sp.load_model("builtin:digits-cnn")\n'
        'pictures = sp.open_data("digits", limit=200)\n'
        'record = sp.audit(model, pictures, translations=sp.grid(max_px=2, boundary="zero"))\n'
        "record",
        "Every figure has an interval, which is clustered by picture: the 25 views of one digit are not 25 digits.",
        'record.metrics["flip_rate"]',
        "The layers say where the error comes from, and why: *border*, *aliasing* or *position*.",
        "for layer in record.layers:\n"
        '    print(f"{layer.name:10} stride {layer.stride}  error {layer.error.total.value:.3f}")',
        "The maps show it by move: the fraction of pictures with the answer of the unmoved one. Rows are moves down, columns "
        "moves to the right, by -2 to 2 px; the middle is the picture as it is.",
        'import numpy as np\n\nnp.round(np.array(record.maps["agreement"].values).reshape(5, 5), 2)',
    ),
    "check": (
        "# Check: what can be proved about it, without any picture?\n\n"
        "The check reads the network's graph. It says for which moves the answer cannot change, and where a proof fails.",
        "import torch\nfrom torch import nn\n\nimport shiftproof as sp\n\n"
        "torch.manual_seed(0)\n\n\n"
        "def network(**how):\n"
        "    return nn.Sequential(\n"
        "        nn.Conv2d(1, 8, 3, padding=1, **how),\n"
        "        nn.ReLU(),\n"
        "        nn.MaxPool2d(2),\n"
        "        nn.AdaptiveAvgPool2d(1),\n"
        "        nn.Flatten(),\n"
        "    ).eval()\n\n\n"
        "verdict = sp.check(network(), input_size=(1, 12, 12))\n"
        "verdict",
        "Zero padding tells the network where the border is, and the pooling keeps every second cell. Each finding names the "
        "layer and a change that mends it.",
        "for finding in verdict.findings:\n"
        '    print(finding.code, finding.module, finding.detail, "->", finding.mend.kind)',
        "With circular padding, the answer stays the same for all moves by even numbers of pixels around the circle. That is "
        "proved for every picture, and a run agrees.",
        'mended = network(padding_mode="circular")\n'
        "verdict = sp.check(mended, input_size=(1, 12, 12))\n"
        "x = torch.rand(1, 1, 12, 12)\n"
        "with torch.no_grad():\n"
        "    off = (mended(x.roll((2, 4), (2, 3))) - mended(x)).abs().max()\n"
        "print(verdict.circular.status, verdict.circular.step, float(off) < 1e-6)",
        "`shiftproof check --explain T2` says what a code means, with an example.",
    ),
    "repair": (
        "# Repair: the same network, with a guarantee or steadier\n\n"
        "A repair copies the model, mends what stands between it and the goal, has the result checked, and runs it at many "
        "moves. A model whose runs contradict the proof is not handed out.",
        "import torch\n\nimport shiftproof as sp\n\n"
        'model = sp.load_model("builtin:digits-cnn")\n'
        'mended = sp.repair(model, goal="circular")\n'
        "print(mended.guarantee)\n"
        "for change in mended.changes:\n"
        '    print(change.action, change.module, "-", change.why)',
        "The answer is now the same, to the last bit, wherever on the circle the picture stands.",
        "x = torch.rand(4, 1, 8, 8)\n"
        "with torch.no_grad():\n"
        "    same = [torch.equal(mended(x.roll((dy, dx), (2, 3))), mended(x)) for dy in range(8) for dx in range(8)]\n"
        'print(sum(same), "of", len(same), "moves")',
        "**A proof says nothing about accuracy.** These digits fill their frame, and this small network reads a digit only where "
        "it was trained to: at the place that the pose finds, it fails. Give your pictures as `data`, and a repair that costs "
        "too many right answers is refused.",
        'digits = sp.open_data("digits", limit=300)\n'
        "try:\n"
        '    sp.repair(model, goal="circular", data=digits)\n'
        "except sp.errors.RepairError as refused:\n"
        '    print(str(refused)[:150] + " ...")',
        "For a camera, which brings in what the picture did not show, nothing can be proved. Fine-tuning makes the network "
        "steadier, and an audit before and after says by how much.",
        "from shiftproof.data import open_training\n"
        "from shiftproof.training import Recipe\n\n"
        "mended = sp.repair(\n"
        '    model, goal="crop", method="fine-tuning", data=digits, shown=open_training("digits"), recipe=Recipe(epochs=20)\n'
        ")\n"
        "mended.record",
    ),
    "reproduce": (
        "# Reproduce: published experiments, run again\n\n"
        "Each experiment judges a claim of the literature: it holds, holds in part, does not hold, or is not decided here.",
        "import tempfile\nfrom pathlib import Path\n\nimport shiftproof as sp\n\n"
        "with tempfile.TemporaryDirectory() as folder:\n"
        '    record = sp.reproduce("softmax", folder=Path(folder))\n'
        "record",
        "The verdict, the reason, and the sentence to take away:",
        'for claim in record.claims:\n    print(claim.outcome, "-", claim.reason)\nprint(record.take_away)',
    ),
    "learn": (
        "# Learn: exhibits to touch\n\n"
        "`shiftproof learn` opens them in a browser. `--export` writes them as one file that loads nothing, which can be shown "
        "here, mailed, or put on a stick.",
        "import subprocess\nfrom pathlib import Path\n\n"
        'done = subprocess.run(["shiftproof", "learn", "--export", "exhibits.html"], capture_output=True, text=True)\n'
        'print(done.stderr or done.stdout)\nprint(Path("exhibits.html").stat().st_size > 500_000)',
        "In a notebook that runs on your machine, `IFrame` shows them.",
        'from IPython.display import IFrame\n\nIFrame("exhibits.html", width="100%", height=600)',
    ),
}


def made(verb: str) -> nbformat.NotebookNode:
    """The notebook of a verb, not yet run."""
    parts = NOTEBOOKS[verb]
    cells = [new_code_cell(p) if k % 2 else new_markdown_cell(p) for k, p in enumerate(parts)]
    for k, cell in enumerate(cells):
        cell["id"] = f"{verb}-{k}"  # drawn at random otherwise
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    return new_notebook(cells=cells, metadata={"kernelspec": kernel, "language_info": {"name": "python"}})


def run(verb: str) -> nbformat.NotebookNode:
    """The notebook of a verb with what its cells gave.

    Raises:
        nbclient.exceptions.CellExecutionError: a cell raised an error.
    """
    notebook = made(verb)
    with tempfile.TemporaryDirectory() as folder:
        NotebookClient(notebook, timeout=300, resources={"metadata": {"path": folder}}).execute()
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)  # when it ran
    return notebook


def main() -> None:
    """Runs and writes the notebooks that are named, or all."""
    FOLDER.mkdir(exist_ok=True)
    for verb in sys.argv[1:] or NOTEBOOKS:
        nbformat.write(run(verb), FOLDER / f"{verb}.ipynb")
        print(FOLDER / f"{verb}.ipynb")


if __name__ == "__main__":
    main()
