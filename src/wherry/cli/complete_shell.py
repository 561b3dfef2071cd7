"""``wherry __complete``: a shell's command line to words, candidates to what the shell reads."""

import os

from wherry.cli.complete import FILES, complete

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence


def split(line: str) -> list[str]:
    """A bash command line up to the cursor as words; the last may be empty. Quotes may be open."""
    words, word, quote, started = [], "", "", False
    characters = iter(line)
    for character in characters:
        if quote:
            if character == quote:
                quote = ""
            elif character == "\\" and quote == '"':
                word += next(characters, "")
            else:
                word += character
        elif character in "'\"":
            quote, started = character, True
        elif character == "\\":
            word, started = word + next(characters, ""), True
        elif character.isspace():
            if word or started:
                words.append(word)
            word, started = "", False
        else:
            word += character
    return [*words, word]


def after_break(text: str, current: str, breaks: str) -> str:
    """The part of a candidate that bash has not passed yet: it takes the characters of COMP_WORDBREAKS for ends of
    words, in ``busybox:1.36`` too."""
    cut = max((current.rfind(character) for character in breaks if character in ":="), default=-1)
    return text[cut + 1 :]


def run(words: "Sequence[str]") -> int:
    """``__complete bash LINE WORDBREAKS`` or ``__complete zsh|fish -- PROGRAM WORD…``: candidates on stdout."""
    lines = []
    if words[:1] == ["bash"] and len(words) == 3:
        typed = split(words[1])[1:]
        current = typed[-1] if typed else ""
        lines = [after_break(text, current, words[2]) if text != FILES else text for text, _ in complete(typed)]
    elif words[:1] in (["zsh"], ["fish"]) and words[1:2] == ["--"]:
        lines = [f"{text}\t{about.splitlines()[0] if about else ''}" for text, about in complete(list(words[3:]))]
    if lines:
        os.write(1, ("\n".join(lines) + "\n").encode("utf-8", "surrogateescape"))
    return 0
