"""Experiments on photographs and faces."""
