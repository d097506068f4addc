import io

from evaluated import gathered
from PIL import Image
from test_evaluation import CLASSES, PICTURES

from metrics.evaluation import Evaluation
from visualization import board


def test_names_that_a_person_understands():
    result = gathered(Evaluation(CLASSES), *PICTURES).result()
    picture = Image.new('RGB', (40, 20), 'red')
    found = {value.tag: value for value in board.summary(result, [('a.jpg', picture)]).value}
    assert found['mAP/VOC12'].simple_value == .75 and found['AP_VOC07/cat'].simple_value == 1
    assert found['mistakes/taken_for_another_class'].simple_value == 1
    assert found['COCO/precision_of_medium_objects'].simple_value == found['mAP/COCO'].simple_value
    # What there is nothing of has no curve: the third class, small objects.
    assert 'AP_VOC07/cow' not in found and 'COCO/precision_of_small_objects' not in found
    image = found['detections_against_ground_truth/a.jpg'].image
    assert (image.width, image.height) == (40, 20)
    red, green, blue = Image.open(io.BytesIO(image.encoded_image_string)).getpixel((5, 5))
    assert red > 250 and green < 5 and blue < 5
