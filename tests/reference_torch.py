"""Reference programs in PyTorch, independent of `nets`: detectors as their owners published them.

torchvision's detectors are torchvision's own modules. The others are written here on the weights'
own names, layer by layer, from the repositories that detector_layouts/*.txt names. Every program
takes its weights and an RGB image [S, S, 3] uint8, and returns `detector_references.Outputs`.
"""
import itertools
import math

import numpy as np
import torch
import torch.nn.functional as F
import torchvision
from detector_references import Outputs

_VGG_MEAN = (123., 117., 104.)
_VGG_CONVOLUTIONS = (0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28, 31, 33)   # indices of modules
_POOLED = (1, 3, 6, 9)           # of these convolutions, followed by a 2x2 pooling layer
_CONV4_3, _CONV5_3, _FC6 = 9, 12, 13
_SSD300_EXTRAS = ((1, 0, 1), (3, 1, 2)) * 2 + ((1, 0, 1), (3, 0, 1)) * 2   # kernel, padding, stride
_SSD512_EXTRAS = ((1, 0, 1), (3, 1, 2)) * 4 + ((1, 0, 1), (4, 1, 1))


class _Net:
    """Layers on the weights of a state dict."""

    def __init__(self, weights):
        self.weights = {name: torch.from_numpy(np.asarray(array))
                        for name, array in weights.items()}

    def conv(self, name, x, stride=1, padding=None, dilation=1):
        """Convolve; kernels [C, 1, h, w] are depthwise. Pads (kernel - 1) / 2 unless told."""
        kernel = self.weights[f'{name}.weight']
        groups = x.shape[1] // kernel.shape[1]
        if padding is None:
            padding = (kernel.shape[-1] - 1) // 2
        return F.conv2d(x, kernel, self.weights.get(f'{name}.bias'), stride, padding, dilation,
                        groups)

    def batch_norm(self, name, x, epsilon=1e-5):
        return F.batch_norm(x, *(self.weights[f'{name}.{leaf}'] for leaf in
                                 ('running_mean', 'running_var', 'weight', 'bias')), eps=epsilon)

    def conv_norm(self, conv, norm, x, stride=1):
        return self.batch_norm(norm, self.conv(conv, x, stride))


def _tensor(image, mean, scale=1.):
    x = (image.astype(np.float32) - np.float32(mean)) / np.float32(scale)
    return torch.from_numpy(np.ascontiguousarray(x.transpose(2, 0, 1)[None]))


def _per_anchor(maps, depth):
    """Convert head outputs [1, n * depth, H, W] to [anchors, depth]."""
    return torch.cat([x.permute(0, 2, 3, 1).reshape(-1, depth) for x in maps]).numpy()


def _center_form_anchors(image_size, cells, steps, sizes, ratios):
    """Return anchors [A, 4] `[cx, cy, w, h]`, all four values clamped to [0, 1].

    lufficc, amdegroot and qfgaohao share this function. `sizes` has one more than the layers.
    """
    anchors = []
    for count, step, (size, next_size), layer_ratios in zip(
            cells, steps, itertools.pairwise(sizes), ratios, strict=True):
        shapes = [(size, size), (math.sqrt(size * next_size),) * 2]
        for root in map(math.sqrt, layer_ratios):
            shapes += [(size * root, size / root), (size / root, size * root)]
        for row, column in itertools.product(range(count), repeat=2):
            anchors += [((column + .5) * step, (row + .5) * step, w, h) for w, h in shapes]
    return np.clip(np.array(anchors) / image_size, 0, 1)


