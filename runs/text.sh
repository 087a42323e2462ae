#!/usr/bin/env bash
# Language models of bytes at laptop scale: iso-FLOP baseline, base, looped, middle loop, regularized
# (Saunshi et al. 2025, Sec. 3 and 4, in small), on the sources of Python's standard library. The same tokens in the same order for each.
set -euo pipefail
cd "$(dirname "$0")/.."
SCALE=laptop
source runs/common.sh

[ -f data/stdlib/train_00000.json ] || python data/text/prepare.py
for name in 6x1 2x1 2x3 middle reg2; do
    row text_$name 1000000 config/laptop/text_$name.py
done
python plot.py text "${folders[@]}" --out=results/text
python plot.py similarity out/text_6x1_seed0 out/text_reg2_seed0 --out=results/text_similarity
