"""`make bench`: every benchmark, a table of medians with its budgets, and bench-results.json (git-ignored).

Each module `*_bench` has `measure() -> Iterable[(name, value, unit)]`; budgets are named here, so that the table says what was promised.
A name on the command line runs only the modules whose name holds it.
"""

from __future__ import annotations

import importlib
import json
import platform
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

BUDGETS: dict[str, float] = {
    "tiphys --version, times a bare interpreter": 2.5,
    "get applications, 1,000": 248,
    "get applications, 5,000": 720,
    "get applications, 5,000, memory": 49,
    "commit + push with 45,000 files": 250,
    "plan of one deploy with 45,000 files, renderer warm": 500,
    "open a repository of 3,000 deployments, warm": 500,
    "change at the server to snapshot, 100": 100,
    "change at the server to snapshot, 10,000": 100,
    "watch idle, CPU": 0.5,
}
"""What design.md and the roadmap promise, in the unit of the row."""


def main(wanted: list[str]) -> int:
    results = []
    for path in sorted(Path(__file__).parent.glob("*_bench.py")):
        if wanted and not any(word in path.stem for word in wanted):
            continue
        began = time.monotonic()
        module = importlib.import_module(f"tests.bench.{path.stem}")
        for name, value, unit in module.measure():
            budget = BUDGETS.get(name)
            verdict = "" if budget is None else ("ok" if value <= budget else "over")
            results.append({"name": name, "value": value, "unit": unit, "budget": budget, "verdict": verdict})
            limit = f"{budget:>9,.1f}" if budget is not None else " " * 9
            print(f"{name:<62} {value:>10,.1f} {unit:<6} {limit}  {verdict}", flush=True)
        print(f"  ({path.stem}: {time.monotonic() - began:.0f} s)", flush=True)
    facts = {"python": platform.python_version(), "machine": platform.machine(), "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())}
    (ROOT / "bench-results.json").write_text(json.dumps({**facts, "results": results}, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
