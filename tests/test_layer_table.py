from nets import layer_table, nets_factory


def test_layers_of_vgg():
    layers = {layer.name.removeprefix('ssd_300_vgg/'): layer[1:] for layer in
              layer_table.layers_of(nets_factory.get_params('ssd_300_vgg'), 21)}
    assert layers['conv1/conv1_1'] == ([300, 300, 64], 28 * 64, 300 * 300 * 64 * 27)
    # Computed at every sixth cell of 36 shifted images.
    assert layers['conv6'] == ([19, 19, 1024], (9 * 512 + 1) * 1024, 19 * 19 * 1024 * 9 * 512)
    assert layers['block4_box/L2Normalization'] == ([38, 38, 512], 512, 0)
    assert sum(parameters for _, parameters, _ in layers.values()) == 26_285_486


def test_layers_of_mobilenet_and_the_printed_table():
    params = nets_factory.get_params('ssd_160_mobilenet_v1_025')
    layers = {layer.name: layer[1:] for layer in layer_table.layers_of(params, 21)}
    # A kernel of 3x3 per channel, gamma and beta.
    assert layers['MobilenetV1/Conv2d_2_depthwise'] == ([40, 40, 16], 11 * 16, 40 * 40 * 16 * 9)
    lines = layer_table.describe(params, 21).split('\n')
    assert len(lines) == 2 + len(layers) + 1 and '834 anchors' in lines[0]
    assert lines[-1].split() == ['total', '1,211,710', '49,920,768']
