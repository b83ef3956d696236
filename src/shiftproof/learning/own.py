"""The learner's own network, as the last exhibit holds it: pictures, answers at every move, and what the check finds."""

from __future__ import annotations

import base64
import threading
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from shiftproof.auditing import audit
from shiftproof.auditing.default_moves import fitted
from shiftproof.auditing.forward import run
from shiftproof.auditing.pictures import from_source
from shiftproof.auditing.stream import as_unit
from shiftproof.boundaries import Boundary
from shiftproof.checking import check
from shiftproof.data import Source, open_data
from shiftproof.errors import BadItemError, LearnError, ShiftproofError
from shiftproof.measure import ANSWERS
from shiftproof.models import LoadedModel, load_model
from shiftproof.printable import printable
from shiftproof.records import MAPS, AuditRecord
from shiftproof.records.verdict_words import groups, sentence
from shiftproof.translations import TranslationSet, grid, translate

PICTURES = 6  # that the page holds
FARTHEST = 8  # pixels
PLAYED = 3  # pixels to the right: the move of the question
BATCH = 32
MODEL, DATA = "builtin:digits-cnn", "digits"  # where no model is given

Move = tuple[int, int]


@dataclass(frozen=True)
class Own:
    """A network, a few pictures, and how they can be moved.

    Args:
        model: whose answer is class scores, probabilities or a logit.
        source: the pictures, as an audit takes them.
        names: of the pictures.
        scenes: (n, c, h + 2 far, w + 2 far) in [0, 1]: with a margin, of which only `crop` shows anything.
        far: the largest move along each axis, in pixels.
        edges: what may move in; the first is what an audit would choose.
        notes: what a reader must know before reading an answer, as an audit says it.
        lock: the network answers one question at a time, and none while its graph is taken: torch.export changes the module.
    """

    model: LoadedModel
    source: Source
    names: tuple[str, ...]
    scenes: Tensor
    far: int
    edges: tuple[Boundary, ...]
    notes: tuple[str, ...]
    lock: threading.Lock = field(default_factory=threading.Lock)

    def moves(self, edge: Boundary) -> TranslationSet:
        """All moves that can be made by hand."""
        return grid(self.far, edge)

    def answers(self, network: nn.Module, picture: int, edge: Boundary, moves: list[Move]) -> list[tuple[int, float]]:
        """The network's class and its probability for one picture at some moves.

        Args:
            network: the model's own, or a mended one.
            picture: its index.
            edge: one of `edges`.
            moves: (dy, dx) in pixels, each within `far`.
        """
        model = replace(self.model, module=network)
        kind = ANSWERS[model.answer or "scores"]
        assert kind.decide is not None  # `opened` took no other
        assert kind.probability is not None
        scene, m = self.scenes[picture : picture + 1], self.far
        seen = scene if edge == "crop" else scene[..., m : scene.shape[-2] - m, m : scene.shape[-1] - m]
        found: list[tuple[int, float]] = []
        for first in range(0, len(moves), BATCH):
            views = translate(seen, moves[first : first + BATCH], edge, margin_px=m if edge == "crop" else 0)[0]
            with self.lock, torch.inference_mode():
                output = run(model, views)
            chosen = kind.decide(output)
            shares = kind.probability(output.float(), chosen)
            found += [(int(c), float(p)) for c, p in zip(chosen, shares, strict=True)]
        return found


