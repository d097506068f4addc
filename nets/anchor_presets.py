"""Anchors as text: named presets, sizes that users choose for their own data, or all shapes."""
import fractions
import itertools
import os
import re
from typing import NamedTuple

from common.errors import UserError
from common.files import read_text
from nets.anchors import anchor_shapes

NAMES = ('voc', 'coco')
_MAX_SIZE, _MAX_RATIO = 10_000, 100   # pixels, and width / height: larger values are mistakes
_MAX_FILE_BYTES = 1 << 24
_SIZES_PATTERN = r'\s*\d[-+\d.,:/x@einfclp\s]*'   # text that is meant as sizes, not as a name
_CLIP = 'clip'   # last word of a text
_SIZES_EXAMPLE = '30,60 60,111 111,162 162,213 213,264 264,315'


class _Layer(NamedTuple):
    """The anchors of a layer as parsed from a word; pixels of the net's input."""
    sizes: tuple = ()        # (s,) or (s, s'), s_k and s_k+1 of the paper
    ratios: object = None    # fractions width / height; None: those of the net
    shapes: tuple = ()       # (height, width) of all anchors, instead of `sizes`
    step: object = None      # distance of anchor centers; None: that of the net


def canonical_text(preset):
    """Return the canonical text of an anchor preset, as stored with checkpoints.

    There is a word per feature layer, in the order of the net and in pixels of the net's input.

    - `s,s'` stands for the paper's s_k and s_k+1; `s` leaves out the anchor of size
      sqrt(s_k * s_k+1). Aspect ratios width / height may follow after a colon:
      `25,154:2,1/2,3,1/3`. Without a colon, a layer keeps the ratios of the net.
    - `HxW,HxW` lists the heights and widths of all anchors of a layer.
    - `@16` after either is the distance of anchor centers; without it, a layer keeps that of the
      net.

    A last word `clip` limits the center and the sides of each anchor to [0, 1] of the image, as
    several PyTorch programs do. In a file, `#` starts a comment.

    Args:
        preset: 'voc', 'coco', words, or the path of a file of words.

    Returns:
        The name, or the words in their canonical form: equal anchors give equal texts.

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
    layers, clip = _parse(text, source)
    return ' '.join([*map(_format, layers), *([_CLIP] if clip else [])])


def _parse(text, source):
    """Parse the words of a text.

    Args:
        text: the words.
        source: file name, or what else an error names.

    Returns:
        A list with a `_Layer` per word, and whether the anchors are clipped.

    Raises:
        UserError: If there is no word, or one is invalid.
    """
    words = text.split()
    clip = bool(words) and words[-1] == _CLIP
    layers = [_parse_word(word, source) for word in words[:len(words) - clip]]
    if not layers:
        raise UserError(f'{source} contains no anchor sizes')
    return layers, clip


def _parse_word(word, source):
    """Parse a word into a `_Layer`."""
    shapes_text, at, step_text = word.partition('@')
    size_text, colon, ratio_text = shapes_text.partition(':')
    sizes, ratios, shapes = (), (), ()
    try:
        step = float(step_text) if at else None
        if 'x' in shapes_text:
            shapes = tuple(tuple(map(float, shape.split('x'))) for shape in shapes_text.split(','))
        else:
            sizes = tuple(map(float, size_text.split(',')))
            ratios = tuple(map(_parse_ratio, ratio_text.split(','))) if ratio_text else ()
    except (ValueError, ZeroDivisionError):
        sizes, shapes, step = (), (), None
    # Sizes below a pixel are a mistake, such as fractions of the image.
    lengths = [*sizes, *itertools.chain(*shapes), *([] if step is None else [step])]
    if not (len(sizes) < 3 and (sizes or shapes) and all(len(shape) == 2 for shape in shapes)
            and all(1 <= length <= _MAX_SIZE for length in lengths)
            and all(1 / _MAX_RATIO <= ratio <= _MAX_RATIO for ratio in ratios)):
        raise UserError(
            f"{source}: '{word}' is not a valid entry. Write s or s,s' in pixels of the net's "
            'input, optionally followed by a colon and aspect ratios: 30,60 or 30,60:2,1/2; or '
            'height and width of each anchor: 30x30,21x42')
    return _Layer(sizes, ratios if colon else None, shapes, step)


def _parse_ratio(text):
    """Return an aspect ratio as a fraction; raise ValueError or ZeroDivisionError if invalid."""
    if 'e' in text.lower():   # a fraction holds all digits of 1e999999999
        raise ValueError(text)
    return fractions.Fraction(text)


def _format(layer):
    """Return the canonical word of a `_Layer`."""
    text = ','.join(f'{size:g}' for size in layer.sizes)
    if layer.ratios is not None:
        text += f':{",".join(map(str, layer.ratios))}'
    text += ','.join(f'{height:.9g}x{width:.9g}' for height, width in layer.shapes)
    return text if layer.step is None else f'{text}@{layer.step:.9g}'


def with_preset(params, preset):
    """Return the `SSDParams` with the anchors of a preset, as `canonical_text` reads it.

    Raises:
        UserError: If the preset is invalid or has a different number of layers.
    """
    text = canonical_text(preset)
    layers, clip = [_Layer(sizes) for sizes in params.anchor_presets.get(text, ())], False
    if text not in NAMES:
        layers, clip = _parse(text, preset)
    if len(layers) != len(params.feat_layers):
        raise UserError(
            f"anchor preset '{preset}' has sizes for {len(layers)} layers, but {params.name} has "
            f'{len(params.feat_layers)}: {", ".join(params.feat_layers)}')
    return params._replace(
        anchor_preset=text, clip_anchors=clip,
        anchor_shapes=tuple(_shapes(*pair) for pair in
                            zip(layers, params.anchor_ratios, strict=True)),
        anchor_steps=tuple(layer.step or step for layer, step in
                           zip(layers, params.anchor_steps, strict=True)))


def _shapes(layer, net_ratios):
    """Return (height, width) of the anchors of a `_Layer` of a net with these ratios."""
    if layer.shapes:
        return layer.shapes
    ratios = net_ratios if layer.ratios is None else [float(ratio) for ratio in layer.ratios]
    size, next_size = (*layer.sizes, None)[:2]
    return tuple(map(tuple, anchor_shapes(size, next_size, ratios).tolist()))
