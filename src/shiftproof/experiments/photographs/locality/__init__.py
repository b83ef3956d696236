"""How the dependence of two pixels falls with their distance."""
