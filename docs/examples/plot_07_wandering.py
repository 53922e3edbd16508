"""
Why does a longer before and after not help?
============================================

A server's level wanders. Here it does so by itself, with no change of drivers at all. The two sides of a longer study
are farther apart, so the "effect" of a change that was never made grows; switching every few hours sees that there is
none.
"""

import matplotlib.pyplot as plt
import numpy as np

rng = np.random.default_rng(20261123)
hours, servers = 24 * 28, 400
steps = rng.normal(size=(servers, hours)) * 0.05
level = np.empty((servers, hours))
level[:, 0] = rng.normal(size=servers) * 0.6
for hour in range(1, hours):
    level[:, hour] = 0.9965 * level[:, hour - 1] + steps[:, hour]
level += rng.normal(size=level.shape) * 0.2

# %%
# Half before, half after, against a random order within pairs of blocks of six hours.


def before_after(days):
    side = days * 12
    return level[:, side : 2 * side].mean(axis=1) - level[:, :side].mean(axis=1)


def switched(days):
    blocks = level[:, : days * 24].reshape(servers, -1, 2, 6).mean(axis=3)
    order = rng.choice([-1, 1], size=blocks.shape[:2])
    return ((blocks[:, :, 1] - blocks[:, :, 0]) * order).mean(axis=1)


days = [2, 4, 7, 14, 21, 28]
figure, axes = plt.subplots(figsize=(7, 3.2), layout="constrained")
axes.plot(days, [before_after(d).std() for d in days], "o-", color="#d55e00", label="before and after")
axes.plot(days, [switched(d).std() for d in days], "s-", color="#009e73", label="switched in random order")
axes.set_xlabel("days in all")
axes.set_ylabel("typical error (of a level of 1)")
axes.set_ylim(bottom=0)
axes.legend(frameon=False)
