"""What TensorBoard shows of an evaluation."""
import io

import tensorflow.compat.v1 as tf

# COCO's number -> its name on the board.
_COCO = {
    'AP50': 'precision_at_overlap_0.50', 'AP75': 'precision_at_overlap_0.75', 'APs': 'precision_of_small_objects',
    'APm': 'precision_of_medium_objects', 'APl': 'precision_of_large_objects', 'AR1': 'recall_of_1_detection',
    'AR10': 'recall_of_10_detections', 'AR100': 'recall_of_100_detections', 'ARs': 'recall_of_small_objects',
    'ARm': 'recall_of_medium_objects', 'ARl': 'recall_of_large_objects'}
_MISTAKES = {'missed': 'missed', 'false': 'false', 'confused': 'taken_for_another_class'}


def summary(result, pictures):
    """A tf.Summary of a result, as `Evaluation.result` gives it, and of pictures: (name, PIL image), ..."""
    scalars = {f'mAP/{name}': value for name, value in result['mAP'].items()}
    scalars |= {f'COCO/{name}': result['COCO'][number] for number, name in _COCO.items()}
    scalars |= {f'mistakes/{name}': result['confusion'][count] for count, name in _MISTAKES.items()}
    scalars |= {f'AP_VOC07/{name}': row['VOC07'] for name, row in result['classes'].items()}
    values = [tf.Summary.Value(tag=tag, simple_value=value) for tag, value in scalars.items() if value is not None]
    values += [tf.Summary.Value(tag=f'detections_against_ground_truth/{name}', image=_image(picture))
               for name, picture in pictures]
    return tf.Summary(value=values)


def _image(picture):
    buffer = io.BytesIO()
    picture.save(buffer, 'JPEG', quality=85)   # a fifth of the size, many times
    return tf.Summary.Image(height=picture.height, width=picture.width, colorspace=3,
                            encoded_image_string=buffer.getvalue())
