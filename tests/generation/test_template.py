"""A template is laid out as others do, in its sandbox and within its limits."""

import json
import resource
import subprocess
import sys
from pathlib import Path

from ctxext.generation import template as module
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


def test_the_process_imports_nothing_heavy_and_takes_no_more_memory_than_it_may():
    code = (
        f"import sys; sys.path.insert(0, {str(Path(module.__file__).parent)!r}); import template;"
        "template.confine(7); import resource; print(*resource.getrlimit(resource.RLIMIT_AS),"
        "*resource.getrlimit(resource.RLIMIT_CPU), 'torch' in sys.modules, 'ctxext' in sys.modules)"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    before = resource.getrlimit(resource.RLIMIT_AS)
    assert said == [str(module.MEMORY)] * 2 + ["7", "7", "False", "False"]
    assert resource.getrlimit(resource.RLIMIT_AS) == before


def test_a_template_that_wants_more_memory_than_it_may_have_is_answered():
    request = {"template": "{{ ('x' * 2000000000) | length }}", "given": {}, "seconds": 5}
    done = subprocess.run(
        [sys.executable, "-P", str(module.__file__)], input=json.dumps(request).encode(), capture_output=True
    )
    assert done.returncode != 0 or "MemoryError" in json.loads(done.stdout)["error"]
