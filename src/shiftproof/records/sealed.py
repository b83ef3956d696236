"""Files with a seal: whoever reads one back knows that it is what was written, and that it was written for this place.

The seal is a SHA-256 of the content and of what the content is of, so that neither a flipped bit nor a file that was copied
from somewhere else is taken for kept work. It does not protect against somebody who makes a seal of their own.

>>> data = seal(b"figures", "run a, block 1")
>>> unseal(data, "run a, block 1"), unseal(data, "run a, block 2"), unseal(data[:-1], "run a, block 1")
(b'figures', None, None)
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

BYTES = 32  # of SHA-256
SEAL = "seal"  # its name in a JSON object


def seal(content: bytes, of: str) -> bytes:
    """The content with its seal in front.

    Args:
        content: any bytes.
        of: what they are of; it must be the same when they are read.
    """
    return _digest(content, of) + content


def unseal(data: bytes, of: str) -> bytes | None:
    """The content that `seal` was given; None if a single byte differs, or if it is of something else."""
    content = data[BYTES:]
    return content if data[:BYTES] == _digest(content, of) else None


def seal_json(value: dict[str, Any], of: str) -> bytes:
    """The object as JSON, with its seal as one more entry.

    Args:
        value: plain values; keys are strings.
        of: what it is of.
    """
    return json.dumps({**value, SEAL: _digest(_canonical(value), of).hex()}).encode()


def unseal_json(data: bytes, of: str) -> dict[str, Any] | None:
    """The object that `seal_json` was given; None if it is not JSON, is not what was written, or is of something else."""
    try:
        value = json.loads(data)
    except (ValueError, RecursionError):
        return None
    if not isinstance(value, dict):
        return None
    found = value.pop(SEAL, None)
    return value if found == _digest(_canonical(value), of).hex() else None


def _canonical(value: dict[str, Any]) -> bytes:
    return json.dumps(value, sort_keys=True).encode()


def _digest(content: bytes, of: str) -> bytes:
    return hashlib.sha256(of.encode() + b"\0" + content).digest()
