"""A mended model as files: weights, `.pt2`, `.onnx`, a Python file that rebuilds it, and the record."""

from __future__ import annotations

import importlib.util
import io
import logging
import warnings
from pathlib import Path

import torch
from safetensors.torch import load_file
from safetensors.torch import save as tensors_as_bytes
from torch import Tensor, nn

from shiftproof.checking.graph.alone import ONE_AT_A_TIME
from shiftproof.interruptions import pass_on
from shiftproof.layers import CanonicalPose, PhaseAlign, PoseCandidates
from shiftproof.layers.pose import score_of
from shiftproof.layers.seam_score import shipped
from shiftproof.models import LOADERS, LoadedModel, evaluating
from shiftproof.models.loaded import OF_FILES
from shiftproof.models.loading.onnx_session import OnnxSession
from shiftproof.models.loading.words import kind_of
from shiftproof.records import RepairRecord, save_repair, write_beside
from shiftproof.repairing.mended import Mended
from shiftproof.repairing.repair import with_files
from shiftproof.repairing.surgery import OPSET, joined

LARGEST_BATCH = 1 << 20


def export(mended: Mended, model: LoadedModel | None, folder: Path, *, page: bool = False) -> RepairRecord:
    """Writes `mended.pt2`, `mended.onnx`, `mended.safetensors`, `mended.py` and `repair.json` into a folder.

    Both graphs take any number of pictures, unless the network itself is a graph for a fixed number. A file that cannot be made
    of this model is left out: the record lists those that were written.

    Args:
        mended: the model; it is left as found.
        model: the model as it was loaded by a word, for `mended.py`; None for a module given in Python, of which no file can
            be made that rebuilds it.
        folder: is made if it is not there.
        page: whether the caller writes a page beside them, `index.html`, which the record then lists.

    Returns:
        The record, with the names of the files.

    Raises:
        RecordError: a file cannot be written.
    """
    session = next((m for m in mended.modules() if isinstance(m, OnnxSession)), None)
    written: list[str] = []

    def put(name: str, content: bytes | None) -> None:
        if content is not None:
            write_beside(folder / name, content)
            written.append(name)

    if session is None:
        put("mended.safetensors", tensors_as_bytes({k: v.contiguous().clone() for k, v in mended.state_dict().items()}))
        program = _program(mended)
        put("mended.pt2", None if program is None else _pt2(program, model))
        put("mended.onnx", None if program is None else _onnx(program))
    elif model is not None and mended.pose is not None:
        put("mended.onnx", in_front(mended, session, Path(model.word)))
    if model is not None:
        put("mended.py", source(mended, model).encode())
    record = with_files(mended.record, (*written, "repair.json", *(["index.html"] if page else [])))
    mended.record = record
    save_repair(record, folder)
    return record


def _program(module: nn.Module) -> torch.export.ExportedProgram | None:
    """The program of a module for any number of pictures; for one, where its own code fixes that; None if torch cannot."""
    size = getattr(module, "input_size", None)
    assert size is not None
    first = next((p for p in module.parameters() if p.is_floating_point()), torch.zeros(()))
    for count, free in ((2, ({0: torch.export.Dim("n", min=1, max=LARGEST_BATCH)},)), (1, None)):
        x = torch.zeros((count, *size), dtype=first.dtype, device=first.device)
        try:
            with ONE_AT_A_TIME, torch.no_grad(), evaluating(module):
                return torch.export.export(module, (x,), dynamic_shapes=free, strict=False)
        except Exception as e:  # torch raises many kinds; what stops it, the check has said already
            pass_on(e)
            continue
    return None


def _pt2(program: torch.export.ExportedProgram, model: LoadedModel | None) -> bytes:
    file = io.BytesIO()
    torch.export.save(program, file, extra_files=_preprocessing(model))
    return file.getvalue()


def _preprocessing(model: LoadedModel | None) -> dict[str, str]:
    """What `shiftproof.load_model` reads from a `.pt2` file: how a picture becomes the network's input."""
    import json

    if model is None:
        return {}
    names = ("mean", "std", "scale", "crop_fraction", "interpolation")
    return {"preprocessing.json": json.dumps({n: getattr(model, n) for n in names if n not in model.assumed})}


def _onnx(program: torch.export.ExportedProgram) -> bytes | None:
    """The program as an ONNX graph; None where the packages for it are not installed, or an operator has no counterpart."""
    if importlib.util.find_spec("onnxscript") is None:
        return None
    log = logging.getLogger("torch.onnx")
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of torch's own code
            found = torch.onnx.export(program, dynamo=True, verbose=False, opset_version=OPSET)
        return None if found is None else found.model_proto.SerializeToString()
    except Exception as e:  # torch raises many kinds
        pass_on(e)
        return None
    finally:
        log.setLevel(level)


