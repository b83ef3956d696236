"""`shiftproof learn`: exhibits to touch, in a browser, from a server on this machine or in one file."""
