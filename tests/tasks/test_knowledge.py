"""What is known of a material is found out once, and never of another one."""

from ctxext.tasks import knowledge
from ctxext.tasks.knowledge import known


class Material:
    sentences = ordinary = beginning = ()

    def encode(self, text: str) -> list[int]:
        return []


def test_each_fact_of_a_material_is_found_once():
    calls, one, other = [], Material(), Material()

    def find(value: int) -> int:
        calls.append(value)
        return value

    assert [known(one, "a", lambda: find(1)), known(one, "a", lambda: find(2))] == [1, 1]
    assert [known(one, "b", lambda: find(3)), known(other, "a", lambda: find(4))] == [3, 4]
    assert calls == [1, 3, 4]


def test_of_many_materials_the_last_are_kept():
    materials = [Material() for _ in range(knowledge.KEPT + 3)]
    for number, material in enumerate(materials):
        assert known(material, "number", lambda number=number: number) == number
    assert len(knowledge.FOUND) == knowledge.KEPT
    assert known(materials[-1], "number", lambda: -1) == len(materials) - 1
    assert known(materials[0], "number", lambda: -1) == -1
