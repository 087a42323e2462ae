# Sourced by the scripts of the tables: `row` trains and evaluates one model, `table` writes what has gathered.
SCALE=${SCALE:-laptop}
case $SCALE in
    paper | laptop) ;;
    *) echo "error: SCALE=$SCALE is not paper or laptop" >&2; exit 2 ;;
esac
folders=()

# row NAME TEST_EXAMPLES CONFIG [--key=value ...]: a finished row is skipped, a cut one goes on.
row() {
    local seed=0 argument
    for argument in "$@"; do
        case $argument in --seed=*) seed=${argument#--seed=} ;; esac
    done
    local folder=out/$1_seed$seed examples=$2
    shift 2
    if [ ! -f "$folder/test.csv" ]; then
        python train.py "$@" --out_dir="$folder" --resume=auto
        python eval_tasks.py "$folder" --examples="$examples" --sweep=False
    fi
    folders+=("$folder")
}

# table NAME [--paper=CSV]: results/NAME.csv and .md from the rows since the last table.
table() {
    local name=$1
    shift
    python plot.py table "${folders[@]}" --out="results/$name" "$@"
    folders=()
}
