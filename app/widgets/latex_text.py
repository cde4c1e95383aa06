"""LaTeX of the engine's formulas as plain text, for table cells, tool tips and screen readers."""

from __future__ import annotations

import re
from functools import lru_cache

WORDS = {
    **{r"\left": "", r"\right": "", r"\,": " ", r"\;": " ", r"\quad": "  ", r"\!": ""},
    **{r"\cdot": "·", r"\odot": "⊙", r"\sum": "Σ", r"\partial": "∂", r"\leftarrow": "←", r"\infty": "∞"},
    **{r"\le": "≤", r"\ne": "≠", r"\in": "∈", r"\log": "log", r"\max": "max", r"\min": "min", r"\tanh": "tanh"},
    **{r"\alpha": "α", r"\beta": "β", r"\gamma": "γ", r"\Delta": "Δ", r"\delta": "δ", r"\epsilon": "ε", r"\eta": "η"},
    **{r"\theta": "θ", r"\lambda": "λ", r"\mu": "μ", r"\sigma": "σ", r"\Phi": "Φ"},
    **{r"\begin{cases}": "{", r"\end{cases}": "}", r"\\": "; ", "&": " if ", r"\{": "{", r"\}": "}"},
}
GROUP = r"\{((?:[^{}]|\{[^{}]*\})*)\}"  # a group with at most one level of groups inside


@lru_cache(maxsize=500)
def plain(latex: str) -> str:
    """Such as "∂L/∂W[i,j] = Σ x[n,i] · g[n,j]"."""
    text = latex.replace(r"^{\mathrm{old}}", "ᵒˡᵈ")
    for word in (r"\begin{cases}", r"\end{cases}", r"\left", r"\right"):
        text = text.replace(word, WORDS[word])
    text = text.replace(r"\partial ", "∂")
    for _ in range(4):  # groups lie inside each other
        text = re.sub(rf"\\frac{GROUP}{GROUP}", lambda m: f"{_closed(m[1])}/{_closed(m[2])}", text)
        text = re.sub(rf"\\hat{GROUP}", lambda m: f"{m[1]}\u0302", text)
        text = re.sub(rf"\\sqrt{GROUP}", lambda m: f"√({m[1]})", text)
        text = re.sub(rf"\\mathrm{GROUP}", lambda m: m[1], text)
    text = re.sub(rf"\\sum_{GROUP}", "Σ", text)
    text = re.sub(r"\\sum_\w", "Σ", text)
    text = re.sub(rf"_{GROUP}", lambda m: f"[{m[1]}]", text)
    text = re.sub(rf"\^{GROUP}", lambda m: f"^{_closed(m[1])}", text)
    for word in sorted(WORDS, key=len, reverse=True):
        text = text.replace(word, WORDS[word])
    return re.sub(r"\s+", " ", text.replace("-", "−")).strip()


def _closed(text: str) -> str:
    """In parentheses, where it is more than a word."""
    return text if re.fullmatch(r"[\\\w.]+|∂\S+", text.strip()) else f"({text})"
