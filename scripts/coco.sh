#!/usr/bin/env bash
# COCO 2017 (80 classes): trains SSD300 on train2017 with the paper's recipe for COCO (section 3.4:
# smaller anchors, 240k steps), evaluates on val2017.
#   bash scripts/coco.sh COCO [OUT] [flags of train_ssd_network.py]
# COCO: folder with annotations/instances_train2017.json and instances_val2017.json and the image
# folders train2017 and val2017. OUT: output folder, runs/coco by default.
# Pass VGG16 weights, as in the paper, with --checkpoint_path=... (checkpoints/README.md).
# Environment: TRAIN_SPLIT and TEST_SPLIT select other splits.
# A few boxes of COCO have no area. They are skipped, and their number is printed.
name=coco
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"
train_split=${TRAIN_SPLIT:-train2017} test_split=${TEST_SPLIT:-val2017}

convert "$data" "$train_split,$test_split" --dataset_name=coco --format=coco --skip_bad_boxes
train "$train_split" --model_name=ssd_300_vgg --anchor_preset=coco --batch_size=32 \
  --learning_rate=0.001 --learning_rate_boundaries=160000,200000 --max_number_of_steps=240000
evaluate "$test_split"
predict "$test_split" "$data"
