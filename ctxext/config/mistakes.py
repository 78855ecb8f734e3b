"""What Hydra and OmegaConf raise, said in one sentence: the config path, the rule, the value, and what is nearest."""

import errno
import re
import typing
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from hydra.errors import ConfigCompositionException, MissingConfigException, OverrideParseException
from omegaconf import OmegaConf
from omegaconf.errors import ConfigAttributeError, ConfigKeyError, OmegaConfBaseException, ValidationError

from ctxext.config.folders import GROUPS, OWN, option_of, options_with
from ctxext.config.schema import Run
from ctxext.refusal import Refusal, nearest, spelt
from ctxext.strangers import text_of

FOLDERS = ("hydra.run.dir=", "hydra.sweep.dir=")
"""The words that say where a run is kept."""


HYDRA_S = {"Integer": "a whole number", "Float": "a number", "Boolean": "true or false", "String": "a text"}
"""The kinds of values of Hydra's own keys, as OmegaConf calls them."""


def sentence(error: BaseException, words: Sequence[str] = ()) -> str:
    """Return what is wrong in one sentence, for an `error` of composing or building what the overrides `words` say."""
    causes = list(chain(error))
    for kind, said in SAID:
        for cause in causes:
            if isinstance(cause, kind):
                return flat(said(cause, words))
    return flat(str(causes[-1]) or type(error).__name__)


def chain(error: BaseException) -> Iterator[BaseException]:
    """Yield `error` and what it was raised from."""
    cause: BaseException | None = error
    while cause is not None:
        yield cause
        cause = cause.__cause__


def flat(text: str) -> str:
    """Return `text` in one line."""
    return " ".join(text.split())


def shown(value: object) -> str:
    """Return `value` as a user would type it."""
    return "null" if value is None else repr(value)


def takes_no(slot: str, plain: Mapping[str, object], key: str, known: Sequence[str]) -> str:
    """Return that the class of the config `plain` in `slot`, with keys `known`, has no `key`, and which option has."""
    likely, others = nearest(key, known), options_with(slot, key)
    if not likely and others:
        *first, last = others
        likely = f"; drop it, or use {slot}={', '.join(first)}{' or ' if first else ''}{last}"
    return f"{slot}.{key}: {slot}={option_of(slot, plain)} takes no {key!r}{likely}"


def unread(error: Any, words: Sequence[str]) -> str:
    """Return which word isn't KEY=VALUE."""
    quotes = "a value with commas, brackets or '=' needs quotes in quotes: KEY=\"'VALUE'\""
    return f"{error.override!r} can't be read as KEY=VALUE; {quotes}"


def no_option(error: Any, words: Sequence[str]) -> str:
    """Return which option doesn't exist, and which do."""
    group, _, option = (error.missing_cfg_file or "").rpartition("/")
    if not group:
        return str(error).splitlines()[0]
    known = [name for name in error.options or () if not name.startswith("_")]
    plus = "+" if group == "method" else ""
    likely = nearest(option, known)
    listing = f"ctxext ls {group} lists all {len(known)}" if likely and len(known) > 12 else ", ".join(known)
    return f"{plus}{group}={option}: no such option{likely} ({listing})"


def no_key(error: Any, words: Sequence[str]) -> str:
    """Return which key doesn't exist, and the nearest that does."""
    path, key, parent = str(error.full_key), str(error.key), error.parent_node
    known = [str(name) for name in parent or () if name != "_target_"]
    if parent is not None and "_target_" in parent and "." in path:
        plain: Any = OmegaConf.to_container(parent, resolve=False)
        return takes_no(path.split(".")[0], plain, key, known)
    if path.startswith("hydra"):
        return f"{path}: no such key{nearest(key, known)}"
    if "." not in path:
        known = [*(name for name in known if name != "hydra"), "method"]
    likely = nearest(key, known)
    written = " (write +method=NAME)" if "'method'" in likely else ""
    return f"{path}: no such key{likely or '; known are ' + ', '.join(known)}{written}"


