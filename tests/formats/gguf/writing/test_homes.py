"""Where compositions live in a GGUF file."""

import pytest

from ctxext.attention.softmax import Softmax
from ctxext.attention.temperature import Temperature
from ctxext.formats.gguf.writing.homes import attention_factor, home
from ctxext.formats.gguf.writing.ropes import Turning
from ctxext.formats.huggingface.writing.reasons import NotExportable
from ctxext.mask.document import IntraDocument
from ctxext.model.geometry import DecoderGeometry, LstmGeometry, VanillaGeometry
from ctxext.position.alibi import Alibi
from ctxext.position.rope import Rope, RopeInterp

GEOMETRY = DecoderGeometry(301, 32, 48, 2, 4, 2, 8, True, 1e-5)
REST = (IntraDocument(), Softmax())


def test_a_home_has_the_sizes_and_the_rotation() -> None:
    place = home(GEOMETRY, RopeInterp(500.0, 4.0), *REST)
    assert (place.architecture, place.divisors, place.notes) == ("llama", {}, ())
    assert {key: value for key, value in place.keys.items() if key.startswith("rope.")} == {
        "rope.dimension_count": 8,
        "rope.freq_base": 500.0,
        "rope.scaling.type": "linear",
        "rope.scaling.factor": 4.0,
    }
    assert place.keys["attention.head_count_kv"] == 2


def test_a_temperature_is_multiplied_into_what_remains_for_llama_cpp() -> None:
    half = Turning(10.0, {}, attention_factor=0.5)
    assert attention_factor(half, Temperature(1.2)) == {"scaling.attn_factor": pytest.approx(0.6)}
    assert attention_factor(half, Temperature(2.0)) == {}, "nothing remains"
    assert attention_factor(Turning(10.0, {}), Softmax()) == {}


def test_another_class_of_a_seam_or_body_has_no_home() -> None:
    class Squared(Rope):
        pass

    with pytest.raises(
        NotExportable, match=r"position=squared has no home in llama\.cpp: no architecture does the same"
    ):
        home(GEOMETRY, Squared(10.0), *REST)
    with pytest.raises(NotExportable, match="position=alibi has no home"):
        home(GEOMETRY, Alibi(), *REST)
    for geometry in (LstmGeometry(301, 8, 8, 1), VanillaGeometry(301, 32, 48, 2, 4, 1e-5)):
        with pytest.raises(NotExportable, match=r"model=(lstm|vanilla) has no home in llama\.cpp: "):
            home(geometry, Rope(10.0), *REST)
