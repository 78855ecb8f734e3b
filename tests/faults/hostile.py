"""What strangers may have put into files that look like a model, a run or their parts: each class by its name.

A class makes its files on `Ground` and returns the words that read them. Where a payload could run, it would leave the
file `canary` behind.
"""

import hashlib
import json
import os
import shutil
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from tokenizers import Regex, Tokenizer, normalizers, pre_tokenizers

HUGE = 2**62
TENSOR = "model.norm.weight"
DEEP = "[" * 100_000


@dataclass(frozen=True)
class Ground:
    """A folder in which a model `base`, or a run `run` with the configuration `config`, is made and then spoilt."""

    path: Path
    config: dict[str, Any]

    @property
    def canary(self) -> Path:
        """What a payload would make."""
        return self.path / "canary"

    def base(self) -> Path:
        """Return a whole model's folder of its own."""
        return Path(shutil.copytree(str(files("ctxext") / "bases" / "tiny"), self.path / "base"))

    def run(self, **changes: Any) -> Path:
        """Return the folder of a run whose configuration has `changes`, under dotted keys with __ for the dots."""
        folder = self.path / "run"
        folder.mkdir()
        content = json.loads(json.dumps(self.config))
        for key, value in changes.items():
            node = content
            *parents, last = key.split("__")
            for parent in parents:
                node = node.setdefault(parent, {})
            node[last] = value
        (folder / "config.yaml").write_text(json.dumps(content))
        return folder


Make = Callable[[Ground], Sequence[str]]


class Case(NamedTuple):
    """A hostile class: what makes it, and a piece of the sentence that names the file and the rule."""

    make: Make
    said: str


def generate(path: Path, *more: str) -> list[str]:
    """Return the words that read the model or the run in `path`."""
    return ["generate", f"run={path}", "prompt=hello", "max_new_tokens=1", "device=cpu", *more]


def spoilt_json(name: str, change: Callable[[dict[str, Any]], Any]) -> Make:
    """Return what makes a model in whose JSON file `name` there is a `change`."""

    def make(ground: Ground) -> list[str]:
        folder = ground.base()
        content = json.loads((folder / name).read_text())
        changed = change(content)
        (folder / name).write_text(changed if isinstance(changed, str) else json.dumps(content))
        return generate(folder)

    return make


def replaced(name: str, content: bytes | str, *more: str) -> Make:
    """Return what makes a model whose file `name` has other `content`."""

    def make(ground: Ground) -> list[str]:
        folder = ground.base()
        (folder / name).write_bytes(content.encode() if isinstance(content, str) else content)
        return generate(folder, *more)

    return make


def safetensors(header: dict[str, Any] | bytes, data: int = 0, size: int | None = None) -> bytes:
    """Return a safetensors file of `header` before so many bytes of `data`, said to be `size` long."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text) if size is None else size) + text + bytes(data)


def entry(shape: list[int], first: int, last: int) -> dict[str, Any]:
    """Return what a header says of a tensor."""
    return {"dtype": "F32", "shape": shape, "data_offsets": [first, last]}


def with_header(change: Callable[[dict[str, Any], bytearray], None]) -> Make:
    """Return what makes a model in whose weights' header or data there is a `change`."""

    def make(ground: Ground) -> list[str]:
        folder = ground.base()
        file = folder / "model.safetensors"
        content = file.read_bytes()
        (size,) = struct.unpack_from("<Q", content)
        header, data = json.loads(content[8 : 8 + size]), bytearray(content[8 + size :])
        change(header, data)
        file.write_bytes(safetensors(header) + bytes(data))
        return generate(folder)

    return make


def shift_on(header: dict[str, Any], data: bytearray, by: int) -> None:
    """Move a tensor, so that it overlaps with another, or leaves a hole."""
    header[TENSOR]["data_offsets"] = [place + by for place in header[TENSOR]["data_offsets"]]
    data += bytes(max(by, 0))


def overflow(header: dict[str, Any], data: bytearray) -> None:
    """Give a tensor more elements than 64 bits count."""
    header[TENSOR]["shape"] = [HUGE, HUGE]


