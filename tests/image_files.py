"""Image files for tests."""
from PIL import Image


def two_colors(mode, size, color):
    """Return a plain image of this (width, height) with a dark upper left quarter."""
    image = Image.new(mode, size, color)
    image.paste(0, (0, 0, size[0] // 2, size[1] // 2))
    return image


def write_image(path, size=(100, 80), color=(200, 30, 60)):
    """Write an image of this (width, height) and create its folder; return the path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    two_colors('RGB', size, color).save(path)
    return path
