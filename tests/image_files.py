"""Image files for tests."""
from PIL import Image


def write_image(path, size=(100, 80), color=(200, 30, 60)):
    """Write a plain image of this (width, height) and create its folder; return the path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new('RGB', size, color).save(path)
    return path
