"""Pixel data: fragments, frames, code streams."""
