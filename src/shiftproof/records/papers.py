"""The publications that definitions of measures and terms cite."""

from __future__ import annotations

from shiftproof.records.citation import Citation

AZULAY = Citation("Azulay & Weiss 2019", url="https://jmlr.org/papers/v20/19-519.html")
CHAMAN = Citation("Chaman & Dokmanić 2021", url="https://arxiv.org/abs/2011.14214")
CLOPPER = Citation("Clopper & Pearson 1934", url="https://doi.org/10.1093/biomet/26.4.404")
COHEN = Citation("Cohen 1960", url="https://doi.org/10.1177/001316446002000104")
DOSOVITSKIY = Citation("Dosovitskiy et al. 2021", url="https://arxiv.org/abs/2010.11929")
ENGSTROM = Citation("Engstrom et al. 2019", url="https://arxiv.org/abs/1712.02779")
GRUVER = Citation("Gruver et al. 2022", url="https://arxiv.org/abs/2210.02984")
HENDRYCKS = Citation("Hendrycks & Dietterich 2019", url="https://arxiv.org/abs/1903.12261")
ISLAM = Citation("Islam et al. 2020", url="https://arxiv.org/abs/2001.08248")
KAUDERER = Citation("Kauderer-Abrams 2017", url="https://arxiv.org/abs/1801.01450")
KAYHAN = Citation("Kayhan & van Gemert 2020", url="https://arxiv.org/abs/2003.07064")
LEARNED_MILLER = Citation("Learned-Miller & Thomas 2019", url="https://arxiv.org/abs/1905.06208")
MYBURGH = Citation("Myburgh et al. 2021", url="https://arxiv.org/abs/2104.05997")
ZHANG = Citation("Zhang 2019", url="https://arxiv.org/abs/1904.11486")
