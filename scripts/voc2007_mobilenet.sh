#!/usr/bin/env bash
# Pascal VOC 2007 on a small machine: MobileNet SSD300 from ImageNet weights, 96,000 training
# images, under an hour on two CPU cores. Trains on train, evaluates on val.
#   bash scripts/voc2007_mobilenet.sh VOCdevkit/VOC2007 [OUT] --checkpoint_path=WEIGHTS [training flags]
# OUT: output folder, runs/voc2007_mobilenet by default. WEIGHTS: MobileNet v1 0.75
# (checkpoints/README.md).
# Environment: TRAIN_SPLIT and TEST_SPLIT select other splits, for example trainval and test.
name=voc2007_mobilenet
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"
train_split=${TRAIN_SPLIT:-train} test_split=${TEST_SPLIT:-val}

convert "$data" "$train_split,$test_split" --dataset_name=pascalvoc_2007
train "$train_split" --model_name=ssd_300_mobilenet_v1_075 --recipe=strong --batch_size=16 \
  --max_number_of_steps=6000 --learning_rate=0.001 --end_learning_rate=0.00001 \
  --log_every_n_steps=50
evaluate "$test_split"
predict "$test_split" "$data"
