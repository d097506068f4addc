# Sourced by the scripts of the data sets, which set `name` first: the arguments, the set-up, the four steps.
# A script's own comment, from its second line on, is its help.
set -euo pipefail
stand=$PWD
cd "$(dirname "${BASH_SOURCE[0]}")/.."

if [ $# -lt 1 ] || [ "$1" = -h ] || [ "$1" = --help ]; then
  sed -n '2,/^[^#]/{s/^# \{0,1\}//p}' "scripts/$name.sh"
  exit 2
fi
# Folders are named from where the user stands.
absolute() { case "$1" in /*) echo "$1" ;; *) echo "$stand/$1" ;; esac; }
data=$(absolute "$1")
shift
[ -d "$data" ] || { echo "error: there is no folder $data" >&2; exit 2; }
out=$PWD/runs/$name
if [ $# -gt 0 ] && [ "${1#-}" = "$1" ]; then
  out=$(absolute "$1")
  shift
fi
train_flags=("$@")
bash scripts/setup.sh
python=.venv/bin/python

# convert FOLDERS SPLITS FLAGS: leaves splits alone that are there already.
convert() {
  local folders=$1 splits=$2
  shift 2
  $python tf_convert_data.py --dataset_dir="$folders" --split_names="$splits" --output_dir="$out/records" \
    --skip_converted "$@"
}

# train SPLIT FLAGS: what the user added comes last, and so wins.
train() {
  local split=$1
  shift
  $python train_ssd_network.py --dataset_dir="$out/records" --dataset_split_name="$split" --train_dir="$out/train" \
    "$@" ${train_flags[@]+"${train_flags[@]}"}
}

# evaluate SPLIT
evaluate() {
  $python eval_ssd_network.py --checkpoint_path="$out/train" --dataset_dir="$out/records" --dataset_split_name="$1"
}

# predict SPLIT FOLDER [SPLIT_RATIO]: draws detections on the first 24 pictures of a split.
predict() {
  local pictures
  mapfile -t pictures < <($python -m datasets.formats "$2" "$1" 24 ${3:+"$3"})
  $python predict_ssd_network.py --checkpoint_path="$out/train" --output_dir="$out/pictures" \
    --min_score="${MIN_SCORE:-0.5}" "${pictures[@]}"
}
