#!/usr/bin/env bash
# A's theorems and two of B's programs as weights that run, the whole grid (about an hour on one core), and the drawing.
set -euo pipefail
cd "$(dirname "$0")/.."
python theory.py --full=True
python plot.py composition results/theory_group.csv --out=results/theory_group
