"""SSD augmentation: encoded images and their boxes become images of the net's size."""