def not_a_number(header: dict[str, Any], data: bytearray) -> None:
    """Make one value of a tensor NaN."""
    first, _ = header[TENSOR]["data_offsets"]
    data[first : first + 2] = np.array([np.nan], np.float16).tobytes()


def twice(ground: Ground) -> list[str]:
    """Make weights with two tensors of one name."""
    folder = ground.base()
    file = folder / "model.safetensors"
    content = file.read_bytes()
    (size,) = struct.unpack_from("<Q", content)
    text = content[8 : 8 + size].decode().strip()
    doubled = text[:-1] + "," + json.dumps({TENSOR: json.loads(text)[TENSOR]})[1:]
    file.write_bytes(safetensors(doubled.encode()) + content[8 + size :])
    return generate(folder)


def many_empty(ground: Ground) -> list[str]:
    """Make weights that are 100,000 tensors without an element."""
    folder = ground.base()
    header = {f"t{number}": entry([0], 0, 0) for number in range(100_000)}
    (folder / "model.safetensors").write_bytes(safetensors(header))
    return generate(folder)


def pickled(ground: Ground) -> list[str]:
    """Make a model whose weights are a pickle that runs a command."""
    folder = ground.base()
    (folder / "model.safetensors").unlink()
    payload = f"cos\nsystem\n(S'touch {ground.canary}'\ntR."
    (folder / "pytorch_model.bin").write_bytes(payload.encode())
    return generate(folder)


def own_code(ground: Ground) -> list[str]:
    """Make a model that brings code, and asks to be read by it alone."""
    folder = ground.base()
    (folder / "modeling_own.py").write_text(f"open({str(ground.canary)!r}, 'w')\n")
    content = json.loads((folder / "config.json").read_text())
    content |= {
        "model_type": "own",
        "auto_map": {"AutoModelForCausalLM": "modeling_own.Own", "AutoConfig": "modeling_own.C"},
    }
    (folder / "config.json").write_text(json.dumps(content))
    return generate(folder)


def index(shard: str) -> Make:
    """Return what makes a model whose weights the index looks for in `shard`."""

    def make(ground: Ground) -> list[str]:
        folder = ground.base()
        shutil.move(folder / "model.safetensors", ground.path / "outside.safetensors")
        (folder / "model.safetensors.index.json").write_text(
            json.dumps({"weight_map": {TENSOR: shard.replace("FOLDER", str(ground.path))}})
        )
        return generate(folder)

    return make


def link_out(name: str) -> Make:
    """Return what makes a model whose file `name` is a link to one elsewhere."""

    def make(ground: Ground) -> list[str]:
        folder = ground.base()
        shutil.move(folder / name, ground.path / name)
        (folder / name).symlink_to(ground.path / name)
        return generate(folder)

    return make


def tokenizer(change: Callable[[Tokenizer], None]) -> Make:
    """Return what makes a model in whose tokenizer there is a `change`."""

    def make(ground: Ground) -> list[str]:
        folder = ground.base()
        found = Tokenizer.from_file(str(folder / "tokenizer.json"))
        change(found)
        found.save(str(folder / "tokenizer.json"))
        return generate(folder)

    return make


def every_way(found: Tokenizer) -> None:
    """Cut by an expression that tries every way to cut a run."""
    found.pre_tokenizer = pre_tokenizers.Split(Regex("(l+)+b"), "isolated")


def multiply(found: Tokenizer) -> None:
    """Make 10^8 letters of one."""
    found.normalizer = normalizers.Sequence([normalizers.Replace("l", "l" * 10)] * 8)


def template(text: str) -> Make:
    """Return what makes a model with a chat template."""
    return replaced("chat_template.jinja", text, "chat=true")


def gguf_text(words: str) -> bytes:
    """Return `words` as GGUF has them."""
    return struct.pack("<Q", len(words)) + words.encode()


def gguf(*keys: bytes, tensors: tuple[bytes, ...] = (), data: int = 256, count: int | None = None) -> Make:
    """Return what makes a GGUF file with `keys` and `tensors`, said to be `count` keys."""
    head = b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(keys) if count is None else count)
    content = head + b"".join(keys) + b"".join(tensors)

    def make(ground: Ground) -> list[str]:
        file = ground.path / "model.gguf"
        file.write_bytes(content + bytes(-len(content) % 32) + bytes(data))
        return generate(file)

    return make


