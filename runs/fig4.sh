#!/usr/bin/env bash
# Figure 4: length generalization of the looped model and of next-token prediction. SCALE=paper or laptop.
set -euo pipefail
cd "$(dirname "$0")/.."
source runs/lengths.sh

compare fig4 looped ntp ntp_pause ntp_loop
