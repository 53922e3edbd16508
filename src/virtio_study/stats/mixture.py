"""Mixtures of Student's t, as an average over a parameter that is not known leaves them; many of them at a time.

A mixture is a row: the arrays have the shape (mixtures, parts). One step for a hundred mixtures costs little more than
one for a single mixture, and no row knows of the others.
"""

from collections.abc import Callable
from functools import partial

import numpy as np

from virtio_study.stats.elementary import Array, exp, log, product_sums
from virtio_study.stats.student import FURTHEST, t_cdf, t_quantile, t_tail

__all__ = ["USUAL_DF", "distances", "mixture_cdfs", "mixture_quantiles", "mixture_tails"]

CONVERGED = 1e-10
"""A step of the secant rule, as a share of the distance, after which the next changes nothing in nine digits."""

MOST_STEPS = 200

FLATTEST = -1e-100
"""Slope taken where a tail does not fall, or rises: onwards by the longest step."""

USUAL_DF = 16.0
"""Degrees of freedom with which the search for a quantile starts."""


def mixture_quantiles(weight: Array, error: Array, df: Array, confidence: float) -> Array:
    """Two-sided critical values of mixtures of Student's t around zero.

    Parameters
    ----------
    weight, error, df : array of float64, shape (mixtures, parts)
        Share, standard error and degrees of freedom of every part; the shares of a mixture sum to 1. A mixture has one
        error above 0 at least.
    confidence : float
        Such as 0.95.

    Returns
    -------
    array of float64, shape (mixtures,)
    """
    start = product_sums(weight, error) * t_quantile(USUAL_DF, confidence)
    return distances(partial(mixture_tails, weight, error, df), start, (1 - confidence) / 2)


def mixture_tails(weight: Array, error: Array, df: Array, distance: Array, rising: Array | None = None) -> Array:
    """How much of mixtures around zero lies above distances, and by how much that falls a unit of ln(distance).

    Parameters
    ----------
    distance : array of float64, shape (mixtures,)
        Above 0.
    rising : array of float64, shape (mixtures, parts), optional
        By how much the distance in standard errors of every part rises with the distance, relative to a fixed error;
        for errors that change with the distance.

    Returns
    -------
    array of float64, shape (2, mixtures)
        Both.
    """
    # a part without error has nothing outside
    t = np.minimum(distance[:, None] / np.where(error > 0, error, np.finfo(float).tiny), FURTHEST)
    tails, densities = t_tail(df, t)
    falling = densities * t if rising is None else densities * t * rising
    return np.array([product_sums(weight, tails), product_sums(weight, falling)])


def mixture_cdfs(weight: Array, df: Array, t: Array) -> Array:
    """Share of every mixture below one point, which lies `t` standard errors of each part above its centre."""
    return product_sums(weight, t_cdf(df, t))


def distances(tails: Callable[[Array], Array], start: Array, wanted: float) -> Array:
    """Distances from the centre at which the tail of each mixture is what is wanted.

    The secant rule on the logarithms of tail and distance, where a tail is all but straight; never past where the tail
    is known to be too small or too large, so that it ends from any start.

    Parameters
    ----------
    tails : callable
        From distances, shape (mixtures,), to tails and by how much they fall a unit of ln(distance), shape
        (2, mixtures); the second need not be exact.
    start : array of float64, shape (mixtures,)
        Above 0.
    wanted : float
        Between 0 and 0.5.
    """
    place = log(start)
    near, far = np.full_like(place, -np.inf), np.full_like(place, np.inf)
    running = np.ones(place.shape, dtype=bool)
    last_place, last_height = place, np.zeros_like(place)
    for number in range(MOST_STEPS):
        tail, falling = tails(exp(place))
        tail = np.maximum(tail, np.finfo(float).tiny)
        height = log(tail / wanted)
        near, far = np.where(height > 0, place, near), np.where(height < 0, place, far)
        slope = -falling / tail
        if number:
            moved = np.where(place == last_place, 1.0, place - last_place)
            secant = (height - last_height) / moved
            slope = np.where(secant < 0, secant, slope)
        # no further than a factor of e, lest the tail of many degrees of freedom underflow
        step = np.clip(-height / np.minimum(slope, FLATTEST), -1.0, 1.0)
        ahead = place + step
        outside = (ahead < near) | (ahead > far)
        ahead = np.where(outside, (np.where(outside, near, 0.0) + np.where(outside, far, 0.0)) / 2, ahead)
        last_place, last_height = place, height
        place, running = np.where(running, ahead, place), running & (np.abs(ahead - place) > CONVERGED)
        if not running.any():
            break
    return exp(place)
