"""Pooling and training on moved pictures, on photographs as on digits."""
