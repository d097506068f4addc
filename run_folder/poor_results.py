"""Likely reasons of an mAP near 0, as far as they can be checked."""
import os

from nets import anchors, coverage
from nets.backbones import BACKBONES
from run_folder import run_config

_MAX_POOR_MAP = .05
_FEW_STEPS = 1000         # every recipe of the repository trains longer
_MANY_UNMATCHED = .25     # share of objects that no anchor overlaps by more than 0.5


def is_poor(result):
    """Return whether a result of `Evaluation.result` is near 0 or has no object detected."""
    return result['mAP']['VOC07'] < _MAX_POOR_MAP or not result['confusion']['found']


def likely_reasons(model, result, max_score, boxes):
    """Return lines with the likely reasons of a poor result and their remedies.

    Checked are the training steps and pretrained weights in the configuration beside the
    checkpoint, the highest score, and the overlap of objects and anchors.

    Args:
        model: `trained_model.Model`.
        result: its result, as `Evaluation.result` returns it.
        max_score: the highest score of all detections; 0 without detections.
        boxes: [M, 4] ground-truth boxes of the split.
    """
    config = run_config.read(os.path.dirname(model.checkpoint)) or {}
    flags, reasons = config.get('flags'), []
    if flags and model.step < _FEW_STEPS:
        reasons.append(f'the checkpoint was trained for {model.step} steps only: train longer')
    if flags and not flags.get('checkpoint_path'):
        advice = 'pass pretrained weights as --checkpoint_path'
        if BACKBONES[model.params.backbone].batch_norm and flags.get('optimizer') != 'adam':
            advice += ', or train with --recipe=strong'
        reasons.append(f'{model.params.name} was trained from random weights: {advice}')
    min_score = result['confusion']['min_score']
    if max_score < min_score:
        reasons.append(f'the highest score is {max_score:.3f}, and the error analysis counts '
                       f'detections from --min_score={min_score:g} on: the net is not trained '
                       f'enough, or pass a smaller --min_score')
    overlaps = coverage.best_overlaps(boxes, anchors.net_anchors(model.params))
    unmatched_share = (overlaps <= .5).mean() if len(boxes) else 0.
    if unmatched_share > _MANY_UNMATCHED:
        reasons.append(f'{unmatched_share:.0%} of the objects overlap no anchor by more than 0.5, '
                       f'so they are hardly learned: propose anchors with fit_anchors.py')
    if not reasons:
        return ['no likely reason of this result was found (checked: training steps, pretrained '
                'weights, score threshold, anchors); see docs/troubleshooting.md']
    return ['likely reasons of this result:', *(f'  - {reason}' for reason in reasons)]
