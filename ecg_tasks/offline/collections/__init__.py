"""Public collections of recordings that are known by their layout, a module each; which ones there are. Not here: any other folder."""

from ecg_tasks.offline.collections import chapman, cinc, code15, ludb, mimic_iv_ecg, ptbdb, ptbxl, sph
from ecg_tasks.offline.collections.folder import Collection

COLLECTIONS: tuple[Collection, ...] = (
    ptbxl.PTBXL,
    mimic_iv_ecg.MIMIC_IV_ECG,
    code15.CODE15,
    sph.SPH,
    chapman.CHAPMAN,
    ludb.LUDB,
    cinc.CINC,
    ptbdb.PTBDB,
)
"""The first that knows a folder reads it: PTB's diagnostic database is last, since it is known by nothing but WFDB headers."""
