"""What commands print of warnings that are not ours."""

import warnings

from rich.console import Console

from shiftproof.commands.output import warnings_on
from shiftproof.errors import RestartWarning


def test_a_warning_of_somebody_elses_code_is_one_line_that_steers_no_terminal(capsys):
    with warnings_on(Console(stderr=True)):
        warnings.simplefilter("always")
        warnings.warn("look\x1b[2J\nhere\u202e", UserWarning, stacklevel=1)
        warnings.warn("kept work is damaged", RestartWarning, stacklevel=1)
    first, second = capsys.readouterr().err.splitlines()
    assert first.startswith("UserWarning: look\\x1b[2J here\\u202e (")
    assert second == "kept work is damaged"
