"""What TensorBoard shows of a training and of an evaluation."""
import tensorflow.compat.v1 as tf

from visualization import summary_ops
from visualization.drawing import as_jpeg

# Name of a mean average precision -> what it is.
_MEANS = {
    'VOC07': 'Mean over the classes of average precision as Pascal VOC 2007 counts: at 11 levels of recall.',
    'VOC12': 'Mean over the classes of average precision as Pascal VOC 2012 counts: at every recall that occurs.',
    'COCO': 'Mean over the classes, and over ten overlaps from 0.5 to 0.95, of average precision as COCO counts.'}
_SIZES = {'small': 'up to 32x32 pixels', 'medium': 'between 32x32 and 96x96 pixels', 'large': 'above 96x96 pixels'}
# COCO's number -> its name on the board, and what it is.
_COCO = {
    **{f'AP{overlap}': (f'precision_at_overlap_0.{overlap}', f'Mean average precision where a detection is right from '
                        f'an overlap of 0.{overlap} on.') for overlap in (50, 75)},
    **{f'{kind}{size[0]}': (f'{name}_of_{size}_objects', f'{text} of objects {pixels}.')
       for kind, name, text in (('AP', 'precision', 'COCO\'s mean average precision'), ('AR', 'recall', 'Mean recall'))
       for size, pixels in _SIZES.items()},
    **{f'AR{most}': (f'recall_of_{most}_detection{"s" * (most > 1)}', f'Mean recall where each class may have {most} '
                     f'detection{"s" * (most > 1)} in a picture.') for most in (1, 10, 100)}}
# Count of a confusion -> its name on the board, and what it is.
_MISTAKES = {
    'missed': ('missed', 'Objects that no detection of a score of --min_score overlaps.'),
    'false': ('false', 'Detections of a score of --min_score where there is no object.'),
    'confused': ('taken_for_another_class', 'Objects that a detection of another class has found.')}


def evaluation_summary(result, pictures):
    """A tf.Summary of a result, as `Evaluation.result` gives it, and of pictures: (name, PIL image), ..."""
    scalars = [(f'mAP/{name}', value, _MEANS[name]) for name, value in result['mAP'].items()]
    scalars += [(f'COCO/{name}', result['COCO'][number], text) for number, (name, text) in _COCO.items()]
    scalars += [(f'mistakes/{name}', result['confusion'][count], text) for count, (name, text) in _MISTAKES.items()]
    scalars += [(f'AP_VOC07/{name}', row['VOC07'], f'Average precision of {name} as Pascal VOC 2007 counts.')
                for name, row in result['classes'].items()]
    shown = tf.Summary()
    for tag, value, text in scalars:
        if value is not None:
            shown.MergeFrom(summary_ops.scalar_now(tag, value, text))
    shown.value.extend(tf.Summary.Value(tag=f'detections_against_ground_truth/{number}_{name}', image=_image(picture))
                       for number, (name, picture) in enumerate(pictures, 1))
    return shown


def _image(picture):
    return tf.Summary.Image(height=picture.height, width=picture.width, colorspace=3,
                            encoded_image_string=as_jpeg(picture, 85))   # a PNG is five times as large


# Part of the loss -> its name on the board, and what that means.
_LOSSES = {
    'confidence': ('confidence', 'How wrong the classes are: softmax loss of the matched anchors and of the negatives '
                   'mined for them, summed, per matched anchor.'),
    'localization': ('localization', 'How wrong the places are: smooth L1 loss of the offsets of matched anchors, '
                     'summed, per matched anchor, times --loss_alpha.'),
    'decay': ('weight_decay', 'L2 loss of the weights, times --weight_decay.')}


def training_summaries(parts, learning_rate, batch, draw, num_images_shown=4):
    """A list of summaries: the loss by part, the rate, the matching, and training pictures with their boxes.

    draw: function of arrays (picture [H, W, 3] uint8, boxes [M, 4], labels [M]) -> the picture with its boxes,
    [H', W', 3] uint8. It is called when the summaries are fetched, and only then.
    """
    losses_by_part = [summary_ops.scalar(f'losses/{_LOSSES[part][0]}', value, _LOSSES[part][1])
                      for part, value in parts.items()]
    num_truths = tf.count_nonzero(batch['labels'] > 0, dtype=tf.int32)
    num_images = batch['image'].shape[0]
    images = []
    with tf.device('/device:CPU:0'):
        for k in range(min(num_images_shown, num_images)):
            drawn = tf.numpy_function(draw, [batch[name][k] for name in ('image', 'boxes', 'labels')], tf.uint8)
            images.append(summary_ops.image(
                f'training_images/{k + 1}', tf.ensure_shape(drawn, [None, None, 3]),
                'An image of the batch as the net sees it, after augmentation, with its ground truths.'))
    return [*losses_by_part, *images,
            summary_ops.scalar('training/learning_rate', learning_rate,
                             'That of the weights; biases and the backbone may have a multiple of it.'),
            summary_ops.scalar('matching/well_matched_share', tf.reduce_sum(batch['num_well_matched']) / tf.maximum(num_truths, 1),
                             'The share of the ground truths that some anchor overlaps by more than --match_threshold. '
                             'The others have their best anchor alone. Where it is low, fit_anchors.py helps.'),
            summary_ops.scalar('matching/matched_anchors_per_picture',
                             tf.count_nonzero(batch['target_labels'] > 0, dtype=tf.float32) / num_images,
                             'Anchors that learn an object; all others are background.')]
