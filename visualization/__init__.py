"""Drawn images and videos, plots, HTML pages and TensorBoard summaries."""
