import re

import pytest

import scripts

pytestmark = pytest.mark.slow


def test_the_input_takes_no_more_memory_the_longer_it_runs():
    text = scripts.succeed('-m', 'benchmarks.input_pipeline', '--memory', '--model_name=ssd_160_mobilenet_v1_025')
    assert 'after 20000 pictures: ' in text
    assert float(re.search(r'growth: (-?[\d.]+)%', text).group(1)) < 5


def test_the_stages_of_the_input():
    text = scripts.succeed('-m', 'benchmarks.input_pipeline', '--model_name=ssd_160_mobilenet_v1_025',
                           '--batch_size=4', '--turns=1', '--seconds=0.01')
    assert [line.partition('  ')[0] for line in text.splitlines()[3:-1]] == [
        'decoding alone', 'read, parse', 'geometry', 'decode the window', 'resize, batch', 'colours, flip',
        'match, encode']
    assert re.search(r'whole pipeline / decoding alone: \d\.\d\d', text)
