"""Names of the extra and prediction layers of SSDLite in our nets."""

SEPARABLE = ('conv3x3_depthwise', 'conv3x3_pointwise')
"""The second part of an extra block."""


def extra_layers(blocks, names, parts=('conv1x1', *SEPARABLE)):
    """Return {our layer: names in the file} of the extra blocks.

    Args:
        blocks: the `ExtraBlock`s of our net.
        names: function (index of the block, our part) -> names of the layer.
        parts: our parts of a block.
    """
    return {f'{block.name}/{part}': names(index, part)
            for index, block in enumerate(blocks) for part in parts}


def heads(feat_layers, names):
    """Return {our layer: names in the file} of prediction layers that may be separable.

    Args:
        feat_layers: our names of the feature layers.
        names: function (index, 'loc' or 'cls') -> names of the depthwise convolution, or None, and
            of the last one.
    """
    layers = {}
    for index, feature in enumerate(feat_layers):
        for conv in ('loc', 'cls'):
            depthwise, last = names(index, conv)
            if depthwise:
                layers[f'{feature}_box/conv_{conv}_depthwise'] = depthwise
            layers[f'{feature}_box/conv_{conv}'] = last
    return layers
