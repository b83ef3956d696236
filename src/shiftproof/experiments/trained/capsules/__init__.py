"""Capsules compared with a convolutional network."""