def opened(model: str, data: str, **how: Any) -> Own:
    """The network and a few of the pictures, spread evenly over the data.

    Args:
        model: as `load_model` takes it.
        data: as `open_data` takes it.
        how: what else `load_model` takes: weights, pretrained, mean, std, scale, crop_fraction.

    Raises:
        LearnError: the model decides on no class for a picture.
        ModelError: the model cannot be loaded, or fails.
        DataError: the data cannot be read.
    """
    source = open_data(data, limit=PICTURES)
    loaded = load_model(model, default_size=source.size, **how)
    # The audit of no move at all finds out what the output is, and says what was assumed.
    still = audit(loaded, source, translations=grid(0, "circular"), layers=0)
    kind = ANSWERS[still.model.answer]
    if kind.decide is None or kind.probability is None or still.model.task == "dense":
        raise LearnError(
            f"the model answers with {kind.words}, and the exhibit shows the class of a picture",
            where=model,
            remedy="use shiftproof audit, which measures such answers too",
        )
    far = min(FARTHEST, min(loaded.input_size[1:]) // 2)
    if far < PLAYED:
        raise LearnError(
            f"its pictures are {' x '.join(map(str, loaded.input_size[1:]))} pixels: too small to be moved by {PLAYED} pixels",
            where=model,
            remedy="give a network of larger pictures",
        )
    edges: tuple[Boundary, ...] = ("circular", "zero")
    first = fitted(grid(far, "circular"), source, loaded).translations.boundary
    if first == "crop":
        edges = ("crop", *edges)
    pictures = from_source(source, loaded, margin_px=far, labelled=False)
    scenes, names = list[Tensor](), list[str]()
    for i in range(pictures.count):
        try:
            picture = pictures.load(i)
        except BadItemError:
            continue
        scenes.append(as_unit(picture.pixels))
        names.append(picture.name)
    loaded.module.eval()
    return Own(
        replace(loaded, answer=still.model.answer),
        source,
        tuple(names),
        torch.stack(scenes),
        far,
        edges,
        tuple(note.text for note in still.notes),
    )


def held(own: Own, *, whole: bool = False) -> dict[str, Any]:
    """What the exhibit starts with, as JSON holds it.

    Args:
        own: the network and its pictures.
        whole: with the answers at all moves and the audit of the first edge, for a page that no server answers; else with
            the answers to the pictures where they are, and after the move of the question.
    """
    model, network = own.model, own.model.module
    c, h, w = model.input_size
    said: dict[str, list[tuple[int, float]]] = {}
    for edge in own.edges:
        every = [(int(y), int(x)) for y, x in own.moves(edge).offsets]
        moves = every if whole and edge == own.edges[0] else [(0, 0), (0, PLAYED)]
        for k in range(len(own.names)):
            found = own.answers(network, k, edge, moves)
            said |= {key(edge, 0, k, move): [answer] for move, answer in zip(moves, found, strict=True)}
    return {
        "live": not whole,
        "model": printable(model.word),
        "data": printable(own.source.word),
        "random": model.random_weights,
        "notes": [printable(text) for text in own.notes],
        "size": [c, h, w],
        "far": own.far,
        "edges": list(own.edges[:1] if whole else own.edges),
        "names": {str(i): class_name(own, i) for i in _classes(said)},
        "pictures": [{"name": printable(name), "pixels": _pixels(own.scenes[k])} for k, name in enumerate(own.names)],
        "said": {name: found[0] for name, found in said.items()},
        "check": found_by_check(model),
        "audits": {f"{own.edges[0]} 0": audited(own, network, own.edges[0])} if whole else {},
    }


def key(edge: str, mended: int, picture: int, move: Move) -> str:
    """The name of an answer, as the page writes it too."""
    return f"{edge} {mended} {picture} {move[0]} {move[1]}"


def class_name(own: Own, index: int) -> str:
    """The name of a class: the model's own, else that of the data, else its number."""
    if own.model.labels is not None:
        return printable(own.model.labels[index])
    return printable(own.source.class_names.get(index, str(index)))


def found_by_check(model: LoadedModel) -> dict[str, Any]:
    """The sentence of a verdict, and its findings, those of one kind and fix together; or why there is no verdict.

    Each has the name, the place and the numbers of its first, and what would fix it.
    """
    try:
        verdict = check(model)
    except ShiftproofError as e:
        return {"sentence": printable(str(e)), "findings": []}
    found = [
        {
            "code": group[0].code,
            "name": group[0].name,
            "where": printable(f"{group[0].module} {group[0].detail}"),
            "fix": printable(group[0].mend.code),
            "count": len(group),
        }
        for group in groups(verdict)
    ]
    return {"sentence": printable(sentence(verdict)), "findings": found}


def audited(own: Own, network: nn.Module, edge: Boundary, **how: Any) -> dict[str, Any]:
    """The audit's map of the share of pictures that keep their answer, as JSON holds it.

    Args:
        own: the network and its pictures.
        network: the model's own, or a mended one.
        edge: one of `own.edges`.
        how: what else `audit` takes: progress, a folder.
    """
    record: AuditRecord = audit(
        replace(own.model, module=network), own.source, translations=own.moves(edge), layers=0, **how
    )
    return from_record(record)


def from_record(record: AuditRecord) -> dict[str, Any]:
    """Of an audit's record what the exhibit shows.

    `share` is of the answers after a move that are those without one. The record's consistency is another figure: it
    compares all pairs of moves.
    """
    same = next(row.name for row in MAPS.values() if row.view == "same")
    found = record.maps[same]
    kept = {f"{int(y)} {int(x)}": v for (y, x), v in zip(found.offsets_px, found.values, strict=True)}
    after = [v for move, v in kept.items() if move != "0 0" and v is not None]
    return {"kept": kept, "share": sum(after) / len(after), "pictures": record.data.used, "moves": len(after)}


def _classes(said: dict[str, list[tuple[int, float]]]) -> list[int]:
    return sorted({answer for found in said.values() for answer, _ in found})


def _pixels(scene: Tensor) -> str:
    """Bytes (h, w, c) of a scene, in base64."""
    levels = (scene.clamp(0, 1) * 255).round().to(torch.uint8).permute(1, 2, 0)
    return base64.b64encode(np.ascontiguousarray(levels.numpy()).tobytes()).decode()
