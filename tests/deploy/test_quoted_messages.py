"""Messages that the documents quote are messages of the program."""

from pathlib import Path

import pytest

from support.quoted_messages import quoted, stands_in, texts, texts_of

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
QUOTED = [(page.name, message) for page in PAGES for message in quoted(page.read_text())]
SOURCES = texts(ROOT / "pipeline") | texts(ROOT / "models")

PAGE = """
| message | do |
|---|---|
| `tile ... is named twice`, `no such thing` | mend it |

| keyword | says |
|---|---|
| `not one` | of them |

```text
photoz-run: data folder x does not exist
photoz: no finite pixel
photoz release ...
```
"""
SOURCE = '''
def check(name):
    """the text of a docstring"""
    raise ValueError(f"tile {name} is named twice; name " f"each tile once" + "!")
'''


@pytest.mark.parametrize(("page", "message"), QUOTED)
def test_a_quoted_message_is_one_of_the_program(page, message):
    assert stands_in(message, SOURCES), f"{page} quotes {message!r}, which the sources do not say"


def test_messages_are_found_where_they_are_quoted():
    assert list(quoted(PAGE)) == [
        "tile ... is named twice",
        "no such thing",
        "data folder x does not exist",
        "no finite pixel",
    ]
    assert {"bad-input.md", "release.md"} <= {page for page, _ in QUOTED}


def test_a_message_in_other_than_its_own_words_is_no_quotation():
    with pytest.raises(ValueError, match="'and others' is no quotation"):
        list(quoted("| message | do |\n|---|---|\n| `a message` and others | mend |\n"))


@pytest.mark.parametrize(
    ("message", "true"),
    [
        ("tile ... is named twice", True),
        ("tile ... is named twice; name each tile once", True),
        ("is named twice; ...", True),
        ("tile KIDS is named twice", False),
        ("tile ... is named thrice", False),
        ("each tile once ... is named twice", False),
        ("... tile ...", False),
        ("the text of a docstring", False),
    ],
)
def test_a_quotation_holds_while_the_source_says_it(message, true):
    assert stands_in(message, set(texts_of(SOURCE))) is true
