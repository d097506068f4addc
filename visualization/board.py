"""TensorBoard summaries of training and evaluation, each scalar with a description."""
import tensorflow.compat.v1 as tf

from visualization import summary_ops
from visualization.drawing import encode_jpeg

# Each table maps a name in the code to the TensorBoard tag and its description.
_LOSSES = {
    'confidence': (
        'losses/confidence', 'Softmax loss of the classes: sum over matched anchors and mined hard '
        'negatives, divided by the number of matched anchors.'),
    'localization': (
        'losses/localization', 'Smooth L1 loss of the box offsets: sum over matched anchors, '
        'divided by their number, times --loss_alpha.'),
    'decay': ('losses/weight_decay', 'L2 loss of the weights, times --weight_decay.')}
_MEAN_APS = {
    'VOC07': ('mAP/VOC07', 'Mean AP over classes, with the 11-point AP of Pascal VOC 2007.'),
    'VOC12': ('mAP/VOC12', 'Mean AP over classes, with the all-point AP of Pascal VOC 2012.'),
    'COCO': ('mAP/COCO', 'COCO\'s AP: mean over classes and the ten IoUs 0.50, 0.55, ..., 0.95.')}
_SMALL, _MEDIUM, _LARGE = ('up to 32x32 pixels', 'between 32x32 and 96x96 pixels',
                           'above 96x96 pixels')
_COCO = {
    'AP50': ('COCO/precision_at_overlap_0.50', 'Mean AP over classes, at IoU 0.50.'),
    'AP75': ('COCO/precision_at_overlap_0.75', 'Mean AP over classes, at IoU 0.75.'),
    'APs': ('COCO/precision_of_small_objects', f'COCO\'s AP of objects {_SMALL}.'),
    'APm': ('COCO/precision_of_medium_objects', f'COCO\'s AP of objects {_MEDIUM}.'),
    'APl': ('COCO/precision_of_large_objects', f'COCO\'s AP of objects {_LARGE}.'),
    'ARs': ('COCO/recall_of_small_objects', f'COCO\'s average recall of objects {_SMALL}.'),
    'ARm': ('COCO/recall_of_medium_objects', f'COCO\'s average recall of objects {_MEDIUM}.'),
    'ARl': ('COCO/recall_of_large_objects', f'COCO\'s average recall of objects {_LARGE}.'),
    'AR1': ('COCO/recall_of_1_detection', 'Average recall with 1 detection per class and image.'),
    'AR10': ('COCO/recall_of_10_detections',
             'Average recall with at most 10 detections per class and image.'),
    'AR100': ('COCO/recall_of_100_detections',
              'Average recall with at most 100 detections per class and image.')}
_ERRORS = {
    'missed': ('mistakes/missed', 'Objects without a detection, at a score of --min_score.'),
    'false': ('mistakes/false', 'Detections without an object, at a score of --min_score.'),
    'confused': ('mistakes/taken_for_another_class',
                 'Objects detected as another class, at a score of --min_score.')}


def training_summaries(loss_parts, learning_rate, batch, draw, max_images=4):
    """Return the summary ops of a training step: losses, learning rate, matching and images.

    Args:
        loss_parts: dict with the scalar tensors 'confidence', 'localization' and 'decay'.
        learning_rate: scalar tensor.
        batch: dict of tensors [B, ...], as the input pipeline returns it.
        draw: function (image [H, W, 3] uint8, boxes [M, 4], labels [M]) of NumPy arrays that
            returns the image with its boxes drawn, [H', W', 3] uint8. It is called only when the
            summaries are fetched.
        max_images: number of images to show from the start of the batch.

    Returns:
        A list of string tensors.
    """
    losses = []
    for name, value in loss_parts.items():
        tag, description = _LOSSES[name]
        losses.append(summary_ops.scalar(tag, value, description))
    num_images = batch['image'].shape[0]
    images = []
    with tf.device('/device:CPU:0'):
        for k in range(min(max_images, num_images)):
            arguments = [batch[name][k] for name in ('image', 'boxes', 'labels')]
            drawn = tf.numpy_function(draw, arguments, tf.uint8)
            images.append(summary_ops.image(
                f'training_images/{k + 1}', tf.ensure_shape(drawn, [None, None, 3]),
                'Augmented image of the batch, as the net sees it, with its ground truth.'))
    num_objects = tf.count_nonzero(batch['labels'] > 0, dtype=tf.int32)
    num_matched_anchors = tf.count_nonzero(batch['target_labels'] > 0, dtype=tf.float32)
    return [
        *losses, *images,
        summary_ops.scalar(
            'training/learning_rate', learning_rate,
            'Learning rate of the weights. Biases and the backbone may have a multiple of it.'),
        summary_ops.scalar(
            'matching/well_matched_share',
            tf.reduce_sum(batch['num_well_matched']) / tf.maximum(num_objects, 1),
            'Share of the ground-truth boxes with an anchor of IoU above --match_threshold. The '
            'others are matched to their best anchor only. If it is low, run fit_anchors.py.'),
        summary_ops.scalar(
            'matching/matched_anchors_per_image', num_matched_anchors / num_images,
            'Anchors matched to a ground-truth box. All other anchors are background.')]


def evaluation_summary(result, images):
    """Return the tf.Summary of an evaluation. Values that are None are left out.

    Args:
        result: dict that `Evaluation.result` returns.
        images: iterable of (name, PIL image) to show.
    """
    values = [(_MEAN_APS[name], value) for name, value in result['mAP'].items()]
    values += [(entry, result['COCO'][name]) for name, entry in _COCO.items()]
    values += [(entry, result['confusion'][name]) for name, entry in _ERRORS.items()]
    values += [((f'lost_mAP/{name}', f'Gain of the mAP (VOC12) without {name} errors.'), value)
               for name, value in result['lost_ap'].items()]
    values += [((f'AP_VOC07/{name}', f'AP of {name}, with the 11-point AP of Pascal VOC 2007.'),
                row['VOC07']) for name, row in result['classes'].items()]
    summary = tf.Summary()
    for (tag, description), value in values:
        if value is not None:
            summary.MergeFrom(summary_ops.scalar_proto(tag, value, description))
    summary.value.extend(
        tf.Summary.Value(tag=f'detections_against_ground_truth/{number}_{name}',
                         image=_image_proto(image))
        for number, (name, image) in enumerate(images, 1))
    return summary


def _image_proto(image):
    """Return the tf.Summary.Image of a PIL image, as JPEG: a PNG is five times as large."""
    return tf.Summary.Image(height=image.height, width=image.width, colorspace=3,
                            encoded_image_string=encode_jpeg(image, 85))
