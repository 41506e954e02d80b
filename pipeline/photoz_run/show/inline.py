"""Pictures on terminals that show them, by the two protocols that terminals announce themselves.

A terminal is known by what it puts into the environment; it is asked nothing (see
docs/decisions/terminal-pictures.md).
"""

import base64
from collections.abc import Mapping
from typing import Literal

Protocol = Literal["kitty", "iterm", "none"]

KITTY = ("xterm-kitty", "xterm-ghostty")
"""TERM of terminals with kitty's protocol."""
ITERM = ("iTerm.app", "WezTerm")
"""TERM_PROGRAM, or LC_TERMINAL through ssh, of terminals with iTerm2's protocol."""
MULTIPLEXED = ("TMUX", "STY")
"""Set by tmux and screen, which pass no pictures on."""
CHUNK = 4096
"""Bytes of base64 in one sequence of kitty's protocol."""


def protocol_of(environment: Mapping[str, str]) -> Protocol:
    """How the terminal of a process with this environment takes pictures, if it does."""
    if any(environment.get(name) for name in MULTIPLEXED):
        return "none"
    if environment.get("TERM") in KITTY:
        return "kitty"
    programs = (environment.get("TERM_PROGRAM"), environment.get("LC_TERMINAL"))
    if any(program in (*ITERM, "iTerm2") for program in programs):
        return "iterm"
    return "none"


def sequence(png: bytes, protocol: Protocol, columns: int, rows: int) -> str:
    """What a terminal is sent to show a PNG over so many of its columns and rows.

    See https://sw.kovidgoyal.net/kitty/graphics-protocol/ and
    https://iterm2.com/documentation-images.html.
    """
    data = base64.b64encode(png).decode()
    if protocol == "iterm":
        about = f"inline=1;size={len(png)};width={columns};height={rows};preserveAspectRatio=1"
        return f"\x1b]1337;File={about}:{data}\x07"
    chunks = [data[start : start + CHUNK] for start in range(0, len(data), CHUNK)]
    parts = []
    for number, chunk in enumerate(chunks, start=1):
        # Shown at once (a=T), a PNG (f=100), without an answer (q=2); m=1: more follows.
        about = f"a=T,f=100,q=2,c={columns},r={rows}," if number == 1 else ""
        parts.append(f"\x1b_G{about}m={int(number < len(chunks))};{chunk}\x1b\\")
    return "".join(parts)
