#!/usr/bin/env bash
# Blood cells (BCCD, 364 pictures, 3 classes): trains a MobileNet SSD300 on train, evaluates on test.
#   bash scripts/bccd.sh BCCD [OUT] [flags of train_ssd_network.py]
# OUT is runs/bccd by default; --checkpoint_path=... starts from pretrained weights (checkpoints/README.md).
name=bccd
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

convert "$data" train,val,test --dataset_name=bccd
train train --model_name=ssd_300_mobilenet_v1_075 --batch_size=16 --max_number_of_steps=6000 \
  --optimizer=adam --opt_epsilon=1e-8 --bias_learning_rate_multiplier=1 --weight_decay=4e-5 \
  --learning_rate=0.001 --learning_rate_boundaries=4000,5000 --warmup_steps=200
evaluate test
predict test "$data"
