"""Experiments that need no training: their figures are exact."""
