"""Faces as columns count and look like the objects that they make."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given

from faceloom.pipelines.plan.planned_faces import PlannedFaces
from faceloom.schemas.plan import FaceList
from faceloom.schemas.recipe import Recipe
from tests.pipelines.planning import ITEMS, RECIPES, Item, choose, many


def chosen(items: list[Item], how: Recipe) -> PlannedFaces:
    faces = choose(how, items).faces
    assert isinstance(faces, PlannedFaces)
    return faces


@given(ITEMS, RECIPES)
def test_counts_are_those_of_the_objects(items: list[Item], how: Recipe) -> None:
    faces = chosen(items, how)
    for some in (faces, faces[1:-1]):
        objects = FaceList(some)
        assert some == objects and len(some) == len(objects)
        assert (some.samples, some.morphs) == (objects.samples, objects.morphs)
        assert list(some.weights()) == list(objects.weights())
        assert list(some.places()) == list(objects.places())
        assert list(some.begins()) == list(objects.begins())
        assert list(some.photos()) == list(objects.photos())
        assert Counter(dict(some.masks())) == Counter(dict(objects.masks()))
        assert Counter(dict(some.sources())) == Counter(dict(objects.sources()))
    assert faces.people == len({face.identity for face in faces})


@given(ITEMS, RECIPES)
def test_faces_are_in_the_order_of_the_plan(items: list[Item], how: Recipe) -> None:
    faces = list(chosen(items, how))
    assert faces == sorted(faces, key=lambda face: (face.split, face.place, face.photo_sha256, face.key))
    found = chosen(items, how).by_split()
    assert [face for _, some in found for face in some] == faces
    assert [name for name, _ in found] == sorted({face.split for face in faces})


def test_a_face_is_found_by_its_number() -> None:
    faces = chosen(many(20), Recipe(name="x"))
    objects = list(faces)
    assert faces[3] == objects[3] and faces[-1] == objects[-1]
    assert list(faces[4:10][2:]) == objects[6:10] and list(faces[::3]) == objects[::3]
    with pytest.raises(IndexError):
        faces[20]
