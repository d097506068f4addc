"""The example of docs/own_backbone.md is executed."""
import re
import sys
import types

import documents
import one_step
import pytest
import tensorflow.compat.v1 as tf

from nets import backbones, net_table, nets_factory


@pytest.fixture
def params(monkeypatch):
    """The net of the page, added to the tables as the page says."""
    module_text, backbone_line, net_text = re.findall(
        r'```python\n(.*?)```', documents.read('docs/own_backbone.md'), re.DOTALL)
    module = types.ModuleType('nets.plain')
    exec(module_text, vars(module))
    monkeypatch.setitem(sys.modules, module.__name__, module)
    for name, backbone in eval(f'{{{backbone_line}}}', vars(backbones)).items():
        monkeypatch.setitem(backbones.BACKBONES, name, backbone)
    names = dict(vars(net_table))
    exec(net_text, names)
    net = names['_SSD_128_PLAIN']
    monkeypatch.setitem(net_table.NETS, net.name, net)
    return nets_factory.get_params(net.name)


def test_the_net_of_the_page_trains(params):
    predictions = one_step.check(params)
    assert predictions.logits.shape == (2, 1520, 3)   # 4 * 256 + 6 * 64 + 6 * 16 + 4 * 4
    assert 'Plain/conv1/weights' in [v.op.name for v in tf.trainable_variables()]


@pytest.mark.usefixtures('params', 'loggers_as_before')
def test_the_commands_of_the_page_run(capsys):
    outputs = []
    for command in documents.commands('docs/own_backbone.md'):
        if command.words[1] == 'train_ssd_network.py':
            assert documents.run(command.words) == 0
            outputs.append(capsys.readouterr().out)
    layers, anchors = outputs
    assert 'Plain/conv1' in layers
    assert anchors.split()[-1] == '1520'
