"""Counterexamples by running the model, in all three worlds."""
