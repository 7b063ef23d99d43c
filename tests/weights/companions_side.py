"""Pickles of what training scripts keep beside their weights, by the packages that make it.

    python companions_side.py FOLDER

Runs in a Python that has easydict, omegaconf, addict, ml_collections, yacs, pandas and NumPy, none
of which the tests need: they read the files in ``fixtures/companions``.
"""

import pickle
import sys
from pathlib import Path

import addict
import easydict
import ml_collections
import numpy as np
import omegaconf
import pandas as pd
import yacs.config

SETTINGS = {"lr": 0.1, "milestones": [30, 60], "data": {"root": "~/photos", "crop": None}}

COMPANIONS = {
    "easydict": easydict.EasyDict(SETTINGS),
    "omegaconf": omegaconf.OmegaConf.create(SETTINGS),
    "omegaconf_list": omegaconf.OmegaConf.create([1, "a", {"b": 2}]),
    "addict": addict.Dict(SETTINGS),
    "ml_collections": ml_collections.ConfigDict(SETTINGS),
    "yacs": yacs.config.CfgNode(SETTINGS),
    "pandas": pd.DataFrame({"epoch": [1, 2], "acc": [0.1, 0.2], "name": ["a", "b"]}),
    "timestamp": pd.Timestamp("2024-05-01"),
    "numpy_random_state": np.random.RandomState(0).get_state(),
    "numpy_random_object": np.random.RandomState(0),
    "numpy_generator": np.random.default_rng(0),
    "numpy_strings": np.array(["cat", "dog"]),
    "numpy_objects": np.array([{"a": 1}, None], dtype=object),
    "numpy_datetime": np.datetime64("2024-05-01"),
    "numpy_complex": np.array([1j, 2]),
    "numpy_record": np.array([(1, 2.0)], dtype=[("a", "i4"), ("b", "f4")]),
    "numpy_masked": np.ma.masked_array([1, 2], [True, False]),
}

if __name__ == "__main__":
    for name, thing in COMPANIONS.items():
        (Path(sys.argv[1]) / f"{name}.pkl").write_bytes(pickle.dumps(thing, 2))
