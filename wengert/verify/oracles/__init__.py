"""Independent sources of derivatives: mpmath in `special`, other libraries in `peers`."""
