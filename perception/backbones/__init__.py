"""Backbones of the networks: image in; feature maps, their strides and register tokens out."""
