"""Public formats of pretrained weights: variable names, kernel layouts, input normalization.

"Our name" of a variable is its name below the scope of the net, such as 'conv1/conv1_1/weights'.
Our kernels are [kh, kw, in, out], and our nets normalize RGB images by (image - mean) * scale.
"""
from collections.abc import Callable
from typing import NamedTuple

import numpy as np


class InputNormalization(NamedTuple):
    """The input of a net: (image - mean) * scale, with pixel values from 0 to 255."""
    mean: tuple            # (R, G, B)
    scale: tuple           # (R, G, B)
    is_bgr: bool = False   # the channels of the input are in the order B, G, R


class WeightFormat(NamedTuple):
    """One public format of weights."""
    title: str
    backbone: str                        # as in `SSDParams`
    signature: str                       # a variable name that identifies the format
    source_names: dict                   # our name -> name in the file
    to_hwio: Callable                    # kernel of the file -> [kh, kw, in, out]
    normalization: object                # `InputNormalization`; None: that of our net
    deeper_net_name: str = ''            # a variable name that only a deeper net has, e.g. VGG-19
    matches: Callable = lambda _: True   # (WeightSource) -> bool, if formats share a signature


def _name_table(layers, parameters):
    """Return {our variable name: name in the file} of all parameters of all layers.

    Args:
        layers: our layer name -> layer name in the file.
        parameters: our parameter name -> suffix of the layer name in the file.
    """
    return {f'{our_layer}/{our_parameter}': layer + suffix
            for our_layer, layer in layers.items() for our_parameter, suffix in parameters.items()}


def _identity(kernel):
    return kernel


def _from_oihw(kernel):
    """Transpose [out, in, kh, kw] to [kh, kw, in, out]; return vectors unchanged.

    Dense kernels [out, in], also as [1, 1, out, in], become convolutions: over the 7x7 cells of
    pool5 for fc6, otherwise 1x1.
    """
    if kernel.ndim == 4 and kernel.shape[:2] == (1, 1) and kernel.shape[2:] != (1, 1):
        kernel = kernel[0, 0]   # a dense layer in Caffe's format before 2014
    if kernel.ndim == 2:
        size = 7 if kernel.shape[1] == _FC6_INPUTS else 1
        kernel = kernel.reshape(len(kernel), -1, size, size)
    return kernel.transpose(2, 3, 1, 0) if kernel.ndim == 4 else kernel


def _from_dense(kernel):
    """Return [kh, kw, in, out] unchanged, and dense kernels [in, out] as convolutions.

    The inputs of fc6 are the 7x7 cells of pool5, channels last; other layers become 1x1.
    """
    if kernel.ndim == 2:
        size = 7 if len(kernel) == _FC6_INPUTS else 1
        kernel = kernel.reshape(size, size, -1, kernel.shape[1])
    return kernel


_FC6_INPUTS = 7 * 7 * 512
_VGG_CONVS = [(block, index) for block, repeats in enumerate((2, 2, 3, 3, 3), 1)
              for index in range(1, repeats + 1)]


def _vgg_layers(pattern, **dense):
    """Return {our layer name: layer name in the file} of VGG-16.

    Args:
        pattern: name of a convolution in the file, with {block} and {index}.
        **dense: names of conv6 and conv7 in the file.
    """
    convs = {f'conv{block}/conv{block}_{index}': pattern.format(block=block, index=index)
             for block, index in _VGG_CONVS}
    return {**convs, **dense}


def _caffe_ssd_names():
    """Return the name table of the SSD authors' models: VGG, extra layers, prediction layers."""
    parameters = {'weights': '/blob_0', 'biases': '/blob_1'}
    layers = _vgg_layers('conv{block}_{index}', conv6='fc6', conv7='fc7')
    feature_layers = {'block4': 'conv4_3_norm', 'block7': 'fc7'}
    for block in range(8, 13):
        feature_layers[f'block{block}'] = f'conv{block - 2}_2'
        size = '4x4' if block == 12 else '3x3'   # the last layer of SSD512
        layers |= {f'block{block}/conv1x1': f'conv{block - 2}_1',
                   f'block{block}/conv{size}': f'conv{block - 2}_2'}
    for block, layer in feature_layers.items():
        layers |= {f'{block}_box/conv_loc': f'{layer}_mbox_loc',
                   f'{block}_box/conv_cls': f'{layer}_mbox_conf'}
    return {**_name_table(layers, parameters),
            'block4_box/L2Normalization/gamma': 'conv4_3_norm/blob_0'}


