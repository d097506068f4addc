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
  --anchor_preset=scripts/bccd_anchors.txt --batch_size=16 --max_number_of_steps=2000 \
  --preprocessing_name=ssd_no_zoom_out \
  --optimizer=adam --opt_epsilon=1e-8 --bias_learning_rate_multiplier=1 --weight_decay=4e-5 \
  --learning_rate_decay_type=polynomial --learning_rate=0.001 --end_learning_rate=0.00001 \
  --warmup_steps=100 --log_every_n_steps=50
evaluate "$test_split"
predict "$test_split" "$data"
