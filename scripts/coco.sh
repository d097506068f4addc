#!/usr/bin/env bash
# COCO 2017: trains SSD300 with the paper's recipe for COCO (section 3.4: smaller anchors, 240k steps) on train2017,
# evaluates on val2017; 80 classes.
#   bash scripts/coco.sh COCO [OUT] [flags of train_ssd_network.py]
# COCO holds annotations/instances_train2017.json and instances_val2017.json, and the folders train2017 and val2017 of
# pictures; OUT is runs/coco by default. TRAIN_SPLIT and TEST_SPLIT name other splits. The recipe wants
# --checkpoint_path=... with VGG16 weights, as the paper has it (checkpoints/README.md). A few boxes of COCO have no
# area; they are left out, and counted.
name=coco
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"
train_split=${TRAIN_SPLIT:-train2017} test_split=${TEST_SPLIT:-val2017}

convert "$data" "$train_split,$test_split" --dataset_name=coco --format=coco --skip_bad_boxes
train "$train_split" --model_name=ssd_300_vgg --anchor_preset=coco --batch_size=32 --learning_rate=0.001 \
  --learning_rate_boundaries=160000,200000 --max_number_of_steps=240000
evaluate "$test_split"
predict "$test_split" "$data"