def _keras_mobilenet_names(depthwise):
    """Return the name table of Keras's MobileNet v1.

    Args:
        depthwise: suffix of depthwise kernels, which differs between Keras 2 and 3.
    """
    layers = {'MobilenetV1/Conv2d_0': 'conv1'}
    for index in range(1, 14):
        for our_part, part in (('depthwise', 'dw'), ('pointwise', 'pw')):
            layers[f'MobilenetV1/Conv2d_{index}_{our_part}'] = f'conv_{part}_{index}'
    batch_norm = {f'BatchNorm/{name}': f'_bn/{name}'
                  for name in ('gamma', 'beta', 'moving_mean', 'moving_variance')}
    return _name_table(
        layers, {'weights': '/kernel', 'depthwise_weights': depthwise, **batch_norm})


# Indices of the convolutions in torchvision's vgg16().features, which also counts ReLU and pooling.
_TORCHVISION_INDICES = (0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28)
_TORCHVISION_LAYERS = {
    f'conv{block}/conv{block}_{index}': f'features.{position}'
    for (block, index), position in zip(_VGG_CONVS, _TORCHVISION_INDICES, strict=True)}
_SLIM_PARAMETERS = {'weights': '/weights', 'biases': '/biases'}
_KERAS_PARAMETERS = {'weights': '/kernel', 'biases': '/bias'}
_TORCH_PARAMETERS = {'weights': '.weight', 'biases': '.bias'}

# The mean of Simonyan and Zisserman is also that of Keras and tf-slim. torchvision also divides by
# the standard deviation. All MobileNets map the input to [-1, 1], as ours do.
_ONES = (1., 1., 1.)
_OXFORD = InputNormalization((123.68, 116.779, 103.939), _ONES)
_SSD_AUTHORS = InputNormalization((123., 117., 104.), _ONES)
_TORCHVISION = InputNormalization(
    (.485 * 255, .456 * 255, .406 * 255), (1 / (.229 * 255), 1 / (.224 * 255), 1 / (.225 * 255)))


def _has_no_classifier(source):
    """Return whether fc6 is NaN, as in torchvision's IMAGENET1K_FEATURES, used by its SSD."""
    fc6 = 'classifier.0.weight'
    return fc6 in source.shapes and not np.isfinite(source.read(fc6)).all()


def _has_full_fc6(source):
    """Return whether fc6 has 4096 outputs, as in Oxford's file; the SSD authors' have 1024."""
    return np.prod(source.shapes.get('fc6/blob_0', [0])) == 4096 * _FC6_INPUTS


# Of formats with the same signature, the first that matches is used.
WEIGHT_FORMATS = (
    WeightFormat(
        "tf-slim's vgg_16", 'vgg_16', 'vgg_16/conv1/conv1_1/weights',
        _name_table(_vgg_layers('vgg_16/conv{block}/conv{block}_{index}',
                                conv6='vgg_16/fc6', conv7='vgg_16/fc7'), _SLIM_PARAMETERS),
        _identity, _OXFORD),
    WeightFormat(
        "Keras's VGG16", 'vgg_16', 'block1_conv1/kernel',
        _name_table(_vgg_layers('block{block}_conv{index}', conv6='fc1', conv7='fc2'),
                    _KERAS_PARAMETERS),
        _from_dense, _OXFORD._replace(is_bgr=True), deeper_net_name='block3_conv4/kernel'),
    WeightFormat(
        "Keras's VGG16", 'vgg_16', 'conv1_1/kernel',
        _name_table(_vgg_layers('conv{block}_{index}'), _KERAS_PARAMETERS),
        _identity, _OXFORD._replace(is_bgr=True), deeper_net_name='conv3_4/kernel'),
    WeightFormat(
        "torchvision's vgg16 without its classifier", 'vgg_16', 'features.28.weight',
        _name_table(_TORCHVISION_LAYERS, _TORCH_PARAMETERS),
        _from_oihw, _SSD_AUTHORS, deeper_net_name='features.34.weight',
        matches=_has_no_classifier),
    WeightFormat(
        "torchvision's vgg16", 'vgg_16', 'features.28.weight',
        _name_table({**_TORCHVISION_LAYERS, 'conv6': 'classifier.0', 'conv7': 'classifier.3'},
                    _TORCH_PARAMETERS),
        _from_oihw, _TORCHVISION, deeper_net_name='features.34.weight'),
    WeightFormat(
        "Oxford's VGG16 for Caffe", 'vgg_16', 'conv1_1/blob_0', _caffe_ssd_names(),
        _from_oihw, _OXFORD._replace(is_bgr=True), deeper_net_name='conv3_4/blob_0',
        matches=_has_full_fc6),
    WeightFormat(
        "the SSD authors' VGG16 or SSD for Caffe", 'vgg_16', 'conv1_1/blob_0', _caffe_ssd_names(),
        _from_oihw, _SSD_AUTHORS._replace(is_bgr=True), deeper_net_name='conv3_4/blob_0'),
    WeightFormat(
        "Keras's MobileNet", 'mobilenet_v1', 'conv_dw_1/depthwise_kernel',
        _keras_mobilenet_names('/depthwise_kernel'), _identity, None),
    WeightFormat(
        "Keras's MobileNet", 'mobilenet_v1', 'conv_dw_1/kernel',
        _keras_mobilenet_names('/kernel'), _identity, None),
)

