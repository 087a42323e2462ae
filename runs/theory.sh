#!/usr/bin/env bash
# The theorems of Saunshi et al. 2025 and two programs of Fan et al. 2025 as weights that run: the whole grid (about an
# hour on one core), and the drawing.
set -euo pipefail
cd "$(dirname "$0")/.."
python theory.py --full=True --out=results/theory.csv
python plot.py composition results/theory_group.csv --out=results/theory_group
