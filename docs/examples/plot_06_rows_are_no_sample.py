"""
Why are a thousand rows not a thousand measurements?
====================================================

Neighbouring rows resemble each other. The autocorrelation says how many of them count: the more slowly it falls, the
fewer.
"""

import matplotlib.pyplot as plt
import pandas as pd

import virtio_study as vs

rows = vs.load_study("pve-rig").clean("versat", "emulated")
memory = pd.Series(rows.loc[rows["period"] == "steady", "mem_host_bytes"].to_numpy())
lags = range(1, 31)
figure, axes = plt.subplots(figsize=(7, 3), layout="constrained")
axes.bar(lags, [memory.autocorr(lag) for lag in lags], color="#0072b2")
axes.axhline(0, color="#222222", linewidth=0.8)
axes.set_xlabel("rows apart (10 s each)")
axes.set_ylabel("autocorrelation of host memory")
