"""SSD nets: parameter tables, network builder, anchors, matching, losses and post-processing."""
