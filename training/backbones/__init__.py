"""Frozen pretrained networks, and what they see of every image.

backbone            images → multi-scale features
transformer         vision transformers as backbones
efficientnet_lite   weights of such networks, named as timm names them
features            those of every training image, computed once and kept on disk
embedding           features → what tells products apart; neighbours: how far apart they are
compiled            a module as a graph for ONNX Runtime, which is faster
retrieval           the normal images most like an image, and how much each counts
"""