def gguf_key(name: str, kind: int, value: bytes) -> bytes:
    """Return a key of GGUF's type `kind`."""
    return gguf_text(name) + struct.pack("<I", kind) + value


def gguf_tensor(name: str, *shape: int, offset: int = 0) -> bytes:
    """Return the entry of a tensor in 32 bits."""
    return gguf_text(name) + struct.pack(f"<I{len(shape)}QIQ", len(shape), *shape, 0, offset)


LLAMA = (
    gguf_key("general.architecture", 8, gguf_text("llama")),
    gguf_key("llama.embedding_length", 4, struct.pack("<I", 8)),
    gguf_key("llama.feed_forward_length", 4, struct.pack("<I", 8)),
    gguf_key("llama.attention.head_count", 4, struct.pack("<I", 2)),
    gguf_key("llama.context_length", 4, struct.pack("<I", 64)),
    gguf_key("llama.attention.layer_norm_rms_epsilon", 6, struct.pack("<f", 1e-5)),
)


def yaml(text: str) -> Make:
    """Return what makes a run whose configuration is `text`, with CANARY in it replaced."""

    def make(ground: Ground) -> list[str]:
        folder = ground.run()
        (folder / "config.yaml").write_text(text.replace("CANARY", str(ground.canary)))
        return generate(folder)

    return make


def run(**changes: Any) -> Make:
    """Return what makes a run whose configuration has `changes`."""
    return lambda ground: generate(ground.run(**changes))


def manifest_out(ground: Ground) -> list[str]:
    """Make a run whose checkpoint has a manifest that names a file elsewhere."""
    folder = ground.run()
    checkpoint = folder / "checkpoints" / "step-00000001"
    checkpoint.mkdir(parents=True)
    (ground.path / "outside").write_text("x")
    files = {
        "../../../outside": {"size": 1, "sha256": "2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881"}
    }
    (checkpoint / "MANIFEST.json").write_text(json.dumps({"format": 1, "files": files}))
    return generate(folder)


def checkpoint_of(**content: bytes) -> Make:
    """Return what makes a run whose checkpoint has files of `content`, _ for the dot, and a manifest that fits."""

    def make(ground: Ground) -> list[str]:
        folder = ground.run()
        checkpoint = folder / "checkpoints" / "step-00000001"
        checkpoint.mkdir(parents=True)
        entries = {}
        for key, value in content.items():
            name = key.replace("_", ".")
            (checkpoint / name).write_bytes(value)
            entries[name] = {"size": len(value), "sha256": hashlib.sha256(value).hexdigest()}
        (checkpoint / "MANIFEST.json").write_text(json.dumps({"format": 1, "files": entries}))
        return generate(folder)

    return make


def in_place_of(name: str, make: Callable[[Path], Any]) -> Make:
    """Return what makes a run in whose checkpoint `make` takes the place of the file `name`."""

    def make_run(ground: Ground) -> list[str]:
        words = checkpoint_of(state_json=b"{}", model_safetensors=safetensors(b"{}"), optimizer_safetensors=b"")(ground)
        (file,) = ground.path.rglob(f"step-00000001/{name}")
        file.unlink()
        make(file)
        return words

    return make_run


def hollow(file: Path) -> None:
    """Make `file` 100 GB long, of which nothing is on the disk, and let the manifest beside it say so."""
    with file.open("wb") as opened:
        opened.truncate(10**11)
    manifest = file.with_name("MANIFEST.json")
    content = json.loads(manifest.read_text())
    content["files"][file.name]["size"] = 10**11
    manifest.write_text(json.dumps(content))


def compared(name: str, text: str) -> Make:
    """Return what makes a run to compare, whose file `name` is `text`."""

    def make(ground: Ground) -> list[str]:
        folder = ground.run()
        (folder / "results.json").write_text("{}")
        (folder / name).write_text(text)
        return ["compare", str(folder)]

    return make


RESULTS: dict[str, Any] = {
    "schema": 1,
    "run": {"name": "a"},
    "lengths": {"trained": 64, "target": 64, "evaluated": []},
    **{section: {} for section in ("protocol", "export")},
    **{section: [] for section in ("by_length", "by_position", "tasks", "effective_length", "cost", "missing")},
}


