"""The commands, one module each; `shiftproof.cli` puts them together. Nothing heavy is imported before it is needed."""
