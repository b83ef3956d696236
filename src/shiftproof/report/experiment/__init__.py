"""An experiment's record as an HTML page and as a terminal table."""
