"""The longer commands, a module each; `shiftproof.cli` is their door. Nothing heavy is imported before it is needed."""
