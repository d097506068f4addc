"""The nets: tables, builder, anchors, matching, losses, post-processing."""
