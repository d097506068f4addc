"""SSD augmentation: an encoded image and its boxes in, a picture of the net's size and its boxes out."""
