"""Published weights, from the caches of the libraries that publish them, or downloaded into these. Only tensors are read."""

from __future__ import annotations

import logging
import os
import socket
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from shiftproof.errors import ModelError
from shiftproof.printable import said

DEFAULT = "DEFAULT"
"""The name of the weights that a library itself takes where nobody names others, as torchvision calls them."""

FORCED = {"TORCH_FORCE_WEIGHTS_ONLY_LOAD": "1", "TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD": None}
OWN_FILE = "connect once, so that they are kept there, or give a file of the weights (--weights FILE)"


@contextmanager
def tensors_only() -> Iterator[None]:
    """Inside, `torch.load` unpickles nothing but tensors, whatever it is asked for.

    torchvision's loader asks for everything, and timm's falls back to that if a file makes the careful way fail. torch reads
    this setting from the environment of the process; it is put back.
    """
    before = {name: os.environ.get(name) for name in FORCED}
    _set(FORCED)
    try:
        yield
    finally:
        _set(before)


def from_hub(repo: str, names: Sequence[str], where: str) -> Path:
    """The first of these files that a repository on the hub has: from the cache, or downloaded into it.

    Args:
        repo: `OWNER/NAME`, or `OWNER/NAME@REVISION`.
        names: names of files, in order of preference.
        where: the model's name, for errors.

    Raises:
        ModelError: the file is not in the cache and cannot be downloaded, or there is none of these.
    """
    from huggingface_hub import constants, hf_hub_download
    from huggingface_hub.errors import EntryNotFoundError, LocalEntryNotFoundError
    from huggingface_hub.utils import disable_progress_bars

    name, _, revision = repo.partition("@")
    asked = {"repo_id": name, "revision": revision or None}
    try:
        for file in names:  # the cache first: what was used once is used again, and needs no network
            try:
                return Path(hf_hub_download(filename=file, local_files_only=True, **asked))
            except LocalEntryNotFoundError:
                continue
        cache = f"{constants.HF_HUB_CACHE}/models--{name.replace('/', '--')}"
        if constants.HF_HUB_OFFLINE or not _reaches(constants.ENDPOINT):
            raise _offline(f"{names[0]} of {name}", cache, where)
        disable_progress_bars()
        with _quiet("huggingface_hub"):
            for file in names:
                try:
                    return Path(hf_hub_download(filename=file, **asked))
                except LocalEntryNotFoundError as e:  # the connection was lost
                    raise _offline(f"{file} of {name}", cache, where) from e
                except EntryNotFoundError:
                    continue
    except ModelError:
        raise
    except (
        Exception
    ) as e:  # no such repository, a private one, a name that is none: the hub's library has a dozen kinds
        reason = said(e).split(". ")[0]
        raise ModelError(f"the hub does not give {name}: {reason}", where=where, remedy="is the name right?") from e
    raise ModelError(f"{name} on the hub has no {' or '.join(names)}", where=where, remedy="give a file with --weights")


def from_url(url: str, where: str) -> Path:
    """A file of weights in torch's cache, or downloaded into it and compared with the digest in its name.

    Args:
        url: its address; its name may end with the first digits of its SHA-256.
        where: the model's name, for errors.

    Raises:
        ModelError: it is not in the cache and cannot be downloaded.
    """
    from torch import hub

    folder = Path(hub.get_dir()) / "checkpoints"
    file = folder / Path(urlsplit(url).path).name
    if file.is_file():
        return file
    digest = hub.HASH_REGEX.search(file.name)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        hub.download_url_to_file(url, str(file), digest[1] if digest else None, progress=False)
    except urllib.error.HTTPError as e:
        raise ModelError(f"the published weights are no longer there: {said(e)}", where=where, remedy=OWN_FILE) from e
    except (OSError, RuntimeError) as e:  # RuntimeError: the digest differs
        if isinstance(e, RuntimeError):
            raise ModelError(f"the download is damaged: {said(e)}", where=where, remedy="try again") from e
        raise _offline(file.name, str(folder), where) from e
    return file


def _offline(file: str, cache: str, where: str) -> ModelError:
    return ModelError(
        f"the published weights cannot be downloaded: there is no connection, and {file} is not in the cache {cache}",
        where=where,
        remedy=OWN_FILE,
    )


def _reaches(address: str) -> bool:
    """Whether the name of a server can be looked up. The hub's library would try for half a minute."""
    host = urlsplit(address).hostname
    if urllib.request.getproxies() or host is None:  # then the proxy looks it up
        return True
    try:
        socket.getaddrinfo(host, 443)
    except OSError:
        return False
    return True


@contextmanager
def _quiet(name: str) -> Iterator[None]:
    """Inside, a library's logger prints errors only: a retry of a download is nothing to act on."""
    logger = logging.getLogger(name)
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(before)


def _set(values: dict[str, str | None]) -> None:
    for name, value in values.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value