def wrong_type(error: Any, words: Sequence[str]) -> str:
    """Return which value isn't of the type that the schema wants."""
    if str(error.full_key).startswith("hydra."):
        found = re.search(r"could not be converted to (\w+)", str(error))
        wanted = HYDRA_S.get(found[1], "of another kind") if found else "a group of keys"
        return f"{error.full_key} must be {wanted}, got {shown(error.value)}"
    hint: Any = Run
    for step in re.split(r"[.\[]", str(error.full_key)):
        inner = typing.get_args(hint)
        hints = typing.get_type_hints(hint) if hasattr(hint, "__dataclass_fields__") else {}  # inherited ones too
        hint = inner[0] if step.endswith("]") and inner else hints.get(step, Any)
    wanted = "a group of keys" if hasattr(hint, "__dataclass_fields__") else spelt(hint)
    return f"{error.full_key} must be {wanted}, got {shown(error.value)}"


def unresolved(error: Any, words: Sequence[str]) -> str:
    """Return which interpolation leads nowhere, or which value OmegaConf refuses for another reason."""
    where = error.full_key or " ".join(word for word in words if "${" in word)
    return f"{where}: {str(error).splitlines()[0]}"


def misplaced(error: Any, words: Sequence[str]) -> str:
    """Return what is wrong with an override that composition refused for its form."""
    text = str(error)
    absent = re.search(r"Could not override '([^']+)'\. No match in the defaults list", text)
    twice = re.search(r"Multiple values for ([^.]+)\..*override [^:]+: ([^']+)'", text)
    ambiguous = re.search(r"Ambiguous value for argument '(.+)'", text)
    if absent:
        word = next((word for word in words if word.split("=")[0] == absent[1]), absent[1])
        return f"{word}: nothing of this group is chosen yet, so that it is added: write +{word}"
    if twice and twice[1] == "method":
        own = "an overlay of your own combines methods (--config-dir DIR +method=mine)"
        return f"+method={twice[2]}: a method is chosen already; {own}"
    if twice:
        return f"+{twice[1]}={twice[2]}: an option of this group is chosen already; write {twice[1]}={twice[2]}"
    if ambiguous:
        return f"{ambiguous[1]}: several values are a sweep; add -m to run a job for each, or write [A,B] for a list"
    return text


def unmade(error: Any, words: Sequence[str]) -> str:
    """Return which folder can't be made or written to, and the word that names it."""
    named = [word for word in words if word.startswith(FOLDERS)]
    if not named:
        return str(error)
    key = named[-1].partition("=")[0]
    return f"{key}: no folder can be made at {error.filename} ({error.strerror}); write {key}=FOLDER with another"


def unreached(error: Any, words: Sequence[str]) -> str:
    """Return that a folder is named that no disk can have, or the words of `error` itself."""
    return unmade(error, words) if error.errno in (errno.ENAMETOOLONG, errno.ELOOP) else str(error)


def undecoded(error: Any, words: Sequence[str]) -> str:
    """Return which of the user's own option files is no UTF-8: Hydra doesn't say."""
    own = OWN.get()
    for file in sorted(own.rglob("*.yaml")) if own else ():
        try:
            text_of(file)
        except Refusal as refusal:
            return str(refusal)
    return str(error)


def other(error: Any, words: Sequence[str]) -> str:
    """Return the words of `error` itself, or what is known of a group that was given a number."""
    named = [word for word in words if word.split("=")[0] in GROUPS]
    if "Config group override must be a string" in str(error) and named:
        return f"{' '.join(named)}: a group takes the name of an option (ctxext ls GROUP names them)"
    return str(error) or type(error).__name__


SAID: tuple[tuple[type[BaseException] | tuple[type[BaseException], ...], Callable[[Any, Sequence[str]], str]], ...] = (
    (Refusal, lambda error, words: str(error)),
    (OverrideParseException, unread),
    (MissingConfigException, no_option),
    ((ConfigKeyError, ConfigAttributeError), no_key),
    (ValidationError, wrong_type),
    (OmegaConfBaseException, unresolved),
    ((NotADirectoryError, FileExistsError, PermissionError), unmade),
    (OSError, unreached),
    (ConfigCompositionException, misplaced),
    (UnicodeDecodeError, undecoded),
    (Exception, other),
)
"""What says which error, the most telling first: Hydra wraps OmegaConf's errors, and these wrap each other."""
