"""Class names that public detectors were trained with, in the order of their labels."""
from datasets import voc

VOC = voc.CLASSES

# Category id of COCO -> name. Ids without a category are those of names of 2014 that were dropped.
_COCO_TEXT = (
    'person bicycle car motorcycle airplane bus train truck boat traffic_light fire_hydrant - '
    'stop_sign parking_meter bench bird cat dog horse sheep cow elephant bear zebra giraffe - '
    'backpack umbrella - - handbag tie suitcase frisbee skis snowboard sports_ball kite '
    'baseball_bat baseball_glove skateboard surfboard tennis_racket bottle - wine_glass cup fork '
    'knife spoon bowl banana apple sandwich orange broccoli carrot hot_dog pizza donut cake chair '
    'couch potted_plant bed - dining_table - - toilet - tv laptop mouse remote keyboard '
    'cell_phone microwave oven toaster sink refrigerator - book clock vase scissors teddy_bear '
    'hair_drier toothbrush')
_COCO_IDS = {label: name.replace('_', ' ')
             for label, name in enumerate(_COCO_TEXT.split(), 1)}

COCO = tuple(name for name in _COCO_IDS.values() if name != '-')
"""The 80 classes of COCO without gaps."""

COCO_IDS = tuple(name if name != '-' else f'unused {label}' for label, name in _COCO_IDS.items())
"""Names of the 90 category ids of COCO: id n is label n. Ten ids are unused."""

# Number of classes with the background -> names, for kinds that only VOC and COCO were trained in.
VOC_OR_COCO = {len(VOC) + 1: VOC, len(COCO) + 1: COCO}
VOC_OR_COCO_IDS = {len(VOC) + 1: VOC, len(COCO_IDS) + 1: COCO_IDS}
