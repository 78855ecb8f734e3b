"""A template is laid out as others do, in its sandbox."""

from ctxext.generation.template import answer, laid_out


def test_a_template_runs_in_a_sandbox_and_its_own_refusal_is_a_sentence():
    wrong = (
        "{{ ''.__class__.__mro__[1].__subclasses__() }}",
        "{{ raise_exception('only system') }}",
        "{% for %}",
        "{{ 1 / 0 }}",
    )
    errors = [answer({"template": template, "given": {}}).get("error", "") for template in wrong]
    assert "unsafe" in errors[0]
    assert errors[1] == "only system"
    assert all(errors)


def test_a_template_may_ask_for_the_date_and_for_json():
    assert len(laid_out("{{ strftime_now('%Y') }}", {})) == 4
    given = {"messages": [{"role": "user", "content": "<é>"}]}
    assert laid_out("{{ messages[0] | tojson }}", given) == '{"role": "user", "content": "<é>"}'
