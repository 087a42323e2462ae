#!/usr/bin/env bash
# Speed against peers, on the machine at hand: results/bench.csv and .md, and the few-shot evaluator's table. Nothing
# else should run meanwhile. ROWS=phop_step,decoding measures some of the rows only.
set -euo pipefail
cd "$(dirname "$0")/.."
ROWS=${ROWS:-}
python bench.py rows ${ROWS:+--rows="$ROWS"} --out=results/bench
[ -n "$ROWS" ] || python bench.py downstream --out=results/bench_downstream
