"""Layers as plain `torch.nn` modules; each says by `law` what it promises about translations.

Shapes are (n, c, h, w) as in torch; constructor arguments have torch's names and order.
"""

from shiftproof.layers.law import Law

__all__ = ["Law"]
