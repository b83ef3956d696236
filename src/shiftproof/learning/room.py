"""What the server does for the last exhibit: answers at a move, an audit, a repair.

Long work runs beside the server, and tells how far it is.
"""

from __future__ import annotations

import json
import re
import shlex
import shutil
import tempfile
import threading
import traceback
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from shiftproof.errors import GuaranteeWarning, ShiftproofError

if TYPE_CHECKING:
    from torch import nn

    from shiftproof.auditing.record import Progress
    from shiftproof.learning.own import Own

JSON = "application/json"
HTML = "text/html; charset=utf-8"
Given = Mapping[str, str]
Reply = tuple[str, bytes]  # media type, body


class Room:
    """The learner's network behind the server.

    Requests come at once, from several tabs too. torch.export is for one thread: while it takes a graph, it changes how modules
    run everywhere. So the check is made once, before anything else is answered; audits and repairs wait for each other; and
    while a repair is made, no answer is.

    Args:
        open_own: makes what is shown; called once, when the page first asks.
        options: how the model was asked for on the command line, to say how an audit is repeated.
    """

    def __init__(self, open_own: Callable[[], Own], options: tuple[str, ...] = ()) -> None:
        self._open, self._options = open_own, options
        self._opening, self._starting, self._working = threading.Lock(), threading.Lock(), threading.Lock()
        self._own: Own | None = None
        self._first: dict[str, Any] = {}
        self._mended: dict[str, nn.Module] = {}
        self._jobs: dict[str, dict[str, Any]] = {}
        self._pages: dict[str, bytes] = {}
        self._folders: set[str] = set()
        warnings.simplefilter("ignore", GuaranteeWarning)  # how many pictures a repair covers is said on the page

    def get(self, path: str, given: Given) -> Reply | None:
        """What is asked for; None where there is no such thing."""
        if path in self._pages:
            return HTML, self._pages[path]
        asked = {"material/own.json": self._held, "own/answer.json": self._answer, "own/work.json": self._state}.get(
            path
        )
        return None if asked is None else _said(lambda: asked(given))

    def post(self, path: str, given: Given) -> Reply | None:
        """Starts an audit or a repair; None where there is no such thing."""
        asked = {"own/audit.json": self._audit, "own/repair.json": self._repair}.get(path)
        return None if asked is None else _said(lambda: asked(given))

    def own(self) -> Own:
        """The network and its pictures, opened and checked when first asked for."""
        from shiftproof.learning.own import held

        with self._opening:
            if self._own is None:
                own = self._open()
                self._first = held(own)
                self._own = own
            return self._own

    def leave(self) -> None:
        """Removes what work that is not done has written. The work itself cannot be stopped: the process has to end."""
        for folder in list(self._folders):
            shutil.rmtree(folder, ignore_errors=True)

    def _held(self, given: Given) -> dict[str, Any]:
        self.own()
        return self._first | {"jobs": self._state(given)}

    def _answer(self, given: Given) -> dict[str, Any]:
        from shiftproof.learning.own import class_name

        own, edge, network = self._asked(given)
        picture = _whole(given, "picture", 0, len(own.names) - 1)
        move = (_whole(given, "dy", -own.far, own.far), _whole(given, "dx", -own.far, own.far))
        (found,) = own.answers(network, picture, edge, [move])
        return {"said": found, "name": class_name(own, found[0])}

    def _state(self, given: Given) -> dict[str, Any]:
        return {name: dict(job) for name, job in list(self._jobs.items())}

    def _audit(self, given: Given) -> dict[str, Any]:
        own, edge, network = self._asked(given)
        name = f"{edge} {int(network is not own.model.module)}"

        def audit(job: dict[str, Any]) -> dict[str, Any]:
            from shiftproof.learning.own import audited
            from shiftproof.report import write_page

            def show(p: Progress) -> None:
                job.update(done=min(p.views, p.total_views), total=p.total_views)

            with tempfile.TemporaryDirectory(prefix="shiftproof-", ignore_cleanup_errors=True) as folder:
                self._folders.add(folder)
                place = Path(folder) / "audit"
                finish = lambda record: write_page(record, place)  # noqa: E731
                command = self._command(own, edge) if network is own.model.module else ""
                found = audited(own, network, edge, out=place, finish=finish, progress=show, command=command)
                page = f"own/{name.replace(' ', '-')}.html"
                self._pages[page] = (place / "index.html").read_bytes()
            return {**found, "page": page}

        return self._start(f"audit {name}", audit)

    def _repair(self, given: Given) -> dict[str, Any]:
        own, edge, _ = self._asked({**given, "mended": "0"})

        def repair(job: dict[str, Any]) -> dict[str, Any]:
            from shiftproof.repairing import repair

            with own.lock:
                if edge == "crop":  # nothing can be proved where new pixels come in
                    mended = repair(own.model, goal=edge, method="average", data=own.source, labels=False)
                else:
                    mended = repair(own.model, goal=edge)
            self._mended[edge] = mended
            return {"method": mended.record.method, "guarantee": str(mended.guarantee), "cost": mended.record.cost}

        return self._start(f"repair {edge}", repair)

    def _asked(self, given: Given) -> tuple[Own, Any, nn.Module]:
        """The own network, the edge, and the network that is to answer."""
        own = self.own()
        edge = given.get("edge", "")
        if edge not in own.edges:
            raise ValueError(f"edge {edge!r}: it is one of {', '.join(own.edges)}")
        if not _whole(given, "mended", 0, 1):
            return own, edge, own.model.module
        if edge not in self._mended:
            raise ValueError("nothing is repaired yet")
        return own, edge, self._mended[edge]

    def _start(self, name: str, work: Callable[[dict[str, Any]], dict[str, Any]]) -> dict[str, Any]:
        """Begins work beside the server, unless it was begun before and did not fail; how far all work is."""

        def run(job: dict[str, Any]) -> None:
            try:
                with self._working:
                    found = work(job)
            except Exception as e:
                job.update(error=_words(e), busy=False)
            else:
                job.update(found, busy=False)

        with self._starting:
            if name not in self._jobs or "error" in self._jobs[name]:
                self._jobs[name] = {"busy": True}
                threading.Thread(target=run, args=(self._jobs[name],), daemon=True).start()
        return self._state({})

    def _command(self, own: Own, edge: str) -> str:
        """The audit as it is typed."""
        from shiftproof.learning.own import PICTURES

        how = ("--limit", str(PICTURES), "--boundary", edge, "--max-px", str(own.far), "--layers", "0")
        return shlex.join(("shiftproof", "audit", own.model.word, own.source.word, *how, *self._options))


def small() -> Own:
    """The network that is there where the learner gives none."""
    from shiftproof.learning.own import DATA, MODEL, opened

    return opened(MODEL, DATA)


def _said(ask: Callable[[], dict[str, Any]]) -> Reply:
    """The answer as JSON; an error is an answer too, in a sentence, so that the page can show it."""
    try:
        found = ask()
    except Exception as e:
        found = {"error": _words(e)}
    return JSON, json.dumps(found).encode()


def _words(e: Exception) -> str:
    """An error in a sentence; one that is not ours is also printed where the server runs."""
    if not isinstance(e, ShiftproofError | ValueError):
        traceback.print_exception(e)
        return f"{type(e).__name__}: {e}"
    return str(e)


def _whole(given: Given, name: str, low: int, high: int) -> int:
    """A whole number of a request."""
    text = given.get(name, "0")
    if not re.fullmatch(r"-?\d{1,9}", text) or not low <= int(text) <= high:
        raise ValueError(f"{name}={text!r:.20}: it is a whole number from {low} to {high}")
    return int(text)
