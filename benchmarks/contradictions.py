"""Over many random studies: does any answer about an effect contradict another?

    python benchmarks/contradictions.py [--studies 10000] [--workers 2]

Studies are those of `tests/analysis/test_one_error_model.py`: level, noise, true effect, boots and restarts all drawn.
"""

import argparse
import sys
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "analysis"))


def contradictions_of(seed: int) -> tuple[list[str], bool]:
    """What contradicts in one random study, and whether it shows a change."""
    from test_one_error_model import contradictions, random_case

    effect = random_case(seed)
    return contradictions(effect), bool(effect.difference.excludes_zero)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--studies", type=int, default=10_000)
    parser.add_argument("--workers", type=int, default=2)
    chosen = parser.parse_args()
    seen: Counter[str] = Counter()
    shown = 0
    with ProcessPoolExecutor(chosen.workers) as pool:
        for wrong, excludes in pool.map(contradictions_of, range(chosen.studies), chunksize=50):
            seen.update(wrong)
            shown += excludes
    print(f"{chosen.studies} random studies, seeds 0 to {chosen.studies - 1}: {shown} show a change")
    for what, count in seen.most_common():
        print(f"{count:6}  {what}")
    print(f"contradictions: {sum(seen.values())}")
    raise SystemExit(bool(seen))


if __name__ == "__main__":
    main()
