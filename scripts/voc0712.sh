#!/usr/bin/env bash
# Pascal VOC 07+12: trains SSD300 with the paper's recipe on trainval of both years, evaluates on
# test of 2007.
#   bash scripts/voc0712.sh VOCdevkit [OUT] [flags of train_ssd_network.py]
# VOCdevkit: folder with VOC2007 and VOC2012. OUT: output folder, runs/voc0712 by default.
# Pass VGG16 weights, as in the paper, with --checkpoint_path=... (checkpoints/README.md).
name=voc0712
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

convert "$data/VOC2007,$data/VOC2012" trainval --dataset_name=pascalvoc_0712
convert "$data/VOC2007" test --dataset_name=pascalvoc_0712
train trainval --model_name=ssd_300_vgg --batch_size=32 --learning_rate=0.001 \
  --learning_rate_boundaries=80000,100000 --max_number_of_steps=120000
evaluate test
predict test "$data/VOC2007"
