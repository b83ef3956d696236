"""Claims on blocks: one process at a time, given back by whoever died or was not heard of."""

import os
import subprocess
import sys
import time

import pytest

from shiftproof.auditing import claims as claims_module
from shiftproof.auditing.claims import Claims

TAKING = "import sys; from pathlib import Path; from shiftproof.auditing.claims import Claims; "


def test_each_block_is_taken_once_and_the_first_that_is_free(tmp_path):
    with Claims(tmp_path) as one, Claims(tmp_path) as other:
        assert [one.take(range(4)), other.take(range(4)), one.take(range(4)), other.take([0, 1])] == [0, 1, 2, None]
        assert one.has(0)
        one.release(0)
        assert not one.has(0)
        assert other.take([0, 1]) == 0
    assert list(tmp_path.iterdir()) == []


def test_a_claim_that_is_renewed_stands_and_one_that_is_not_lapses(tmp_path):
    (tmp_path / "claim-000000").write_text("another machine 12 34")
    with Claims(tmp_path, lease_s=0.5) as renewing, Claims(tmp_path, lease_s=0.5) as looking:
        assert renewing.take([1]) == 1
        assert looking.take([0, 1]) is None
        deadline = time.monotonic() + 30
        while (found := looking.take([0, 1])) is None and time.monotonic() < deadline:
            time.sleep(0.1)
        assert found == 0
        time.sleep(1)
        assert looking.take([1]) is None
        assert renewing.has(1)


def test_the_claim_of_a_process_that_ended_lapses_at_once(tmp_path):
    code = TAKING + "import os; Claims(Path(sys.argv[1])).take([0, 1]); os._exit(0)"
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True)
    assert (tmp_path / "claim-000000").exists()
    with Claims(tmp_path) as claims:
        assert claims.take([0]) == 0


def test_the_claim_of_a_process_that_is_alive_stands(tmp_path):
    code = TAKING + "print(Claims(Path(sys.argv[1])).take([0]), flush=True); sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"0\n"
        with Claims(tmp_path) as claims:
            assert claims.take([0]) is None
            other.kill()
            other.wait()
            assert claims.take([0]) == 0


def test_a_claim_that_another_took_is_not_this_ones_any_more(tmp_path):
    with Claims(tmp_path) as claims:
        assert claims.take([0]) == 0
        (tmp_path / "claim-000000").write_text("another machine 12 34")
        assert not claims.has(0)
        claims.release(0)
        assert (tmp_path / "claim-000000").read_text() == "another machine 12 34"


def test_a_folder_that_has_gone_gives_nothing(tmp_path):
    with Claims(tmp_path / "gone") as claims:
        assert claims.take(range(3)) is None


@pytest.mark.parametrize("kind", ["folder", "fifo", "bytes", "empty"])
def test_what_stands_in_the_place_of_a_claim_does_not_stop_the_run(tmp_path, monkeypatch, kind):
    monkeypatch.setattr(claims_module, "EMPTY_S", 0.3)
    path = tmp_path / "claim-000000"
    if kind == "folder":
        (path / "inside").mkdir(parents=True)
    elif kind == "fifo":
        os.mkfifo(path)
    else:
        path.write_bytes(b"\xff\xfe\x00" if kind == "bytes" else b"")
    with Claims(tmp_path, lease_s=0.5) as claims:
        deadline = time.monotonic() + 30
        while (found := claims.take([0])) is None and time.monotonic() < deadline:
            time.sleep(0.1)
        assert found == 0
        assert claims.has(0)
