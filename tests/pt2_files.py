"""Helpers of test_pt2.py and test_pt2_limits.py."""

import json

from torch.export.pt2_archive._package import PT2ArchiveReader, PT2ArchiveWriter

MODEL = "models/model.json"
WEIGHTS = "data/weights/model_weights_config.json"


def changed(path, changes):
    """Rewrites the archive with the given records instead of, or beside, its own; a function changes a record's JSON."""
    reader = PT2ArchiveReader(str(path))
    records = {n: reader.read_bytes(n) for n in reader.get_file_names() if not n.startswith((".data", "byteorder"))}
    for name, change in changes.items():
        if callable(change):
            plain = json.loads(records[name])
            change(plain)
            change = json.dumps(plain).encode()
        records[name] = change
    with PT2ArchiveWriter(str(path)) as writer:
        for name, content in records.items():
            writer.write_bytes(name, content)
    return str(path)
