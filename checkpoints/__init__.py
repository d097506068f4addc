"""Pretrained weights of other projects: file formats, name tables, restoring into our nets."""
