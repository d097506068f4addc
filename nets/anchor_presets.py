"""Sizes of the anchors: the presets with a name, and those that people choose for their own data."""
import fractions
import os
import re

from common.errors import UserError


def _chained(*sizes):
    """(s1, s2, s3) -> ((s1, s2), (s2, s3)): s' of a layer is s of the next."""
    return tuple(zip(sizes, sizes[1:], strict=False))


# VGG: the sizes of the released models. MobileNet: eq. 4 from s_min to 0.95, s_min 0.2 for VOC and 0.15 for
# COCO; its finest map has stride 16, so it gets no sqrt(s * s') anchor and 1,917 anchors in all.
_MOBILENET_300 = {
    'voc': ((60., None),) + _chained(105., 150., 195., 240., 285., 300.),
    'coco': ((45., None),) + _chained(93., 141., 189., 237., 285., 300.),
}
_SIZES = {
    'ssd_300_vgg': {'voc': _chained(30., 60., 111., 162., 213., 264., 315.),
                    'coco': _chained(21., 45., 99., 153., 207., 261., 315.)},
    'ssd_512_vgg': {'voc': _chained(35.84, 76.8, 153.6, 230.4, 307.2, 384., 460.8, 537.6),
                    'coco': _chained(20.48, 51.2, 133.12, 215.04, 296.96, 378.88, 460.8, 542.72)},
    'ssd_300_mobilenet_v1': _MOBILENET_300,
    'ssd_300_mobilenet_v1_075': _MOBILENET_300,
    'ssd_300_mobilenet_v1_050': _MOBILENET_300,
    'ssd_300_mobilenet_v1_025': _MOBILENET_300,
    'ssd_160_mobilenet_v1_025': {'voc': _chained(32., 62., 92., 122., 152., 160.),
                                 'coco': _chained(24., 56., 88., 120., 152., 160.)},
}
NAMES = ('voc', 'coco')
_LARGEST, _LONGEST = 10_000, 100   # pixels of a size, and a ratio: more is a mistake


def canonical_text(preset):
    """The text that a preset is known by, beside its checkpoints too: a name, or own sizes in their one form.

    preset: 'voc', 'coco', own sizes, or a file of them. Own sizes are words, one for each feature layer in the order of
    the net, in pixels of its input: `s`, or `s,s'` for a further square anchor of sqrt(s * s'); behind a colon the
    ratios width / height of the others, if they shall not be those of the net: `25,154:2,1/2,3,1/3`. In a file, `#`
    begins a comment. UserError for anything else.
    """
    if preset in NAMES:
        return preset
    text, where = preset, '--anchor_preset'
    if os.path.exists(preset):
        where = preset
        try:
            with open(preset, encoding='utf-8-sig') as file:   # Windows begins its files with a mark
                text = ' '.join(line.partition('#')[0] for line in file)
        except (OSError, UnicodeDecodeError) as error:
            raise UserError(f'{preset} cannot be read as a text file of anchor sizes ({error})') from error
    elif not re.fullmatch(r'\s*\d[-+\d.,:/einf\s]*', preset):
        raise UserError(f"no anchor preset is called '{preset}' and no such file is there; give {', '.join(NAMES)}, a "
                        f"file of sizes, or sizes such as '30,60 60,111 111,162 162,213 213,264 264,315'")
    if not text.split():
        raise UserError(f'{where} holds no anchor sizes')
    return ' '.join(_text(*_parse(word, where)) for word in text.split())


def _parse(word, where):
    """A word of own sizes -> ([s] or [s, s'], ratios as fractions, None for those of the net); UserError if wrong."""
    sizes, colon, ratios = word.partition(':')
    try:
        numbers = [float(size) for size in sizes.split(',')]
        shapes = [fractions.Fraction(ratio) for ratio in ratios.split(',')] if ratios else []
    except (ValueError, ZeroDivisionError):
        numbers, shapes = [], []
    # Below a pixel they are shares of the picture, or a mistake.
    if not (0 < len(numbers) < 3 and all(1 <= number <= _LARGEST for number in numbers)
            and all(1 / _LONGEST <= ratio <= _LONGEST for ratio in shapes)):
        raise UserError(f"{where}: '{word}' are no anchor sizes of a layer; write s or s,s' in pixels of the net's "
                        f"input, and ratios behind a colon if they are your own: 30,60 or 30,60:2,1/2")
    return numbers, shapes if colon else None


def _text(sizes, ratios):
    """The one form of a word of own sizes."""
    return ','.join(f'{size:g}' for size in sizes) + ('' if ratios is None else ':' + ','.join(map(str, ratios)))


def with_preset(params, preset):
    """The net of the table (`SSDParams`) with the anchors of a preset, as `read` takes it.

    UserError where it is none, or one for another number of layers.
    """
    text = canonical_text(preset)
    if text in NAMES:
        return params._replace(anchor_preset=text, anchor_sizes=_SIZES[params.name][text])
    layers = [_parse(word, preset) for word in text.split()]
    if len(layers) != len(params.feat_layers):
        raise UserError(f"the anchor preset '{preset}' has sizes for {len(layers)} layers, but {params.name} has "
                        f'{len(params.feat_layers)}: {", ".join(params.feat_layers)}')
    return params._replace(
        anchor_preset=text, anchor_sizes=tuple((*sizes, None)[:2] for sizes, _ in layers),
        anchor_ratios=tuple(net if own is None else tuple(map(float, own))
                            for (_, own), net in zip(layers, params.anchor_ratios, strict=True)))
