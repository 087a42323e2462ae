#!/usr/bin/env bash
# Figure 5: the looped model, the same without input injection, full-answer prediction. SCALE=paper or laptop.
set -euo pipefail
cd "$(dirname "$0")/.."
source runs/lengths.sh

compare fig5 looped looped_wo fap fap_pause
