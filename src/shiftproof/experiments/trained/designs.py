"""Designs of small networks, and the changes of a design that the sensitivity experiment ranks."""

from __future__ import annotations

import functools
from dataclasses import dataclass, replace

from torch import nn

from shiftproof.experiments.lab import Lab
from shiftproof.experiments.trained.moved_digits import Setting, setting

FEW = 6000  # training pictures of the networks whose differences are ranked
AUGMENTATION, ARCHITECTURE = "augmentation", "architecture"  # the kinds of changes


@dataclass(frozen=True)
class Design:
    """A network of the experiment.

    Args:
        pattern: of `ConvNet`.
        wider: by how many steps its kernels are larger than usual (2 px per step; 1 px on small pictures).
        augmented: whether it is trained on moved pictures.
        few: whether it is trained on `FEW` pictures.
    """

    pattern: str
    wider: int = 0
    augmented: bool = False
    few: bool = True

    def trained(self, lab: Lab, seed: int) -> nn.Module:
        """The trained network; without changes it is the pooling experiment's."""
        here = setting(lab)
        how = here.training(augmented=self.augmented, pictures=FEW if self.few else None)
        build = here.build(self.pattern)
        if self.wider:
            build = functools.partial(build, kernel_size=self.kernel_size(here))
        return lab.trained(self.pattern, build, how, seed)

    def kernel_size(self, here: Setting) -> int:
        """Of its convolutions, in pixels."""
        return here.kernel_size + self.wider * (2 if here.side_px >= 28 else 1)

    @property
    def name(self) -> str:
        """Its row in a table."""
        return f"{self.pattern}, augmented" if self.augmented else self.pattern


MAPPED = tuple(Design(p, augmented=a, few=False) for a in (False, True) for p in ("c", "cp", "cpcp"))


@dataclass(frozen=True)
class Effect:
    """One thing that is changed, all else equal.

    Args:
        name: what is changed, as a noun.
        kind: "augmentation" or "architecture".
        before: the network without the change.
        after: the network with it.
    """

    name: str
    kind: str
    before: Design
    after: Design


def effects(here: Setting) -> list[Effect]:
    """The changes that are ranked."""
    c, cp, cc, cpcp = (Design(p) for p in ("c", "cp", "cc", "cpcp"))
    small, large, larger = (Design("c", wider=w).kernel_size(here) for w in (0, 1, 2))
    return [
        Effect("augmentation of c", AUGMENTATION, c, replace(c, augmented=True)),
        Effect("augmentation of cpcp", AUGMENTATION, cpcp, replace(cpcp, augmented=True)),
        Effect("pooling (c to cp)", ARCHITECTURE, c, cp),
        Effect("pooling twice (cc to cpcp)", ARCHITECTURE, cc, cpcp),
        Effect("one more layer (c to cc)", ARCHITECTURE, c, cc),
        Effect("two more layers (c to ccc)", ARCHITECTURE, c, Design("ccc")),
        Effect(f"wider filters in c ({small} to {large} px)", ARCHITECTURE, c, replace(c, wider=1)),
        Effect(f"wider filters in c ({small} to {larger} px)", ARCHITECTURE, c, replace(c, wider=2)),
        Effect(f"wider filters in cp ({small} to {larger} px)", ARCHITECTURE, cp, replace(cp, wider=2)),
    ]
