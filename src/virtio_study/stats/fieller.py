"""What the two sides of a change say of any ratio between them: Welch's t and Fieller's argument within a mixture."""

from dataclasses import dataclass

import numpy as np

from virtio_study.stats.elementary import Array, product_sums
from virtio_study.stats.mixture import USUAL_DF, distances, mixture_cdfs, mixture_quantiles, mixture_tails
from virtio_study.stats.student import t_quantile

__all__ = ["Pairs"]

MOST_OF_BASE = 0.9
"""Where the search for limits starts, the base's error counts for no more than so much of the base, squared."""


@dataclass(frozen=True)
class Pairs:
    """Two sides each, many at a time, under every part of their mixtures.

    `before` and `after` are values, `factor` by how much errors are greater than the rows alone say, `df` a side's
    degrees of freedom: arrays of shape (pairs, 1). Variances of the values' errors and `weight` have the shape
    (pairs, parts).
    """

    before: Array
    after: Array
    before_variance: Array
    after_variance: Array
    weight: Array
    factor: Array
    df: Array

    def half_widths(self, confidence: float) -> Array:
        """Half the interval of `after - before`, shape (pairs,)."""
        return mixture_quantiles(self.weight, *self._welch(np.ones_like(self.before)), confidence)

    def shares_below(self, ratio: float) -> Array:
        """How much of each mixture lies below a ratio of `after` to `before`, shape (pairs,)."""
        error, df = self._welch(np.full_like(self.before, ratio))
        # a constant numerator at ratio 0 has no error: its sign decides
        safe = np.where(error > 0, error, np.finfo(float).tiny)
        return mixture_cdfs(self.weight, df, (ratio * self.before - self.after) / safe)

    def bounded(self, confidence: float) -> Array:
        """Whether the base's own interval lies above zero, so that a ratio has limits; bool of shape (pairs,)."""
        error = self.factor * np.sqrt(self.before_variance)
        base = np.maximum(self.before[:, 0], np.finfo(float).tiny)
        tail, _ = mixture_tails(self.weight, error, np.broadcast_to(self.df, error.shape), base)
        found: Array = (self.before[:, 0] > 0) & (tail < (1 - confidence) / 2)
        return found

    def limits(self, confidence: float) -> Array:
        """Ratios of `after` to `before` below and above which half of `1 - confidence` lies, of pairs that are bounded.

        Returns
        -------
        array of float64, shape (2, pairs)
            The lower limits, and the upper ones.

        References
        ----------
        Fieller, E. C. (1954). Some problems in interval estimation. J. R. Stat. Soc. B 16, 175-185.
        """
        both = self._twice()
        side = np.repeat([-1.0, 1.0], len(self.before))
        ratio = both.after / both.before

        start, wanted = both._start(side, confidence), (1 - confidence) / 2
        certain = start == 0  # the value after is zero without any error

        def tails(distance: Array) -> Array:
            at = ratio + (side * distance)[:, None]
            error, df = both._welch(at)
            # the error grows with the ratio, and takes from what the distance gains
            part = (
                both.factor * both.factor * at * both.before_variance / np.maximum(error * error, np.finfo(float).tiny)
            )
            rising = 1 - (side * distance)[:, None] * part
            found = mixture_tails(both.weight, error, df, distance * both.before[:, 0], rising)
            return np.where(certain, [[wanted], [1.0]], found)

        found = distances(tails, np.where(certain, 1.0, start), wanted)
        limits = ratio[:, 0] + side * np.where(certain, 0.0, found)
        halves: Array = limits.reshape(2, -1)
        return halves

    def _twice(self) -> "Pairs":
        parts = (self.before, self.after, self.before_variance, self.after_variance, self.weight, self.factor, self.df)
        return Pairs(*(np.concatenate([part, part]) for part in parts))

    def _start(self, side: Array, confidence: float) -> Array:
        """Distances of Fieller's limits, were the mixture a single t with its mean variances."""
        before, after = (product_sums(self.weight, part) for part in (self.before_variance, self.after_variance))
        ratio = self.after[:, 0] / self.before[:, 0]
        scale = self.factor[:, 0] * t_quantile(USUAL_DF, confidence) / self.before[:, 0]
        lost = np.minimum(scale * scale * before, MOST_OF_BASE)
        root = scale * np.sqrt(after * (1 - lost) + ratio * ratio * before)
        found: Array = np.abs(side * ratio * lost + root) / (1 - lost)
        return found

    def _welch(self, ratio: Array) -> tuple[Array, Array]:
        """Standard error and Satterthwaite's df of `after - ratio * before` under every part."""
        before, after = ratio * ratio * self.before_variance, self.after_variance
        variance = before + after
        scale = variance.max(axis=1, keepdims=True)
        scale = np.where(scale > 0, scale, 1.0)
        b, a = before / scale, after / scale
        squares = b * b + a * a
        freedom = self.df * (b + a) * (b + a) / np.where(squares > 0, squares, 1.0)
        return self.factor * np.sqrt(variance), np.where(squares > 0, freedom, self.df)
