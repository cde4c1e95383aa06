"""The two hues of everything signed: blue and orange, or a pair for other eyes and for pale projectors."""

from __future__ import annotations

from typing import Any, Literal

ColourPair = Literal["blue and orange", "green and purple"]
FIRST: ColourPair = "blue and orange"

# What a theme has otherwise under another pair than the first. Warnings have the negative hue too, so that this is
# never green; and among the curves no colour comes twice.
CHANGES: dict[ColourPair, dict[str, dict[str, Any]]] = {
    "blue and orange": {"dark": {}, "light": {}},
    "green and purple": {
        "dark": {
            "forward": "#8fd14f",
            "backward": "#bb86f0",
            "forward_text": "#8fd14f",
            "backward_text": "#c38bff",
            "series": ("#8fd14f", "#bb86f0", "#4aa8ff", "#ff9f43", "#f2d24b", "#ef5b5b", "#5ad1d8", "#b7c0ce"),
        },
        "light": {
            "forward": "#3c7a10",
            "backward": "#8a4fd0",
            "forward_text": "#3c7a10",
            "backward_text": "#7f3dbd",
            "series": ("#3c7a10", "#8a4fd0", "#1f77d0", "#d9730d", "#9a7b00", "#c73535", "#128a93", "#4d5868"),
        },
    },
}
NAMES: dict[ColourPair, tuple[str, str]] = {  # of what is positive or forward, and of what is negative or backward
    "blue and orange": ("blue", "orange"),
    "green and purple": ("green", "purple"),
}
