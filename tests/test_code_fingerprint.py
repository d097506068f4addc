from run_folder import code_fingerprint


def test_the_fingerprint_depends_on_names_and_content_of_modules_only(tmp_path):
    for path in ('train.py', 'nets/ssd.py', 'nets/vgg/vgg.py', 'tests/test_ssd.py', 'README.md'):
        (tmp_path / path).parent.mkdir(exist_ok=True, parents=True)
        (tmp_path / path).write_text('1')
    original = code_fingerprint.fingerprint(tmp_path)
    (tmp_path / 'tests/test_ssd.py').write_text('2')
    (tmp_path / 'README.md').write_text('2')
    assert code_fingerprint.fingerprint(tmp_path) == original
    (tmp_path / 'nets/ssd.py').write_text('2')
    changed = code_fingerprint.fingerprint(tmp_path)
    (tmp_path / 'nets/ssd.py').rename(tmp_path / 'nets/vgg.py')
    renamed = code_fingerprint.fingerprint(tmp_path)
    (tmp_path / 'nets/vgg/vgg.py').write_text('2')   # in a subpackage
    assert len({original, changed, renamed, code_fingerprint.fingerprint(tmp_path)}) == 4


def test_the_fingerprint_of_this_project_is_reproducible():
    fingerprint = code_fingerprint.fingerprint()
    assert fingerprint == code_fingerprint.fingerprint() and len(fingerprint) == 16
