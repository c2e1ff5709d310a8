"""Attention similarity distillation (A-SKD, ECCV 2022): recognition of faces in low resolution."""
