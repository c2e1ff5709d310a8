"""Sentences that the cards for people and for machines share."""

from __future__ import annotations

NOT_STATED = "not stated"
"""In place of a licence or consent that a source does not state."""

CARE = (
    "These are faces of people, and the index names the person, the photo and its sha256 for each sample. Use them "
    "only as the terms and the consent of the sources allow. If a person withdraws, publish a release without them."
)

USES = (
    "Training and evaluation of methods for masked faces: mask segmentation, unmasking, recognition of masked faces, "
    "and, where the samples hold them, morphing detection and super-resolution."
)

REFUSED = (
    "Do not use the set to identify, track or profile people in the world, to infer traits such as ethnicity, "
    "emotion or health, or to make pictures of a person without their consent."
)

LIMITS = (
    "Masked pictures are synthetic, unless their mask is called `real`: a program drew masks onto photos. Check a "
    "model that is trained on them on photos of real masks. Detectors miss some faces, mostly turned, small, dark and "
    "covered ones, so these are rarer than in the photos. Faces without trusted landmarks wear no mask that is drawn "
    "by landmarks."
)
