"""Anchor sizes: named presets, and sizes that users choose for their own data."""
import fractions
import os
import re

from common.errors import UserError
from common.files import read_text


def _chained(*sizes):
    """Return (s_k, s_k+1) of each layer: _chained(1, 2, 3) is ((1, 2), (2, 3))."""
    return tuple(zip(sizes, sizes[1:], strict=False))


# VGG: the sizes of the released models. MobileNet: paper eq. 4 with s_max 0.95, and s_min 0.2 for
# VOC or 0.15 for COCO. Its finest feature map has stride 16 and no anchor of size
# sqrt(s_k * s_k+1), so that the 300 nets have 1,917 anchors.
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
_MAX_SIZE, _MAX_RATIO = 10_000, 100   # pixels, and width / height: larger values are mistakes
_MAX_FILE_BYTES = 1 << 24
_SIZES_PATTERN = r'\s*\d[-+\d.,:/einf\s]*'   # text that is meant as sizes, not as a name
_SIZES_EXAMPLE = '30,60 60,111 111,162 162,213 213,264 264,315'


def canonical_text(preset):
    """Return the canonical text of an anchor preset, as stored with checkpoints.

    Sizes are words, one per feature layer in the order of the net: `s,s'` in pixels of the net's
    input for the paper's s_k and s_k+1, or `s` to leave out the anchor of size sqrt(s_k * s_k+1).
    Aspect ratios width / height may follow after a colon: `25,154:2,1/2,3,1/3`. Without a colon,
    a layer keeps the ratios of the net. In a file, `#` starts a comment.

    Args:
        preset: 'voc', 'coco', sizes, or the path of a file of sizes.

    Returns:
        The name, or the sizes in their canonical form: equal sizes give equal texts.

    Raises:
        UserError: If the preset is unknown, its file cannot be read, or a word is invalid.
    """
    if preset in NAMES:
        return preset
    text, source = preset, 'anchor preset'
    if os.path.exists(preset):
        source = preset
        try:
            lines = read_text(preset, _MAX_FILE_BYTES).split('\n')
            text = ' '.join(line.partition('#')[0] for line in lines)
        except (OSError, UnicodeDecodeError) as error:
            raise UserError(
                f'{preset} is not a readable text file of anchor sizes ({error})') from error
    elif not re.fullmatch(_SIZES_PATTERN, preset):
        raise UserError(f"unknown anchor preset '{preset}', and no such file exists. Choose "
                        f"{', '.join(NAMES)}, a file of sizes, or sizes such as '{_SIZES_EXAMPLE}'")
    if not text.split():
        raise UserError(f'{source} contains no anchor sizes')
    return ' '.join(_format(*_parse(word, source)) for word in text.split())


def _parse(word, source):
    """Parse the sizes of a layer.

    Args:
        word: the text.
        source: file name, or what else an error names.

    Returns:
        ([s] or [s, s'], aspect ratios as fractions, or None for those of the net).

    Raises:
        UserError: If the word is invalid.
    """
    size_text, colon, ratio_text = word.partition(':')
    try:
        sizes = [float(size) for size in size_text.split(',')]
        ratios = list(map(_parse_ratio, ratio_text.split(','))) if ratio_text else []
    except (ValueError, ZeroDivisionError):
        sizes, ratios = [], []
    # Sizes below a pixel are a mistake, such as fractions of the image.
    if not (0 < len(sizes) < 3 and all(1 <= size <= _MAX_SIZE for size in sizes)
            and all(1 / _MAX_RATIO <= ratio <= _MAX_RATIO for ratio in ratios)):
        raise UserError(
            f"{source}: '{word}' is not a valid entry. Write s or s,s' in pixels of the net's "
            'input, optionally followed by a colon and aspect ratios: 30,60 or 30,60:2,1/2')
    return sizes, ratios if colon else None


def _parse_ratio(text):
    """Return an aspect ratio as a fraction; raise ValueError or ZeroDivisionError if invalid."""
    if 'e' in text.lower():   # a fraction holds all digits of 1e999999999
        raise ValueError(text)
    return fractions.Fraction(text)


def _format(sizes, ratios):
    """Return the canonical form of what `_parse` returns."""
    text = ','.join(f'{size:g}' for size in sizes)
    return text if ratios is None else f'{text}:{",".join(map(str, ratios))}'


def with_preset(params, preset):
    """Return the `SSDParams` with the anchors of a preset, as `canonical_text` reads it.

    Raises:
        UserError: If the preset is invalid or has a different number of layers.
    """
    text = canonical_text(preset)
    if text in NAMES:
        return params._replace(anchor_preset=text, anchor_sizes=_SIZES[params.name][text])
    layers = [_parse(word, preset) for word in text.split()]
    if len(layers) != len(params.feat_layers):
        raise UserError(
            f"anchor preset '{preset}' has sizes for {len(layers)} layers, but {params.name} has "
            f'{len(params.feat_layers)}: {", ".join(params.feat_layers)}')
    return params._replace(
        anchor_preset=text, anchor_sizes=tuple((*sizes, None)[:2] for sizes, _ in layers),
        anchor_ratios=tuple(net_ratios if ratios is None else tuple(map(float, ratios))
                            for (_, ratios), net_ratios
                            in zip(layers, params.anchor_ratios, strict=True)))
