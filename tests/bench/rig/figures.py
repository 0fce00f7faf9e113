"""Figures: quartiles, tables, goals."""
import json
import statistics
import time

from .nodes import OUT


def quartiles(values):
    """First quartile, median, third quartile."""
    values = list(values)
    if len(values) < 2:
        return (values[0],) * 3 if values else (float("nan"),) * 3
    return tuple(statistics.quantiles(values, n=4, method="inclusive"))


def spread(values, digits=2):
    """`median [first quartile – third quartile]`."""
    low, middle, high = quartiles(values)
    return f"{middle:.{digits}f} [{low:.{digits}f} – {high:.{digits}f}]"


def table(title, heads, rows):
    """Prints a table in Markdown whose columns line up."""
    rows = [[str(cell) for cell in row] for row in rows]
    widths = [max(len(row[column]) for row in [heads, *rows]) for column in range(len(heads))]
    line = lambda cells: "| " + " | ".join(cell.ljust(width) for cell, width in zip(cells, widths)) + " |"
    print(f"\n{title}\n\n{line(heads)}\n|" + "|".join("-" * (width + 2) for width in widths) + "|")
    for row in rows:
        print(line(row))
    print(flush=True)


class Goals:
    """What a script promises: each goal is printed as reached or missed. Missing one is no error; machines differ."""

    def __init__(self):
        self.all = []

    def at_most(self, what, value, limit, digits=3):
        self._tell(what, value, limit, value <= limit, "at most", digits)

    def at_least(self, what, value, limit, digits=3):
        self._tell(what, value, limit, value >= limit, "at least", digits)

    def _tell(self, what, value, limit, reached, word, digits):
        print(f"{'reached' if reached else 'MISSED '}  {what}: {value:.{digits}f}, goal {word} {limit}")
        self.all.append({"goal": what, "value": value, "limit": limit, "kind": word, "reached": reached})

    def close(self):
        reached = sum(goal["reached"] for goal in self.all)
        print(f"{reached} of {len(self.all)} goals reached")


def keep(name, content):
    """Writes raw figures to target/bench; says where."""
    OUT.mkdir(parents=True, exist_ok=True)
    path = OUT / f"{name}-{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}.json"
    path.write_text(json.dumps(content, indent=1))
    print(f"raw figures: {path}")
