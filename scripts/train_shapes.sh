#!/usr/bin/env bash
# Embedded dataset from start to end, in a few minutes on a CPU: writes images, converts them,
# trains, evaluates, draws detections.
#   bash scripts/train_shapes.sh [FOLDER]
# FOLDER: output folder, runs/shapes by default. If you start the script again after an
# interruption, it resumes.
set -euo pipefail
start_dir=$PWD
cd "$(dirname "${BASH_SOURCE[0]}")/.."
case "${1:-}" in
  -*) sed -n '2,/^[^#]/{s/^# \{0,1\}//p}' scripts/train_shapes.sh; exit 2 ;;
  "" | /*) out=${1:-runs/shapes} ;;
  *) out=$start_dir/$1 ;;   # relative to the directory in which the user started the script
esac
bash scripts/setup.sh
python=.venv/bin/python

[ -f "$out/voc/ImageSets/Main/train.txt" ] || $python -m datasets.shapes "$out/voc"
$python tf_convert_data.py --dataset_dir="$out/voc" --output_dir="$out/records" \
  --dataset_name=shapes --skip_converted

# To converge from random weights within minutes: a small net, Adam, a lower match threshold, and no
# random crops, which need many more steps.
$python train_ssd_network.py --dataset_dir="$out/records" --train_dir="$out/train" \
  --model_name=ssd_160_mobilenet_v1_025 --preprocessing_name=ssd_no_crop \
  --batch_size=16 --max_number_of_steps=1300 --match_threshold=0.4 \
  --optimizer=adam --opt_epsilon=1e-8 --bias_learning_rate_multiplier=1 --weight_decay=4e-5 \
  --learning_rate=0.006 --warmup_steps=100 --learning_rate_boundaries=950,1200 \
  --log_every_n_steps=100 --save_summaries_secs=10

$python eval_ssd_network.py --checkpoint_path="$out/train" --dataset_dir="$out/records" \
  --dataset_split_name=test
$python predict_ssd_network.py --checkpoint_path="$out/train" --output_dir="$out/images" \
  --max_images=24 "$out/voc/JPEGImages/test_*.jpg"
$python -c "
import json, sys
result = json.load(open(sys.argv[1] + '/train/eval_test/result.json'))
print('VOC07 mAP %.3f on the test split' % result['mAP']['VOC07'])
print('images with detections: ' + sys.argv[1] + '/images')" "$out"
