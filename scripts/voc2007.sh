#!/usr/bin/env bash
# Pascal VOC 2007: trains SSD300 with the paper's recipe on trainval, evaluates on test.
#   bash scripts/voc2007.sh VOCdevkit/VOC2007 [OUT] [flags of train_ssd_network.py]
# OUT: output folder, runs/voc2007 by default. --max_number_of_steps=... shortens the training.
# Pass VGG16 weights, as in the paper, with --checkpoint_path=... (checkpoints/README.md).
# Environment: TRAIN_SPLIT and TEST_SPLIT select other splits, for example train and val.
name=voc2007
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"
train_split=${TRAIN_SPLIT:-trainval} test_split=${TEST_SPLIT:-test}

convert "$data" "$train_split,$test_split" --dataset_name=pascalvoc_2007
train "$train_split" --model_name=ssd_300_vgg --batch_size=32 --learning_rate=0.001 \
  --learning_rate_boundaries=80000,100000 --max_number_of_steps=120000
evaluate "$test_split"
predict "$test_split" "$data"