def measured(**files: str) -> Make:
    """Return what makes a run to compare that has results, and `files` of lines."""

    def make(ground: Ground) -> list[str]:
        folder = ground.run()
        (folder / "results.json").write_text(json.dumps(RESULTS))
        for name, text in files.items():
            (folder / f"{name}.jsonl").write_text(text)
        return ["compare", str(folder)]

    return make


def heavy_lines(ground: Ground) -> list[str]:
    """Make a run whose lines of documents hold millions of lists beside what is compared, the last of them nothing."""
    line = json.dumps({"subject": "base", "length": 64, "document": "d", "nll": 1, "counts": 1, "sizes": 1})
    heavy = f'{line[:-1]}, "more": [{EMPTIES}]}}\n'
    return measured(documents=heavy * 2 + "{}", samples="")(ground)


def heavy_shards(ground: Ground) -> list[str]:
    """Make a model of three shards, in whose headers there are millions of lists beside what is read."""
    folder = ground.base()
    (folder / "model.safetensors").unlink()
    for number in range(3):
        header = f'{json.dumps({f"t{number}": entry([1], 0, 4)})[:-2]}, "more": [{EMPTIES}]}}}}'
        (folder / f"{number}.safetensors").write_bytes(safetensors(header.encode(), 4))
    names = {f"t{number}": f"{number}.safetensors" for number in range(3)}
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": names}))
    return generate(folder)


def pipe(name: str) -> Make:
    """Return what makes a model whose file `name` is a pipe into which nobody writes."""

    def make(ground: Ground) -> list[str]:
        folder = ground.base()
        (folder / name).unlink(missing_ok=True)
        os.mkfifo(folder / name)
        return generate(folder, "chat=true")

    return make


EMPTIES = ",".join(["[]"] * 5_000_000)
LAUGHS = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 10)
)
ENDLESS = "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}"
ESCAPE = "{{ cycler.__init__.__globals__.os.system('touch canary') }}"

