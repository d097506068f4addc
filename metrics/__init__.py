"""Evaluation metrics: average precision of Pascal VOC and COCO, and an analysis of the errors."""
