# Sourced by the scripts of the figures of Fan et al. 2025. `method TASK NAME SEED` trains and tests one of their
# methods (Sec. 6.1.2 and 6.3) with one seed, `compare` several. TASKS and SEEDS choose fewer: TASKS="parity copy".
source runs/common.sh
TASKS=${TASKS:-parity copy binary_addition binary_sum multiplication unique_set}
if [ "$SCALE" = paper ]; then
    SEEDS=${SEEDS:-0 1 2 3 4} suffix= folder=lengths examples=6400
else
    SEEDS=${SEEDS:-1 2 3} suffix=_laptop folder=laptop examples=1000
fi

method() {
    local task=$1 name=$2 seed=$3 layers=3
    case $task in
        parity) layers=1 ;;
        copy) layers=2 ;;
        multiplication) layers=4 ;;
    esac
    local arguments=("config/$folder/$task.py")
    case $name in
        looped) ;;
        looped_wo | ntp_loop) arguments+=("config/lengths/as_$name.py") ;;
        *) arguments+=("config/lengths/as_$name.py" "--stages=$((20 * layers))x1") ;;
    esac
    row "$task${suffix}_$name" "$examples" "${arguments[@]}" --seed="$seed"
}

# compare NAME METHOD ...: all of them on TASKS with SEEDS, and results/NAME_TASK.csv, .md and .png. METHODS="looped
# ntp" runs, and draws, some of them only.
compare() {
    local name=$1 task seed method
    shift
    for task in $TASKS; do
        folders=()
        for seed in $SEEDS; do
            for method in ${METHODS:-$@}; do
                method "$task" "$method" "$seed"
            done
        done
        python plot.py lengths "${folders[@]}" --out="results/${name}_$task$suffix"
    done
}
