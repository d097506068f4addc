#!/usr/bin/env bash
# Your own dataset in one of the formats of docs/own_data.md, with any classes.
#   bash scripts/own_data.sh FOLDER [OUT] [flags of train_ssd_network.py]
# OUT: output folder, runs/own_data by default. --checkpoint_path=... starts from pretrained weights
# (checkpoints/README.md).
# Environment: TRAIN_SPLIT and TEST_SPLIT select other splits than train and val.
# SPLIT_RATIO=train=0.8,val=0.2 splits a dataset that has no split lists.
name=own_data
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"
train_split=${TRAIN_SPLIT:-train} test_split=${TEST_SPLIT:-val}

convert "$data" "$train_split,$test_split" --dataset_name="$(basename "$(cd "$data" && pwd)")" \
  ${SPLIT_RATIO:+--split_ratio="$SPLIT_RATIO"}
train "$train_split" --model_name=ssd_300_mobilenet_v1 --recipe=strong --batch_size=16 \
  --max_number_of_steps=20000
evaluate "$test_split"
predict "$test_split" "$data" "${SPLIT_RATIO:-}"
