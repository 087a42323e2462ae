#!/usr/bin/env bash
# Group composition (Saunshi et al. 2025, Thm 5.1, in training): one layer looped log2 n times, as many layers, one layer.
set -euo pipefail
cd "$(dirname "$0")/.."
SCALE=laptop
source runs/common.sh

for stages in 3x1 1x3 1x1; do
    row group_laptop_$stages 10000 config/laptop/group.py --stages=$stages
done
table group_laptop
