"""`python -m tests.wording`: prose that reads like a translation, with what to write instead.

Checks the documentation, comments, docstrings, messages and page templates. CONTRIBUTING.md
explains the style. Code is not prose: text in backticks, code blocks, and strings without a space
are skipped.
"""

import re
import sys
import tokenize
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

ROOT: Final = Path(__file__).parents[1]
PAGES: Final = ("README.md", "SECURITY.md", "docs/*.md", "models/*.md")
TEMPLATES: Final = ("services/**/*.html", "services/**/*.js", "models/**/*.html")
CODE: Final = ("emostream", "services", "shared", "models", "benchmarks", "tests", "docs")
OWN: Final = ("wording.py", "test_wording.py")

_COUNTED = (
    "rows?|lines?|pictures?|frames?|faces?|numbers?|events?|objects?|folders?|files?|ms"
    "|streams?|bytes|kB|MB|cores?"
)
_UNIT = (
    "second|minute|hour|day|frame|face|picture|row|line|file|message|recording|stream|label"
    "|process|detector|cell"
)
# A pattern, and what to write instead of what it finds.
RULES: Final = {
    r"in place of": "instead of",
    r"for ever": "forever",
    r"whoever": "anyone who",
    r"anew": "again, or: start over",
    r"shall": "must, or: will",
    r"mend(?:s|ed|ing)?": "fix",
    r"save for": "except for",
    r"be it": "whether",
    r"for want of": "for lack of",
    r"but for": "except for",
    r"beside": "next to, or: in addition to",
    r"go(?:es)? on|went on": "continue",
    r"br[eo]aks? off|broke off": "end early, or: fail",
    r"an? [a-z]+ of (?:its|their|our) own": "its own ...",
    r"by turns": "alternately",
    r"at hand": "available",
    r"told otherwise|whereof|thereof|wherein": "plain words",
    r"in the place of": "instead of",
    r"in vain": "without success",
    r"(?:not?|no [a-z]+) any ?more": "no longer",
    r"what (?:came|comes|became|becomes) of": "what happened to, or: the result of",
    r"where (?:nobody|nothing|none)": "if no ...",
    r"come(?:s)? to lie": "end up",
    r"(?:is|are) to be [a-z]+ed": "must be",
    r"(?<!there )is no (?:TOML|JSON|HTTP|UTF-8|URL|number|face|file|picture|video|model)": "is not",
    r"whole or not at all": "completely or not at all",
    r"broke down": "crashed, or: failed",
    r"reckon\w*": "assume, or: compute",
    r"taken for (?!granted)\w+": "mistaken for, or: treated as",
    r"begun again": "restarted",
    r"learnt": "learned",
    r"whilst": "while",
    r"hence": "therefore",
    r"colour(?! =)\w*": "color",
    r"centred?|centres": "center",
    r"grey\w*": "gray",
    r"licence": "license",
    r"behaviour": "behavior",
    r"neighbour\w*": "neighbor",
    r"labelled|cancelled|travelled|modelled": "one l",
    r"analys(?:ed?|ing)": "analyze",
    r"(?:un)?recognis\w+|normalis\w+|standardising|initialis\w+|organis\w+|optimis\w+": "-ize",
    rf"(?:an? )?(?:{_COUNTED}) an? (?:{_UNIT})": "one ... per ...",
}
_RULES: Final = [
    (re.compile(rf"\b(?:{pattern})\b", re.IGNORECASE), better) for pattern, better in RULES.items()
]
_CODE_SPAN = re.compile(r"`[^`\n]+`")
_FIELD = re.compile(r"\{[^{}]*\}")
_FENCE = re.compile(r"^ *```")


class Finding(NamedTuple):
    """Words of a line, and what to write instead."""

    path: Path
    line: int
    words: str
    better: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.words!r}: write {self.better!r}"


def prose_of(path: Path) -> Iterator[tuple[int, str]]:
    """Yield the lines of a file that people read, with their numbers, without code."""
    if path.suffix == ".py":
        yield from _prose_of_python(path)
        return
    in_block = False
    for number, line in enumerate(path.read_text("utf-8").splitlines(), 1):
        if path.suffix == ".md" and _FENCE.match(line):
            in_block = not in_block
        elif not in_block:
            yield number, line


def find(root: Path = ROOT) -> list[Finding]:
    """Return everything that the rules find below `root`."""
    found = []
    for path in sorted(_files(root)):
        for number, line in prose_of(path):
            text = _CODE_SPAN.sub("``", line)
            for pattern, better in _RULES:
                found += [
                    Finding(path.relative_to(root), number, match[0], better)
                    for match in pattern.finditer(text)
                ]
    return found


def _files(root: Path) -> Iterator[Path]:
    for pattern in (*PAGES, *TEMPLATES):
        yield from root.glob(pattern)
    for folder in CODE:
        yield from (path for path in (root / folder).rglob("*.py") if path.name not in OWN)


def _prose_of_python(path: Path) -> Iterator[tuple[int, str]]:
    with path.open("rb") as file:
        for token in tokenize.tokenize(file.readline):
            is_text = token.type == tokenize.STRING and " " in token.string
            # From Python 3.12 on, the text of an f-string is a token of its kind.
            is_part = tokenize.tok_name[token.type] == "FSTRING_MIDDLE"
            if token.type == tokenize.COMMENT or is_text or is_part:
                for place, line in enumerate(token.string.splitlines()):
                    yield token.start[0] + place, _FIELD.sub("", line)


def main() -> int:
    """Print the findings; return 1 if there are any."""
    findings = find()
    for finding in findings:
        print(finding)
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
