#!/usr/bin/env bash
# Table 1 of Fan et al. 2025 (App. D): time to answer 64 parity problems of length 50, by method. SCALE=paper or laptop (narrower).
set -euo pipefail
cd "$(dirname "$0")/.."
SCALE=${SCALE:-laptop}
case $SCALE in
    paper) python bench.py inference config/lengths/parity.py --out=results/table_inference ;;
    laptop) python bench.py inference config/laptop/parity.py --out=results/table_inference_laptop ;;
    *) echo "error: SCALE=$SCALE is not paper or laptop" >&2; exit 2 ;;
esac
