"""Whether onnxruntime can load a file within a budget, tried in a process of its own."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

from shiftproof.errors import ModelError
from shiftproof.reading.budget import Budget

# onnxruntime works out what depends on no input while it loads a graph: a file of a kilobyte can ask for products of matrices
# that take hours, or double a constant thirty times. It has no limits for that, and nothing in this process could stop it.
SECONDS, BYTES_A_SECOND = 60, 2**24  # of the processor; large files take longer to read
MEMORY, TIMES_THE_FILE = 2**30, 8  # what loading touches
TOO_MUCH = 7  # the exit status of the program below when memory ran out
PROGRAM = """
import resource, sys
path, seconds, memory = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
import onnxruntime
resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 5))
resource.setrlimit(resource.RLIMIT_AS, (memory + 2**32, memory + 2**32))
resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
options = onnxruntime.SessionOptions()
options.intra_op_num_threads = options.inter_op_num_threads = 1
options.log_severity_level = 4
try:
    onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
except MemoryError:
    sys.exit(7)
except Exception as e:
    if "alloc" in str(e).lower():
        sys.exit(7)
try:
    # Linux counts in ru_maxrss what the process that started this one had in memory; VmHWM begins anew with this program.
    with open("/proc/self/status") as status:
        peak = next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmHWM:"))
except (OSError, StopIteration):
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
if peak > memory:
    sys.exit(7)
"""


def try_session(path: str, seconds: int = SECONDS) -> None:
    """Does nothing if onnxruntime loads the file, or refuses it with an error of its own.

    Args:
        path: the ONNX file.
        seconds: of the processor that a small file may take.

    Raises:
        ModelError: loading takes too much time or memory, or ends the process.
    """
    size = Path(path).stat().st_size
    seconds, memory = seconds + size // BYTES_A_SECOND, MEMORY + TIMES_THE_FILE * size
    budget = Budget(path, {"seconds": seconds, "bytes of memory": memory}, error=ModelError)
    try:
        # -P: a file called onnxruntime.py in the current folder is not the library.
        done = subprocess.run(
            [sys.executable, "-P", "-c", PROGRAM, path, str(seconds), str(memory)],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
            timeout=10 * seconds,  # of the clock: the processor may be shared, or wait for a file that never comes
        )
    except subprocess.TimeoutExpired as e:
        raise budget.refusal("seconds") from e
    if done.returncode == TOO_MUCH:
        raise budget.refusal("bytes of memory")
    if done.returncode in (-signal.SIGXCPU, -signal.SIGKILL):  # the second comes five seconds after the first
        raise budget.refusal("seconds")
    if done.returncode < 0:
        raise ModelError(
            f"onnxruntime crashes on it (signal {-done.returncode})",
            where=path,
            remedy="do not trust it, or export it again",
        )
