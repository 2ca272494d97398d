"""Measures option libraries on the quotes that arrive as one JSON line on standard input; one JSON line for each library there is.

A quote is [sign, forward, strike, years, volatility, price]. The best of several rounds counts, in nanoseconds a quote.
"""

import json
import sys
import time

ROUNDS = 7


def best(work, quotes):
    def once():
        begun = time.perf_counter()
        work()
        return time.perf_counter() - begun

    once()
    return min(once() for _ in range(ROUNDS)) * 1e9 / len(quotes)


def vollib(quotes):
    import numpy
    import py_vollib_vectorized as pv

    sign, forward, strike, years, vol, price = numpy.array(quotes).T.copy()
    flag = numpy.where(sign > 0, "c", "p")

    def solve():
        return pv.vectorized_implied_volatility_black(
            price, forward, strike, 0.0, years, flag, return_as="numpy"
        )

    def greeks():
        return pv.get_all_greeks(flag, forward, strike, years, 0.0, vol, 0.0, model="black", return_as="dict")

    worst = float(numpy.nanmax(numpy.abs(solve() / vol - 1)))
    return {"iv_ns": best(solve, quotes), "greeks_ns": best(greeks, quotes), "greeks": "five greeks", "iv_error": worst}


def quantlib(quotes):
    import math

    import QuantLib as ql

    kinds = {1.0: ql.Option.Call, -1.0: ql.Option.Put}
    rows = [(kinds[s], f, k, t, v, p) for s, f, k, t, v, p in quotes]

    def solve():
        for kind, forward, strike, years, vol, price in rows:
            ql.blackFormulaImpliedStdDev(kind, strike, forward, price, 1.0, 0.0, ql.nullDouble(), 1e-12) / math.sqrt(years)

    def greeks():
        for kind, forward, strike, years, vol, price in rows:
            payoff = ql.PlainVanillaPayoff(kind, strike)
            option = ql.BlackCalculator(payoff, forward, vol * math.sqrt(years), 1.0)
            option.value(), option.deltaForward(), option.gammaForward()
            option.vega(years), option.theta(forward, years), option.rho(years)

    return {"iv_ns": best(solve, quotes), "greeks_ns": best(greeks, quotes), "greeks": "price and five greeks"}


def main():
    quotes = json.loads(sys.stdin.readline())
    for name, measure in {"py_vollib_vectorized": vollib, "QuantLib": quantlib}.items():
        try:
            answer = measure(quotes)
        except ImportError:
            continue
        print(json.dumps({"peer": name, **answer}), flush=True)


main()
