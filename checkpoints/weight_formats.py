"""How others name, lay out and feed the layers of our backbones: what each public kind of weights is, as data.

A name of ours is a variable's name below the scope of the net: 'conv1/conv1_1/weights'.
"""
from collections.abc import Callable
from typing import NamedTuple

import numpy as np


class Inputs(NamedTuple):
    """What a net was trained on: x = (RGB - mean) * scale, the channels in reverse where it read BGR."""
    mean: tuple            # of R, G, B
    scale: tuple           # of R, G, B
    bgr: bool = False


class WeightFormat(NamedTuple):
    """One public kind of weights."""
    title: str
    backbone: str                     # of `SSDParams`
    marker: str                       # a name that files of this kind have
    names: dict                       # name of ours -> name there
    to_hwio: Callable                 # kernel as it lies there -> [h, w, in, out], or itself if it is no kernel
    inputs: object                    # `Inputs`; None: as our net has them
    too_much: str = ''                # a name that only a deeper net has
    when: Callable = lambda _: True   # Source -> whether it is this kind, where several have the marker


def _crossed(layers, parameters):
    """Names of layers, ours -> there, times those of parameters."""
    return {f'{ours}/{parameter}': there + ending
            for ours, there in layers.items() for parameter, ending in parameters.items()}


def _as_it_is(kernel):
    return kernel


def _from_oihw(kernel):
    """[out, in, h, w] -> [h, w, in, out]. Dense kernels [out, in] see the 7x7 cells of pool5, or one cell."""
    if kernel.ndim == 4 and kernel.shape[:2] == (1, 1) and kernel.shape[2:] != (1, 1):
        kernel = kernel[0, 0]   # dense, as Caffe wrote it before 2014
    if kernel.ndim == 2:
        side = 7 if kernel.shape[1] == _FC6_INPUTS else 1
        kernel = kernel.reshape(len(kernel), -1, side, side)
    return kernel.transpose(2, 3, 1, 0) if kernel.ndim == 4 else kernel


def _from_dense(kernel):
    """[h, w, in, out] as it is; dense kernels [in, out] see the 7x7 cells of pool5, or one cell, channels last."""
    if kernel.ndim == 2:
        side = 7 if len(kernel) == _FC6_INPUTS else 1
        kernel = kernel.reshape(side, side, -1, kernel.shape[1])
    return kernel


_FC6_INPUTS = 7 * 7 * 512
_VGG = [(block, index) for block, repeats in enumerate((2, 2, 3, 3, 3), 1) for index in range(1, repeats + 1)]


def _vgg(there, **dense):
    """Our layers of VGG-16 -> their names, from a pattern of {block} and {index}; dense: conv6 and conv7."""
    return {**{f'conv{b}/conv{b}_{i}': there.format(block=b, index=i) for b, i in _VGG}, **dense}


def _caffe_ssd():
    """The names of the SSD authors' models: VGG, the layers behind it, and the boxes."""
    parameters = {'weights': '/blob_0', 'biases': '/blob_1'}
    layers = _vgg('conv{block}_{index}', conv6='fc6', conv7='fc7')
    features = {'block4': 'conv4_3_norm', 'block7': 'fc7'}
    for block in range(8, 13):   # the last of SSD512 has a 4x4 kernel
        features[f'block{block}'] = f'conv{block - 2}_2'
        layers |= {f'block{block}/conv1x1': f'conv{block - 2}_1',
                   f'block{block}/conv{"4x4" if block == 12 else "3x3"}': f'conv{block - 2}_2'}
    for block, feature in features.items():
        layers |= {f'{block}_box/conv_loc': f'{feature}_mbox_loc', f'{block}_box/conv_cls': f'{feature}_mbox_conf'}
    return {**_crossed(layers, parameters), 'block4_box/L2Normalization/gamma': 'conv4_3_norm/blob_0'}


def _keras_mobilenet(depthwise):
    """Keras 2 and 3 differ in the name of the depthwise kernel."""
    layers = {'MobilenetV1/Conv2d_0': 'conv1', **{
        f'MobilenetV1/Conv2d_{i}_{ours}': f'conv_{theirs}_{i}'
        for i in range(1, 14) for ours, theirs in (('depthwise', 'dw'), ('pointwise', 'pw'))}}
    moments = ('gamma', 'beta', 'moving_mean', 'moving_variance')
    return _crossed(layers, {'weights': '/kernel', 'depthwise_weights': depthwise,
                             **{f'BatchNorm/{moment}': f'_bn/{moment}' for moment in moments}})


# Position of the convolutions in torchvision's vgg16().features: ReLU and pooling are counted too.
_TORCHVISION = dict(zip(_VGG, (0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28), strict=True))
_TORCHVISION_LAYERS = {f'conv{b}/conv{b}_{i}': f'features.{n}' for (b, i), n in _TORCHVISION.items()}
_WEIGHTS = {'slim': {'weights': '/weights', 'biases': '/biases'}, 'keras': {'weights': '/kernel', 'biases': '/bias'},
            'torch': {'weights': '.weight', 'biases': '.bias'}}

# What they subtract, of R, G, B: Simonyan and Zisserman, and after them Keras and tf-slim; the SSD authors;
# torchvision, which divides by deviations too. MobileNets all read [-1, 1].
_ONES = (1., 1., 1.)
_OXFORD = Inputs((123.68, 116.779, 103.939), _ONES)
_SSD_AUTHORS = Inputs((123., 117., 104.), _ONES)
_IMAGENET = Inputs((.485 * 255, .456 * 255, .406 * 255), (1 / (.229 * 255), 1 / (.224 * 255), 1 / (.225 * 255)))


