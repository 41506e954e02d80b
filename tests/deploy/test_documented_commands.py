"""Every command line that a document shows is one that the real commands accept."""

from pathlib import Path

import pytest

from support.command_lines import in_document, in_shell, parse

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
COMMANDS = {" ".join(words): words for page in PAGES for words in in_document(page.read_text())}
COMMENTS = {
    " ".join(words): words
    for path in sorted((ROOT / "deploy").rglob("*"))
    if path.is_file()
    for line in path.read_text().replace("\\\n#", " ").splitlines()
    if line.startswith("#") and "photoz" in line and "--" in line and "'" not in line
    for words in in_shell(line.lstrip("# "))
}


@pytest.mark.parametrize("words", COMMANDS.values(), ids=COMMANDS)
def test_a_documented_command_is_accepted(words):
    parse(words, incomplete=True)


@pytest.mark.parametrize("words", COMMENTS.values(), ids=COMMENTS)
def test_a_command_in_a_comment_of_a_recipe_is_accepted(words):
    parse(words, incomplete=True)


def test_commands_are_found_where_they_are_written():
    page = """
Say `photoz status RUN` or `photoz-run ... --shard 1/3`.

```console
$ srun photoz-run --tiles a b \\
    --data d | tee log   # not this
$ BIN=x .venv/bin/photoz flags 1; photoz flags 2
```

```python
photoz = "photoz flags 3"
```
"""
    assert list(in_document(page)) == [
        ["photoz-run", "--tiles", "a", "b", "--data", "d"],
        ["photoz", "flags", "1"],
        ["photoz", "flags", "2"],
        ["photoz", "status", "RUN"],
        ["photoz-run", "--shard", "1/3"],
    ]
    assert len(COMMANDS) > 15


@pytest.mark.parametrize(
    "words",
    [
        ["photoz-run", "--tile", "all"],
        ["photoz-run", "all"],
        ["photoz-run", "--workers"],
        ["photoz", "stat", "RUN"],
        ["photoz", "model", "compere"],
        ["photoz", "flags", "--markup"],
        ["photoz", "doctor", "--provider", "gpu"],
    ],
)
def test_a_wrong_command_would_be_noticed(words):
    with pytest.raises(
        Exception, match=r"(?i)no such|unexpected|requires an argument|is not one of"
    ):
        parse(words, incomplete=True)