class _Ordered(nn.Module):
    """A pose for pictures in the order in which a graph takes them."""

    def __init__(self, pose: CanonicalPose | PhaseAlign, last: bool, size: tuple[int, int, int]) -> None:
        super().__init__()
        c, h, w = size
        self.pose, self.last, self.input_size = pose, last, (h, w, c) if last else size

    def forward(self, x: Tensor) -> Tensor:
        x = x.permute(0, 3, 1, 2) if self.last else x
        posed = self.pose(x)
        posed = posed[0] if isinstance(posed, tuple) else posed
        return posed.permute(0, 2, 3, 1) if self.last else posed


def in_front(mended: Mended, session: OnnxSession, path: Path) -> bytes | None:
    """The ONNX file with the pose as its first part, so that one file is the mended model.

    Returns:
        The file; None where the packages `onnx` and `onnxscript` are not installed.

    Raises:
        RepairError: the graph cannot be joined with the pose.
    """
    if importlib.util.find_spec("onnxscript") is None or importlib.util.find_spec("onnx") is None:
        return None
    assert mended.pose is not None
    if isinstance(mended.pose, PoseCandidates):  # the answer decides, which is the last part of the file
        return None
    if mended.dense:  # the answer would have to be put back behind it
        return None
    program = _program(_Ordered(mended.pose, session.channels_last, mended.input_size).eval())
    pose = None if program is None else _onnx(program)
    return None if pose is None else joined(pose, path)


def source(mended: Mended, model: LoadedModel) -> str:
    """Python that builds the mended model again: `shiftproof.load_model("mended.py:build")` reads it."""
    options = {
        "input_size": model.input_size,
        "weights": None if model.weights is None else str(Path(model.weights).resolve()),
    }
    given = "".join(f", {k}={v!r}" for k, v in options.items() if v is not None)
    word = model.word
    kind, _ = kind_of(word, LOADERS)
    if kind in OF_FILES:  # a path is given in full, so that the file may be moved
        path, colon, factory = word.rpartition(":") if kind == ".py" else (word, "", "")
        word = f"{Path(path).resolve()}{colon}{factory}"
    how = {n: getattr(model, n) for n in ("mean", "std", "scale", "crop_fraction", "interpolation")}
    return f'''"""The mended model, as `shiftproof repair` made it. The record beside it, repair.json, says what is guaranteed."""

import shiftproof as sp
import torch
from shiftproof.layers import CanonicalPose, PhaseAlign, PoseCandidates
from shiftproof.layers.seam_head import Head
from shiftproof.repairing import Mended
{_imports(mended)}

def build():
    """The original network, behind its pose."""
    network = sp.load_model({word!r}{given}).module
{_weights(mended)}{_edits(mended)}    pose = {_call(mended.pose)}
    return declared(Mended(network, pose, {mended.input_size!r}, dense={mended.dense!r}))


def declared(model):
    """What `shiftproof.load_model` asks of a model: how a picture becomes its input."""
    for name, value in {how!r}.items():
        setattr(model, name, value)
    return model.eval()
'''


def _imports(mended: Mended) -> str:
    edits = "from shiftproof.repairing.edits import Edit, with_edits\n" if mended.edits else ""
    return edits + ("from shiftproof.repairing.export import read_weights\n" if mended.trained else "")


def _weights(mended: Mended) -> str:
    """The line that gives the network the weights that it was trained to, from the file beside."""
    return "    read_weights(network, __file__)\n" if mended.trained else ""


def read_weights(network: nn.Module, source: str) -> None:
    """Gives a network the weights that lie in `mended.safetensors` beside a `mended.py`.

    Args:
        network: the original; its weights are replaced.
        source: the path of `mended.py`.
    """
    found = load_file(Path(source).with_name("mended.safetensors"))
    network.load_state_dict({k.removeprefix("network."): v for k, v in found.items() if k.startswith("network.")})


def _edits(mended: Mended) -> str:
    """The line that changes the network's layers, if some were changed."""
    if not mended.edits:
        return ""
    return f"    network = with_edits(network, {mended.input_size!r}, {list(mended.edits)!r})\n"


def _call(pose: CanonicalPose | PhaseAlign | PoseCandidates | None) -> str:
    if pose is None:
        return "None"
    if isinstance(pose, PhaseAlign):
        return f"PhaseAlign({pose.step!r}, return_phase=True)"
    if isinstance(pose, PoseCandidates):
        return f"PoseCandidates({pose.most}{_score(pose)}, margin={int(pose.get_buffer('margin'))})"
    at = "" if pose.at is None else f", at={pose.at!r}"
    return f"CanonicalPose({pose.origin!r}{at}{_score(pose)}, return_origin=True)"


def _score(pose: CanonicalPose | PoseCandidates) -> str:
    """The argument for a score that is not the shipped one."""
    if isinstance(pose, CanonicalPose) and pose.origin != "seam":
        return ""
    score, known = score_of(pose), shipped()
    if isinstance(score, Tensor):
        return f", score={score.tolist()}"
    if all(torch.equal(a.cpu(), b) for a, b in zip(score, known, strict=True)):
        return ""
    return f", score=Head(*map(torch.tensor, {[part.tolist() for part in score]}))"
