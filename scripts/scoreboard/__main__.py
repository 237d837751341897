"""Diagnoses published cases, own variants and single programs: ``python -m scripts.scoreboard`` writes the page."""

import argparse
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from pathlib import Path

from scripts.scoreboard.board import page
from scripts.scoreboard.cases import PROGRAM, Case, read_cases
from scripts.scoreboard.result import Result
from scripts.scoreboard.verdicts import Verdict, verdict

ROOT = Path(__file__).parents[2]
FOLDERS = tuple(ROOT / "tests" / "diagnose" / name for name in ("published", "variants", "programs"))
PAGE = ROOT / "docs" / "scoreboard.md"


def main(words: Sequence[str] | None = None) -> int:
    """Returns 0 if every case is a hit, but for the programs with a fault, of which other tools miss some too."""
    parser = argparse.ArgumentParser(prog="python -m scripts.scoreboard", description=__doc__)
    parser.add_argument("cases", nargs="*", metavar="CASE", help="run these cases alone, and write no page")
    parser.add_argument("--folder", type=Path, nargs="+", default=FOLDERS, help="folders of the cases")
    parser.add_argument("--page", type=Path, default=PAGE, help="page to write (default: %(default)s)")
    parser.add_argument("--jobs", type=int, default=1, help="cases diagnosed at once (default: %(default)s)")
    given = parser.parse_args(words)
    found = chain.from_iterable(read_cases(folder.resolve()) for folder in given.folder)
    cases = [case for case in found if not given.cases or case.path.stem in given.cases]
    results = []
    with ThreadPoolExecutor(given.jobs) as pool:
        for case, answer in zip(cases, pool.map(Case.answer, cases), strict=True):
            results.append(Result(case, answer, verdict(case.label, answer)))
            reported = answer.error or ", ".join(answer.reasons) or "none"
            failed = "".join(f"; {stated}" for stated in answer.failed)
            print(f"{results[-1].verdict:8s}{case.name}: {reported} ({answer.seconds:.0f} s){failed}", flush=True)
    if not given.cases:
        given.page.write_text(page(results))
    return int(any(result.verdict is not Verdict.HIT and result.case.label.kind != PROGRAM for result in results))


if __name__ == "__main__":
    raise SystemExit(main())
