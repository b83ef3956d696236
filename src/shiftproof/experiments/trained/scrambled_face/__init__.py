"""The parts of a real face in wrong places."""
