#!/usr/bin/env bash
# Pascal VOC 07+12: trains SSD300 with the paper's recipe on the trainval of both years, evaluates on 2007 test.
#   bash scripts/voc0712.sh VOCdevkit [OUT] [flags of train_ssd_network.py]
# VOCdevkit holds VOC2007 and VOC2012; OUT is runs/voc0712 by default. The recipe wants --checkpoint_path=... with VGG16
# weights, as the paper has it (checkpoints/README.md).
name=voc0712
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

convert "$data/VOC2007,$data/VOC2012" trainval --dataset_name=pascalvoc_0712
convert "$data/VOC2007" test --dataset_name=pascalvoc_0712
train trainval --model_name=ssd_300_vgg --batch_size=32 --learning_rate=0.001 \
  --learning_rate_boundaries=80000,100000 --max_number_of_steps=120000
evaluate test
predict test "$data/VOC2007"
