"""Fits the slices on stdin with scipy as scripts do and prints, for each, microseconds and worst error.

In: [{"k": [...], "iv": [...], "years": t}, ...]. Out: {"plain": [[us, rmse], ...], "quasi": [[us, rmse], ...]}.
`plain`: all five parameters by bounded least squares from one start. `quasi`: the linear part by bounded least
squares inside a simplex over centre and width, from one start.
"""

import json
import sys
import time

import numpy as np
from scipy.optimize import least_squares, lsq_linear, minimize


def total_variance(p, k):
    a, b, rho, m, s = p
    return a + b * (rho * (k - m) + np.sqrt((k - m) ** 2 + s * s))


def plain(k, w):
    start = [w.min() / 2, 0.1, -0.1, 0.0, 0.1]
    low, high = [-2, 0, -0.999, -3, 1e-4], [max(w) + 1e-3, 4, 0.999, 3, 5]
    return least_squares(lambda p: total_variance(p, k) - w, start, bounds=(low, high)).x


def quasi(k, w):
    def linear(x):
        m, s = x[0], np.exp(x[1])
        y = (k - m) / s
        z = np.sqrt(y * y + 1)
        # a + d y + c z with |d| <= c, as a + u (z + y) + v (z - y), u and v not negative.
        design = np.column_stack([np.ones_like(k), z + y, z - y])
        return lsq_linear(design, w, bounds=([-np.inf, 0, 0], [np.inf, 2 * s, 2 * s])), s

    best = minimize(lambda x: linear(x)[0].cost, [0.0, np.log(0.1)], method="Nelder-Mead")
    found, s = linear(best.x)
    a, u, v = found.x
    c, d = u + v, u - v
    return [a, c / s, d / c if c > 0 else 0.0, best.x[0], s]


def measure(fit, slices):
    rows = []
    for item in slices:
        k, iv, t = np.array(item["k"]), np.array(item["iv"]), item["years"]
        took = np.inf
        for _ in range(3):
            start = time.perf_counter()
            p = fit(k, iv * iv * t)
            took = min(took, time.perf_counter() - start)
        vol = np.sqrt(np.maximum(total_variance(p, k), 0) / t)
        rows.append([took * 1e6, float(np.sqrt(np.mean((vol - iv) ** 2)))])
    return rows


slices = json.load(sys.stdin)
json.dump({"plain": measure(plain, slices), "quasi": measure(quasi, slices)}, sys.stdout)
