"""From annotated images on disk to batches: formats, records, the input pipeline.

This package does not depend on the nets or on the augmentation.
"""
