"""The parts of the augmentation. Importing this module does not load TensorFlow."""
from typing import NamedTuple


class Augmentation(NamedTuple):
    """Which parts of the augmentation are used. The default is the paper's (sections 2.2, 3.6).

    Attributes:
        zoom_out: place the image at random in a canvas of up to 4 times its side, with probability
            0.5. It helps to find small objects but needs twice the training steps (section 3.6).
        random_crop: crop one of seven kinds of windows. Crops need many steps as well.
        horizontal_flip: mirror the image, with probability 0.5. It exchanges left and right.
        photometric_distortion: change brightness, contrast, saturation and hue at random.
    """
    zoom_out: bool = True
    random_crop: bool = True
    horizontal_flip: bool = True
    photometric_distortion: bool = True

    def __str__(self):
        """Return the names of the used parts."""
        return ', '.join(name for name, is_used in self._asdict().items() if is_used) or 'none'


PAPER = Augmentation()
