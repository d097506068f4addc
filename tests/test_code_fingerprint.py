from run_folder import code_fingerprint


def test_the_fingerprint_follows_the_modules_and_nothing_else(tmp_path):
    for path in ('train.py', 'nets/ssd.py', 'tests/test_ssd.py', 'README.md'):
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_text('1')
    first = code_fingerprint.fingerprint(tmp_path)
    (tmp_path / 'tests/test_ssd.py').write_text('2')
    (tmp_path / 'README.md').write_text('2')
    assert code_fingerprint.fingerprint(tmp_path) == first
    (tmp_path / 'nets/ssd.py').write_text('2')
    changed = code_fingerprint.fingerprint(tmp_path)
    (tmp_path / 'nets/ssd.py').rename(tmp_path / 'nets/vgg.py')
    assert len({first, changed, code_fingerprint.fingerprint(tmp_path)}) == 3


def test_of_this_project():
    assert code_fingerprint.fingerprint() == code_fingerprint.fingerprint() and len(code_fingerprint.fingerprint()) == 16
