# Sourced by the dataset scripts, which set `name` first. Parses the arguments, installs the
# requirements, and defines the four steps: convert, train, evaluate, predict.
# The help of a script is its comment, from the second line on.
set -euo pipefail
start_dir=$PWD
cd "$(dirname "${BASH_SOURCE[0]}")/.."

if [ $# -lt 1 ] || [ "$1" = -h ] || [ "$1" = --help ]; then
  sed -n '2,/^[^#]/{s/^# \{0,1\}//p}' "scripts/$name.sh"
  exit 2
fi
# Relative paths are relative to the directory in which the user started the script.
absolute() { case "$1" in /*) echo "$1" ;; *) echo "$start_dir/$1" ;; esac; }
data=$(absolute "$1")
shift
if [ ! -d "$data" ]; then
  echo "error: the folder $data does not exist. Pass the folder of the dataset first." >&2
  exit 2
fi
out=$PWD/runs/$name
if [ $# -gt 0 ] && [ "${1#-}" = "$1" ]; then
  out=$(absolute "$1")
  shift
fi
train_flags=("$@")
bash scripts/setup.sh
python=.venv/bin/python

# convert FOLDERS SPLITS FLAGS: convert the splits that are not converted yet.
convert() {
  local folders=$1 splits=$2
  shift 2
  $python tf_convert_data.py --dataset_dir="$folders" --split_names="$splits" \
    --output_dir="$out/records" --skip_converted "$@"
}

# train SPLIT FLAGS: the flags of the user come last, so they override those of the script.
train() {
  local split=$1
  shift
  $python train_ssd_network.py --dataset_dir="$out/records" --dataset_split_name="$split" \
    --train_dir="$out/train" "$@" ${train_flags[@]+"${train_flags[@]}"}
}

# evaluate SPLIT
evaluate() {
  $python eval_ssd_network.py --checkpoint_path="$out/train" --dataset_dir="$out/records" \
    --dataset_split_name="$1"
}

# predict SPLIT FOLDER [SPLIT_RATIO]: draw the detections on the first 24 images of a split.
predict() {
  local images
  mapfile -t images < <($python -m datasets.formats "$2" "$1" 24 ${3:+"$3"})
  $python predict_ssd_network.py --checkpoint_path="$out/train" --output_dir="$out/images" \
    --min_score="${MIN_SCORE:-0.5}" "${images[@]}"
}