# The à-trous reduction (paper, section 3; Chen et al., DeepLab) keeps every third row and column of
# the 7x7 kernel of fc6, and every fourth channel of fc6 and fc7. Rate 6 at stride 1 places the rows
# and columns where they were at stride 2.
_REDUCED = {('conv6/weights', (7, 7, 512, 4096)): np.s_[::3, ::3, :, ::4],
            ('conv6/biases', (4096,)): np.s_[::4],
            ('conv7/weights', (1, 1, 4096, 4096)): np.s_[:, :, ::4, ::4],
            ('conv7/biases', (4096,)): np.s_[::4]}
_FIRST_LAYER = 'conv1/conv1_1'


def identify_format(source):
    """Return the `WeightFormat` of a `WeightSource`; None if unknown, for example our own names."""
    return next((weight_format for weight_format in WEIGHT_FORMATS
                 if weight_format.signature in source.shapes and weight_format.matches(source)),
                None)


def read_variable(weight_format, source, name, params):
    """Read a variable from a file of a public format and convert it for our net.

    Kernels become [kh, kw, in, out], fc6 and fc7 become conv6 and conv7 by the à-trous reduction,
    and the first layer is converted to our input normalization.

    Args:
        weight_format: the `WeightFormat` of the source.
        source: a `WeightSource`.
        name: our name of the variable.
        params: `SSDParams` of our net.

    Returns:
        A float32 array, which may have another shape than the variable if the file is of another
        net; None if the file does not hold the variable.
    """
    source_name = weight_format.source_names.get(name)
    if source_name not in source.shapes:
        return None
    array = np.asarray(source.read(source_name), np.float32)
    is_kernel = name.endswith('weights')
    array = weight_format.to_hwio(array) if is_kernel else array.reshape(-1)
    if (name, array.shape) in _REDUCED:
        array = array[_REDUCED[name, array.shape]]
    first_kernel_name = weight_format.source_names.get(f'{_FIRST_LAYER}/weights')
    if (weight_format.normalization and name.startswith(_FIRST_LAYER)
            and first_kernel_name in source.shapes):
        kernel = np.asarray(source.read(first_kernel_name), np.float32)
        array = _convert_normalization(weight_format, kernel, array, params, is_kernel)
    return np.ascontiguousarray(array)


def _convert_normalization(weight_format, kernel, array, params, is_kernel):
    """Convert a parameter of the first layer to the input normalization of our net.

    With our input x, the file's net sees x * scale' / scale + (mean - mean') * scale', where the
    primes mark its normalization. The factor goes into the kernel and the constant into the
    biases. The result is exact except at the border, where zero padding stands for our mean.

    Args:
        weight_format: a `WeightFormat` with a normalization.
        kernel: the kernel of the first layer as in the file.
        array: the parameter to convert: that kernel as [kh, kw, in, out], or the biases [out].
        params: `SSDParams` of our net.
        is_kernel: whether `array` is the kernel.

    Returns:
        The converted array; `array` itself if the kernel does not have three input channels.
    """
    normalization = weight_format.normalization
    kernel = weight_format.to_hwio(kernel)
    if kernel.ndim != 4 or kernel.shape[2] != 3:
        return array   # not the first layer of our net; the caller compares the shapes
    if normalization.is_bgr:
        kernel = kernel[:, :, ::-1]
    scale = np.float32(normalization.scale)
    if is_kernel:
        return kernel * (scale / np.float32(params.scale))[:, np.newaxis]
    shift = (np.float32(params.mean) - np.float32(normalization.mean)) * scale
    return array + np.einsum('hwio,i->o', kernel, shift)
