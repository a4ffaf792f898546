"""The map: RGB-D images with labels become a labelled mesh."""
