"""Datasets of images: class folders, single images, lists, tar shards and the Hugging Face Hub."""
