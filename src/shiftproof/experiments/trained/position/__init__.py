"""Tasks in which position is the answer, and the networks that keep it, leak it or lose it."""
