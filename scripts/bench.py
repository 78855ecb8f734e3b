"""Measure the goals of speed and memory side by side with transformers and PyTorch, and write docs/benchmarks.md.

    python scripts/bench.py                    # everything, some ten minutes on a quiet core; writes the page
    python scripts/bench.py --only loss        # one part (several: --only loss,decoding); the page stays as it is
    python scripts/bench.py --quick            # small sizes: shows that it works, the numbers mean nothing

One thread, process CPU time, every side warmed up and then all in turn, medians; outputs are compared first.
"""

import argparse
import sys
from pathlib import Path

PAGE = Path(__file__).parents[1] / "docs" / "benchmarks.md"


def main() -> int:
    """Do what the command line asks for, and return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", metavar="NAME[,NAME]", help="the parts to run")
    parser.add_argument("--quick", action="store_true", help="take small sizes")
    parser.add_argument("--json", type=Path, metavar="FILE", help="keep all that was measured here")
    parser.add_argument("--page", type=Path, metavar="FILE", help="write the page here, also of a run in part")
    parser.add_argument("--apart", nargs=2, metavar=("FUNCTION", "VALUES"), help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.apart:
        from benchmarks.apart import answer

        sys.stdout.write(answer(*asked.apart) + "\n")
        return 0
    from benchmarks.course import course

    is_whole = not asked.only and not asked.quick
    page = asked.page or (PAGE if is_whole else None)
    return course(asked.only.split(",") if asked.only else [], "quick" if asked.quick else "full", page, asked.json)


if __name__ == "__main__":
    sys.exit(main())