CASES = {
    "weights in a pickle": Case(pickled, r"pytorch_model\.bin: a pickle, which runs code"),
    "a name without end": Case(
        replaced("model.safetensors", safetensors({"x" * 10_000_000: entry([1], 0, 4)}, 4)), r"model\.safetensors"
    ),
    "code beside the weights": Case(own_code, r"config\.json: model_type must be one of"),
    "a class of the system": Case(run(position___target_="os.system"), r"position\._target_ must be one of"),
    "a class in a class": Case(
        run(dataset__path={"_target_": "builtins.open", "file": "canary", "mode": "w"}),
        r"config\.yaml: a class stands at dataset\.path\._target_, where none belongs",
    ),
    "a class in a list": Case(
        run(dataset__lessons=[{"_target_": "os.system"}]), r"a class stands at dataset\.lessons\.0\._target_"
    ),
    "a class of Hydra's own": Case(run(hydra={"run": {"_target_": "os.system"}}), r"a class stands at hydra\.run"),
    "a length without end": Case(run(context_length=2**40), r"context_length must be at most 4194304 tokens"),
    "an evaluation without end": Case(
        run(evaluation__lengths=[256, 2**40]), r"evaluation\.lengths must be at most 4194304 tokens"
    ),
    "a secret of the environment": Case(run(name="${oc.env:HOME}"), r"config\.yaml: .* holds no interpolation"),
    "YAML that calls": Case(
        yaml("a: !!python/object/apply:os.system ['touch CANARY']"), r"config\.yaml: can't be read"
    ),
    "YAML of references": Case(yaml(LAUGHS), r"config\.yaml: YAML may not refer to parts of itself"),
    "YAML too deep": Case(yaml(DEEP), r"config\.yaml: YAML may be 50 levels deep"),
    "YAML too long": Case(yaml("a: b\n" * 2_000_000), r"config\.yaml: YAML must have at most"),
    "a number without end": Case(yaml("seed: " + "1" * 5000), r"config\.yaml: can't be read as YAML"),
    "JSON too deep": Case(replaced("config.json", DEEP), r"config\.json: cannot be read as JSON"),
    "JSON too long": Case(replaced("config.json", " " * (1 << 25)), r"config\.json: must have at most"),
    "a key twice": Case(
        spoilt_json("config.json", lambda content: '{"model_type": "llama", "model_type": "qwen2"}'),
        r"config\.json: model_type occurs twice",
    ),
    "a key twice among 400,000": Case(
        spoilt_json(
            "config.json", lambda c: f'{{{",".join(f"{chr(34)}{n}{chr(34)}:0" for n in range(400_000))},"7":0}}'
        ),
        r"config\.json: 7 occurs twice",
    ),
    "layers without end": Case(
        spoilt_json("config.json", lambda content: content.update(num_hidden_layers=2**30)),
        r"config\.json: num_hidden_layers must be a whole number from 1 to 1024",
    ),
    "a tensor without end": Case(
        spoilt_json("config.json", lambda content: content.update(vocab_size=2**31 - 1)),
        r"safetensors: .*not \[2147483647",
    ),
    "a header of 2^63 bytes": Case(
        replaced("model.safetensors", safetensors(b"{}", size=2**63)), r"model\.safetensors: .* is not there"
    ),
    "a header of 100 MB": Case(
        replaced("model.safetensors", safetensors(b" " * 100_000_000)), r"its header must have at most"
    ),
    "a shape of lists": Case(
        replaced("model.safetensors", safetensors({TENSOR: {"shape": [[]] * 4_000_000}})),
        r"model\.safetensors: the shape of model\.norm\.weight must be",
    ),
    "an offset past the end": Case(
        replaced("model.safetensors", safetensors({TENSOR: entry([4], 0, HUGE)}, 16)),
        r"model\.safetensors: .*should have",
    ),
    "tensors that overlap": Case(
        with_header(lambda h, d: shift_on(h, d, -8)), r"model\.safetensors: .*should begin at"
    ),
    "a hole between tensors": Case(
        with_header(lambda h, d: shift_on(h, d, 8)), r"model\.safetensors: .*should begin at"
    ),
    "a shape that overflows": Case(with_header(overflow), r"model\.norm\.weight has the shape"),
    "a tensor twice": Case(twice, r"model\.safetensors: model\.norm\.weight occurs twice"),
    "100,000 empty tensors": Case(many_empty, r"model\.safetensors: t0 is empty"),
    "weights that are no numbers": Case(
        with_header(not_a_number), r"model\.norm\.weight holds a value that is not finite"
    ),
    "an index that leads out": Case(index("../outside.safetensors"), r"index\.json: the shard of .* must be the name"),
    "an index to anywhere": Case(index("FOLDER/outside.safetensors"), r"index\.json: the shard of .* must be the name"),
    "weights behind a link": Case(link_out("model.safetensors"), r"model\.safetensors: links out of its folder"),
    "a tokenizer behind a link": Case(link_out("tokenizer.json"), r"tokenizer\.json: links out of its folder"),
    "a pipe as a manifest": Case(in_place_of("MANIFEST.json", os.mkfifo), r"holds no checkpoint that can be loaded"),
    "a pipe as weights": Case(in_place_of("model.safetensors", os.mkfifo), r"holds no checkpoint that can be loaded"),
    "a device as a state": Case(
        in_place_of("state.json", lambda file: file.symlink_to("/dev/zero")),
        r"state\.json: links in a run that is read",
    ),
    "weights that are a hole": Case(
        in_place_of("model.safetensors", hollow), r"model\.safetensors: has 100000000000 bytes, and a checkpoint of"
    ),
    "a configuration that is a pipe": Case(pipe("config.json"), r"base is no run"),
    "weights that are a pipe": Case(pipe("model.safetensors"), r"model\.safetensors: no such file"),
    "a tokenizer that is a pipe": Case(pipe("tokenizer.json"), r"tokenizer\.json: no such"),
    "headers that are heavy together": Case(heavy_shards, r"index\.json: the headers of all shards must have at most"),
    "a manifest that leads out": Case(manifest_out, r"holds no checkpoint that can be loaded"),
    "a checkpoint too deep": Case(
        checkpoint_of(state_json=DEEP.encode(), model_safetensors=safetensors(b"{}"), optimizer_safetensors=b""),
        r"step-00000001/state\.json: cannot be read as JSON",
    ),
    "a checkpoint of something else": Case(
        checkpoint_of(state_json=b"[]", model_safetensors=safetensors(b"{}", size=2**63), optimizer_safetensors=b""),
        r"step-00000001/model\.safetensors: not a whole safetensors file",
    ),
    "a tokenizer that tries every way": Case(
        tokenizer(every_way), r"tokenizer\.json: not a tokenizer\.json that can be used"
    ),
    "a tokenizer that multiplies": Case(
        tokenizer(multiply), r"tokenizer\.json: not a tokenizer\.json that can be used"
    ),
    "a tokenizer too deep": Case(
        replaced("tokenizer.json", DEEP), r"tokenizer\.json: not a tokenizer\.json that can be used"
    ),
    "a tokenizer too long": Case(
        replaced("tokenizer.json", b" " * 100_000_001), r"tokenizer\.json: .* must have at most"
    ),
    "a template without end": Case(template(ENDLESS), r"the chat template can't be used \(it takes more than"),
    "a template that multiplies": Case(template("{{ 'x' * 3000000000 }}"), r"the chat template can't be used"),
    "a template that writes without end": Case(
        template("{% for a in range(9999) %}{{ 'x' * 9999 }}{% endfor %}"), r"the chat template can't be used"
    ),
    "a template that adds without end": Case(
        template("{{ 'x' * 30000000 }}{{ messages[0].content }}"),
        r"the chat template can't be used \(it makes 30000005",
    ),
    "a template that repeats without end": Case(
        template("{{ messages[0].content * 90000 }}"), r"the chat template can't be used \(it makes 450000 characters"
    ),
    "a template in the settings too long": Case(
        spoilt_json("tokenizer_config.json", lambda content: content.update(chat_template="x" * (1 << 21))),
        r"tokenizer_config\.json: chat_template must have at most",
    ),
    "a template that escapes": Case(template(ESCAPE), r"the chat template can't be used"),
    "a template that speaks to the terminal": Case(
        template("{{ raise_exception('\x1b[2J' ~ 'x' * 1000000) }}"), r"the chat template can't be used"
    ),
    "a template too long": Case(template("x" * (1 << 21)), r"chat_template\.jinja: must have at most"),
    "GGUF keys without end": Case(gguf(count=HUGE), r"model\.gguf: it names \d+ keys"),
    "GGUF texts without end": Case(
        gguf(gguf_key("k", 9, struct.pack("<IQ", 8, 3_000_000)), data=40_000_000),
        r"model\.gguf: it names 3000000 texts",
    ),
    "a GGUF text without end": Case(
        gguf(gguf_key("k", 8, struct.pack("<Q", 1 << 25)), data=1 << 26), r"model\.gguf: a text must have at most"
    ),
    "GGUF layers without end": Case(
        gguf(
            *LLAMA,
            gguf_key("llama.block_count", 4, struct.pack("<I", 2**31)),
            tensors=(gguf_tensor("token_embd.weight", 8, 8),),
        ),
        r"model\.gguf: llama\.block_count must be at most 1024",
    ),
    "GGUF tensors that overlap": Case(
        gguf(*LLAMA, tensors=(gguf_tensor("a", 8, 8), gguf_tensor("b", 8, 8, offset=32)), data=512),
        r"model\.gguf: the tensor 'b' begins within",
    ),
    "results of other kinds": Case(
        compared("results.json", json.dumps(RESULTS | {"run": 1})), r"results\.json: run must be an object, got int"
    ),
    "results that speak to the terminal": Case(
        compared("results.json", json.dumps(RESULTS | {"run": {"name": ["\x1b[2J"]}})),
        r"results\.json: run\.name must be",
    ),
    "lines that are heavy": Case(heavy_lines, r"documents\.jsonl:3: lacks 'subject'"),
    "lines without end": Case(
        measured(documents="{}\n" * 30_000_000, samples="{}\n" * 30_000_000),
        r"must have at most 134217728 bytes together",
    ),
    "results too deep": Case(compared("results.json", DEEP), r"results\.json: not JSON"),
}
