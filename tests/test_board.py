import io

import tensorflow.compat.v1 as tf
from evaluated import gathered
from PIL import Image
from test_evaluation import CLASSES, PICTURES

from metrics.coco import NUMBERS
from metrics.evaluation import Evaluation
from visualization import board


def test_names_that_a_person_understands_and_what_they_mean():
    result = gathered(Evaluation(CLASSES), *PICTURES).result()
    picture = Image.new('RGB', (40, 20), 'red')
    found = {value.tag: value for value in board.evaluation_summary(result, [('a.jpg', picture)] * 2).value}
    numbers = {tag: float(tf.make_ndarray(value.tensor)) for tag, value in found.items() if value.HasField('tensor')}
    assert numbers['mAP/VOC12'] == .75 and numbers['AP_VOC07/cat'] == 1
    assert numbers['mistakes/taken_for_another_class'] == 1
    assert numbers['COCO/precision_of_medium_objects'] == numbers['mAP/COCO']
    assert all(found[tag].metadata.summary_description.endswith('.') for tag in numbers)
    # What there is nothing of has no curve: the third class, small objects.
    assert 'AP_VOC07/cow' not in found and 'COCO/precision_of_small_objects' not in found
    image = found['detections_against_ground_truth/1_a.jpg'].image   # the second one may have the same name
    assert (image.width, image.height) == (40, 20) and 'detections_against_ground_truth/2_a.jpg' in found
    red, green, blue = Image.open(io.BytesIO(image.encoded_image_string)).getpixel((5, 5))
    assert red > 250 and green < 5 and blue < 5


def test_every_number_of_coco_has_a_name():
    assert board._COCO.keys() == NUMBERS.keys() - {'AP'}   # which is mAP/COCO
