"""Plain pictures for tests of readers."""
from PIL import Image


def write_image(path, size=(100, 80)):
    """A JPEG of this (width, height); its folders are made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new('RGB', size, (200, 30, 60)).save(path)
    return path
