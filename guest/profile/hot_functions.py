#!/usr/bin/env python3
"""The functions in which programs spend their time, from a profile: `llvm-profdata-19 merge --text PROFILE | hot_functions.py`.

Those that have 99 % of the counts, by name. Their order does not matter: guest/translator makes one file of them."""

import sys

SHARE = 0.99


def counts(lines):
    """(function, sum of its counters) of a profile as text."""
    for at, line in enumerate(lines):
        if line.startswith("# Func Hash:"):
            number = int(lines[at + 3])
            yield lines[at - 1], sum(int(value) for value in lines[at + 5 : at + 5 + number])


def main():
    functions = sorted(counts(sys.stdin.read().splitlines()), key=lambda function: -function[1])
    wanted = SHARE * sum(count for _, count in functions)
    hot = set()
    for name, count in functions:
        if wanted <= 0:
            break
        wanted -= count
        hot.add(name)
    print("\n".join(sorted(hot)))


if __name__ == "__main__":
    main()
