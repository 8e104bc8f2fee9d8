"""Decode a part of a JPEG, with the very pixels of the whole one: the decoder is libjpeg-turbo (simplejpeg)."""