def _is_without_classifier(source):
    """torchvision's IMAGENET1K_FEATURES, which its SSD starts from, has NaN where the classifier would be."""
    fc6 = 'classifier.0.weight'
    return fc6 in source.shapes and not np.isfinite(source.read(fc6)).all()


def _is_not_reduced(source):
    """Oxford's file has 4096 channels in fc6, those of the SSD authors 1024."""
    return np.prod(source.shapes.get('fc6/blob_0', [0])) == 4096 * _FC6_INPUTS


# Where several have one marker, the first whose condition holds.
WEIGHT_FORMATS = (
    WeightFormat("tf-slim's vgg_16", 'vgg_16', 'vgg_16/conv1/conv1_1/weights',
           _crossed(_vgg('vgg_16/conv{block}/conv{block}_{index}', conv6='vgg_16/fc6', conv7='vgg_16/fc7'),
                    _WEIGHTS['slim']), _as_it_is, _OXFORD),
    WeightFormat("Keras's VGG16", 'vgg_16', 'block1_conv1/kernel',
           _crossed(_vgg('block{block}_conv{index}', conv6='fc1', conv7='fc2'), _WEIGHTS['keras']),
           _from_dense, _OXFORD._replace(bgr=True), too_much='block3_conv4/kernel'),
    WeightFormat("Keras's VGG16", 'vgg_16', 'conv1_1/kernel', _crossed(_vgg('conv{block}_{index}'), _WEIGHTS['keras']),
           _as_it_is, _OXFORD._replace(bgr=True), too_much='conv3_4/kernel'),
    WeightFormat("torchvision's vgg16 without its classifier", 'vgg_16', 'features.28.weight',
           _crossed(_TORCHVISION_LAYERS, _WEIGHTS['torch']), _from_oihw, _SSD_AUTHORS,
           too_much='features.34.weight', when=_is_without_classifier),
    WeightFormat("torchvision's vgg16", 'vgg_16', 'features.28.weight',
           _crossed({**_TORCHVISION_LAYERS, 'conv6': 'classifier.0', 'conv7': 'classifier.3'}, _WEIGHTS['torch']),
           _from_oihw, _IMAGENET, too_much='features.34.weight'),
    WeightFormat("Oxford's VGG16 for Caffe", 'vgg_16', 'conv1_1/blob_0', _caffe_ssd(), _from_oihw,
           _OXFORD._replace(bgr=True), too_much='conv3_4/blob_0', when=_is_not_reduced),
    WeightFormat("the SSD authors' VGG16 or SSD for Caffe", 'vgg_16', 'conv1_1/blob_0', _caffe_ssd(), _from_oihw,
           _SSD_AUTHORS._replace(bgr=True), too_much='conv3_4/blob_0'),
    WeightFormat("Keras's MobileNet", 'mobilenet_v1', 'conv_dw_1/depthwise_kernel', _keras_mobilenet('/depthwise_kernel'),
           _as_it_is, None),
    WeightFormat("Keras's MobileNet", 'mobilenet_v1', 'conv_dw_1/kernel', _keras_mobilenet('/kernel'), _as_it_is, None),
)

# The a-trous reduction (paper, section 3; Chen et al., DeepLab): of the 7x7 kernel of fc6 every third row and
# column, which rate 6 puts two cells of stride 1 apart, and of both layers' channels every fourth.
_REDUCED = {('conv6/weights', (7, 7, 512, 4096)): np.s_[::3, ::3, :, ::4],
            ('conv6/biases', (4096,)): np.s_[::4],
            ('conv7/weights', (1, 1, 4096, 4096)): np.s_[:, :, ::4, ::4],
            ('conv7/biases', (4096,)): np.s_[::4]}
_FIRST = 'conv1/conv1_1'


def identify_format(source):
    """The `Layout` of a `sources.WeightSource`, None where it has names of ours, or of nobody we know."""
    return next((layout for layout in WEIGHT_FORMATS if layout.marker in source.shapes and layout.when(source)), None)


def read_variable(layout, source, name, params):
    """The float32 array that our variable `name` of the net `params` starts from, None where the file lacks it.

    source: a `Source`. Its shape is that of the file after the change of layout; it may differ from ours.
    """
    there = layout.names.get(name)
    if there not in source.shapes:
        return None
    array = np.asarray(source.read(there), np.float32)
    array = layout.to_hwio(array) if name.endswith('weights') else array.reshape(-1)
    if (name, array.shape) in _REDUCED:
        array = array[_REDUCED[name, array.shape]]
    if layout.inputs and name.startswith(_FIRST) and layout.names[f'{_FIRST}/weights'] in source.shapes:
        array = _for_our_inputs(layout, source, name, params, array)
    return np.ascontiguousarray(array)


def _for_our_inputs(layout, source, name, params, array):
    """The first layer for x as our net makes it: x' = x * scale' / scale + (mean - mean') * scale'.

    The factor goes into the kernel, the constant into the biases; exact but for the border, where zeros stand for
    our mean colour.
    """
    inputs = layout.inputs
    kernel = layout.to_hwio(np.asarray(source.read(layout.names[f'{_FIRST}/weights']), np.float32))
    if kernel.ndim != 4 or kernel.shape[2] != 3:
        return array   # no first layer of ours, as will be said
    if inputs.bgr:
        kernel = kernel[:, :, ::-1]
    if name.endswith('weights'):
        return kernel * (np.float32(inputs.scale) / np.float32(params.scale))[:, np.newaxis]
    shift = (np.float32(params.mean) - np.float32(inputs.mean)) * np.float32(inputs.scale)
    return array + np.einsum('hwio,i->o', kernel, shift)
