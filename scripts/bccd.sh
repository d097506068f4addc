#!/usr/bin/env bash
# BCCD blood cells (364 images, 3 classes) on a small machine: MobileNet SSD300 with anchors fitted
# to this dataset, 32,000 training images. Trains on train, evaluates on test.
#   bash scripts/bccd.sh BCCD [OUT] --checkpoint_path=WEIGHTS [flags of train_ssd_network.py]
# OUT: output folder, runs/bccd by default. WEIGHTS: MobileNet v1 0.75 (checkpoints/README.md);
# without them, training needs several times as many steps (--max_number_of_steps).
# Environment: TRAIN_SPLIT and TEST_SPLIT select other splits, for example train and val.
name=bccd
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"
train_split=${TRAIN_SPLIT:-train} test_split=${TEST_SPLIT:-test}

convert "$data" train,val,test --dataset_name=bccd
train "$train_split" --model_name=ssd_300_mobilenet_v1_075 \
  --anchor_preset=scripts/bccd_anchors.txt --recipe=strong --batch_size=16 \
  --max_number_of_steps=2000 --learning_rate=0.001 --end_learning_rate=0.00001 \
  --log_every_n_steps=50
evaluate "$test_split"
predict "$test_split" "$data"