def _vgg_features(net, x, vgg, extras, extra_layers, normalize):
    """Return the feature maps of a VGG detector, that of conv4_3 as `normalize` returns it."""
    features = []
    for index, module in enumerate(_VGG_CONVOLUTIONS):
        padding, dilation = (6, 6) if index == _FC6 else (None, 1)
        x = F.relu(net.conv(f'{vgg}.{module}', x, padding=padding, dilation=dilation))
        if index == _CONV4_3:
            features.append(normalize(x))
        if index in _POOLED:
            x = F.max_pool2d(x, 2, 2, ceil_mode=True)
        elif index == _CONV5_3:
            x = F.max_pool2d(x, 3, 1, 1)
    features.append(x)
    for index, (_, padding, stride) in enumerate(extra_layers):
        x = F.relu(net.conv(extras.format(index, index // 2, index % 2 * 2), x, stride, padding))
        if index % 2:
            features.append(x)
    return features


def _l2_normalize(net, name):
    def normalize(x):
        return x / (x.pow(2).sum(1, keepdim=True).sqrt() + 1e-10) * net.weights[name].view(
            1, -1, 1, 1)
    return normalize


def _heads(net, features, offsets, logits, num_classes):
    return (_per_anchor([net.conv(logits.format(i), x) for i, x in enumerate(features)],
                        num_classes),
            _per_anchor([net.conv(offsets.format(i), x) for i, x in enumerate(features)], 4))


_SSD300_ANCHORS = _center_form_anchors(
    300, (38, 19, 10, 5, 3, 1), (8, 16, 32, 64, 100, 300), (30, 60, 111, 162, 213, 264, 315),
    ((2,), (2, 3), (2, 3), (2, 3), (2,), (2,)))
_SSD512_ANCHORS = _center_form_anchors(
    512, (64, 32, 16, 8, 4, 2, 1), (8, 16, 32, 64, 128, 256, 512),
    (35.84, 76.8, 153.6, 230.4, 307.2, 384., 460.8, 537.65),
    ((2,), (2, 3), (2, 3), (2, 3), (2, 3), (2,), (2,)))
_SIZES_MOBILENET = (60, 105, 150, 195, 240, 285, 330)
_MOBILENET_300_ANCHORS = _center_form_anchors(
    300, (19, 10, 5, 3, 2, 1), (16, 32, 64, 100, 150, 300), _SIZES_MOBILENET, ((2, 3),) * 6)
_MOBILENET_320_ANCHORS = _center_form_anchors(
    320, (20, 10, 5, 3, 2, 1), (16, 32, 64, 107, 160, 320), _SIZES_MOBILENET, ((2, 3),) * 6)


def amdegroot_ssd300(weights, image):
    """Run amdegroot's SSD300: BGR minus the mean, then RGB, so RGB minus the mean."""
    net = _Net(weights)
    features = _vgg_features(net, _tensor(image, _VGG_MEAN), 'vgg', 'extras.{0}', _SSD300_EXTRAS,
                             _l2_normalize(net, 'L2Norm.weight'))
    return Outputs(*_heads(net, features, 'loc.{}', 'conf.{}', 21), _SSD300_ANCHORS)


def _lufficc_vgg(weights, image, extra_layers, anchors):
    net = _Net(weights)
    features = _vgg_features(net, _tensor(image, _VGG_MEAN), 'backbone.vgg', 'backbone.extras.{0}',
                             extra_layers, _l2_normalize(net, 'backbone.l2_norm.weight'))
    return Outputs(*_heads(net, features, 'box_head.predictor.reg_headers.{}',
                           'box_head.predictor.cls_headers.{}', 21), anchors)


def lufficc_vgg_ssd300(weights, image):
    """Run lufficc's SSD300."""
    return _lufficc_vgg(weights, image, _SSD300_EXTRAS, _SSD300_ANCHORS)


def lufficc_vgg_ssd512(weights, image):
    """Run lufficc's SSD512."""
    return _lufficc_vgg(weights, image, _SSD512_EXTRAS, _SSD512_ANCHORS)


def qfgaohao_vgg16_ssd(weights, image):
    """Run qfgaohao's VGG16 SSD: conv4_3 has batch norm instead of the L2 normalization."""
    net = _Net(weights)
    features = _vgg_features(
        net, _tensor(image, _VGG_MEAN), 'base_net', 'extras.{1}.{2}', _SSD300_EXTRAS,
        lambda x: net.batch_norm('source_layer_add_ons.0', x))
    return Outputs(*_heads(net, features, 'regression_headers.{}', 'classification_headers.{}', 21),
                   _SSD300_ANCHORS)


def qfgaohao_mobilenet_v1_ssd(weights, image):
    """Run qfgaohao's MobileNetV1 SSD: ReLU, symmetric padding, extra layers without batch norm."""
    net = _Net(weights)
    x = F.relu(net.conv_norm('base_net.0.0', 'base_net.0.1', _tensor(image, 127., 128.), 2))
    features = []
    for index in range(1, 14):
        name = f'base_net.{index}'
        stride = 2 if index in (2, 4, 6, 12) else 1
        x = F.relu(net.conv_norm(f'{name}.0', f'{name}.1', x, stride))
        x = F.relu(net.conv_norm(f'{name}.3', f'{name}.4', x))
        if index in (11, 13):
            features.append(x)
    for index in range(4):
        x = F.relu(net.conv(f'extras.{index}.0', x))
        x = F.relu(net.conv(f'extras.{index}.2', x, 2))
        features.append(x)
    return Outputs(*_heads(net, features, 'regression_headers.{}', 'classification_headers.{}', 21),
                   _MOBILENET_300_ANCHORS)


def _inverted_residual(net, layers, x, stride):
    """Run an inverted residual.

    Args:
        layers: names (convolution, batch norm) of its layers: [expand], depthwise, project.

    Returns:
        Its output, and the expanded features before the depthwise convolution.
    """
    inputs = x
    *expand, depthwise, project = layers
    for names in expand:
        x = F.relu6(net.conv_norm(*names, x))
    expanded = x
    x = F.relu6(net.conv_norm(*depthwise, x, stride))
    x = net.conv_norm(*project, x)
    return (x + inputs if x.shape == inputs.shape else x), expanded


def _mobilenet_v2_features(net, x, backbone, extras, layers, from_expansion):
    """Return the feature maps of a MobileNetV2 SSDLite.

    Args:
        layers: function (block, has an expansion) -> the argument of `_inverted_residual`.
        from_expansion: whether the first feature map is the expansion of block 14, or its input.
    """
    strides = {2: 2, 4: 2, 7: 2, 14: 2}
    features = []
    x = F.relu6(net.conv_norm(f'{backbone}.0.0', f'{backbone}.0.1', x, 2))
    for index in range(1, 18):
        inputs = x
        x, expanded = _inverted_residual(
            net, layers(f'{backbone}.{index}.conv', index > 1), x, strides.get(index, 1))
        if index == 14:
            features.append(expanded if from_expansion else inputs)
    x = F.relu6(net.conv_norm(f'{backbone}.18.0', f'{backbone}.18.1', x))
    features.append(x)
    for index in range(4):
        x, _ = _inverted_residual(net, layers(f'{extras}.{index}.conv', True), x, 2)
        features.append(x)
    return features


def _lite_heads(net, features, offsets, logits):
    """Run separable heads, and plain ones on the last feature map. Names are of its modules."""
    def head(name, x):
        if f'{name}.weight' in net.weights:
            return net.conv(name, x)
        stem = f'{name}.conv' if f'{name}.conv.0.weight' in net.weights else name
        x = F.relu6(net.conv_norm(f'{stem}.0', f'{stem}.1', x))
        return net.conv(f'{stem}.3', x)
    return (_per_anchor([head(f'{logits}.{i}', x) for i, x in enumerate(features)], 21),
            _per_anchor([head(f'{offsets}.{i}', x) for i, x in enumerate(features)], 4))


def lufficc_mobilenet_v2_ssd320(weights, image):
    """Run lufficc's MobileNetV2 SSDLite: its pixels are not scaled, only the mean is subtracted."""
    net = _Net(weights)

    def layers(name, has_expansion):
        *nested, project = range(3) if has_expansion else range(2)
        return [(f'{name}.{i}.0', f'{name}.{i}.1') for i in nested] + [
            (f'{name}.{project}', f'{name}.{project + 1}')]
    features = _mobilenet_v2_features(net, _tensor(image, _VGG_MEAN), 'backbone.features',
                                      'backbone.extras', layers, from_expansion=False)
    return Outputs(*_lite_heads(net, features, 'box_head.predictor.reg_headers',
                                'box_head.predictor.cls_headers'), _MOBILENET_320_ANCHORS)


def qfgaohao_mb2_ssd_lite(weights, image):
    """Run qfgaohao's MobileNetV2 SSDLite."""
    net = _Net(weights)

    def layers(name, has_expansion):
        return [(f'{name}.{i}', f'{name}.{i + 1}') for i in range(0, 9 if has_expansion else 6, 3)]
    features = _mobilenet_v2_features(net, _tensor(image, 127., 128.), 'base_net', 'extras', layers,
                                      from_expansion=True)
    return Outputs(*_lite_heads(net, features, 'regression_headers', 'classification_headers'),
                   _MOBILENET_300_ANCHORS)


def _torchvision(model, weights, image):
    model.load_state_dict({name: torch.from_numpy(np.asarray(array))
                           for name, array in weights.items()})
    model.eval()
    images = [torch.from_numpy(image.transpose(2, 0, 1).astype(np.float32)) / 255]
    images, _ = model.transform(images)
    features = list(model.backbone(images.tensors).values())
    outputs = model.head(features)
    corners = model.anchor_generator(images, features)[0].numpy().astype(float)
    corners /= image.shape[0]
    low, high = corners[:, :2], corners[:, 2:]
    return Outputs(outputs['cls_logits'][0].numpy(), outputs['bbox_regression'][0].numpy(),
                   np.concatenate([(low + high) / 2, high - low], 1))


def torchvision_ssd300_vgg16(weights, image):
    """Run torchvision's SSD300."""
    return _torchvision(torchvision.models.detection.ssd300_vgg16(
        weights=None, weights_backbone=None), weights, image)


def torchvision_ssdlite320_mobilenet_v3_large(weights, image):
    """Run torchvision's SSDLite."""
    return _torchvision(torchvision.models.detection.ssdlite320_mobilenet_v3_large(
        weights=None, weights_backbone=None), weights, image)


PROGRAMS = {program.__name__: torch.no_grad()(program) for program in (
    torchvision_ssd300_vgg16, torchvision_ssdlite320_mobilenet_v3_large, lufficc_vgg_ssd300,
    lufficc_vgg_ssd512, lufficc_mobilenet_v2_ssd320, amdegroot_ssd300, qfgaohao_vgg16_ssd,
    qfgaohao_mobilenet_v1_ssd, qfgaohao_mb2_ssd_lite)}
