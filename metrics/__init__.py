"""Average precision of detections."""
