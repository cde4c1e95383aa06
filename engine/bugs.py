"""The catalogue of bugs that backprop code has, and what is said of one that was found."""

from __future__ import annotations

import math
from typing import Annotated, Any, NamedTuple

import msgspec
from msgspec import Meta

from engine.spec import LIVE, Spec


class Bug(msgspec.Struct, frozen=True):
    """One bug, named: with its evidence, how sure that is, and what should stand there."""

    slug: str  # such as "missing-batch-mean"; one of CATALOGUE
    tensor: str  # the role whose gradient shows it, "x" for the input's, "" for the whole
    sentence: str
    confidence: float  # from 0 to 1
    evidence: dict[str, Any]  # numbers by name
    formula: str  # a worked formula of what should stand there


class PlantedBug(Spec, frozen=True, kw_only=True):
    """A bug of the catalogue that a recipe plants into one layer's backward, or into the loss's."""

    layer: Annotated[int, Meta(ge=-1, le=199, title="layer", description="Its number; −1 is the loss")]
    slug: Annotated[str, Meta(max_length=40, title="bug", description="One of the catalogue")]
    hidden: Annotated[
        bool, Meta(title="hidden", description="Not told on screen before it is revealed", extra=LIVE)
    ] = False


class Entry(NamedTuple):
    """What the catalogue knows of a bug."""

    title: str
    sentence: str  # what is wrong, to a student; {tensor} stands for the gradient that shows it
    formula: str  # what should stand there


CATALOGUE: dict[str, Entry] = {
    "missing-batch-mean": Entry(
        "The mean over the batch is missing",
        "{tensor} is the batch size times too large: forward averages over the batch, backward only sums; "
        "divide by the number of samples.",
        "L = 1/B · Σₙ Lₙ  ⇒  ∂L/∂θ = 1/B · Σₙ ∂Lₙ/∂θ",
    ),
    "extra-batch-mean": Entry(
        "One mean over the batch too many",
        "{tensor} is the batch size times too small: it is averaged over the batch, though the upstream gradient (or "
        "the loss itself) already carries the 1/B; sum over the samples instead.",
        "grad_W = xᵀ·grad_y, grad_b = Σₙ grad_y[n]: the 1/B of the mean loss is already in grad_y",
    ),
    "constant-factor": Entry(
        "Off by a constant factor",
        "{tensor} is the right one times a constant; a factor of the formula is missing or stands twice.",
        "d/dx c·f(x) = c·f′(x);  d/dx x² = 2x,  d/dx ½x² = x",
    ),
    "sign-flipped": Entry(
        "The sign is flipped",
        "{tensor} has the wrong sign: an update with it climbs the loss instead of lowering it.",
        "L = ½(y − t)²  ⇒  ∂L/∂y = y − t, not t − y;  θ ← θ − lr·∂L/∂θ",
    ),
    "transposed": Entry(
        "Transposed",
        "{tensor} has the right numbers with its axes exchanged; swap the factors of the product or transpose it.",
        "y = x·W  ⇒  grad_W = xᵀ·grad_y, (in, B)·(B, out) = (in, out);  grad_x = grad_y·Wᵀ",
    ),
    "bias-not-summed": Entry(
        "The bias gradient is not summed over the batch",
        "{tensor} is not summed over the batch: the same bias is added to every sample, so every sample's gradient "
        "counts.",
        "y[n] = x[n]·W + b  ⇒  grad_b = Σₙ grad_y[n] = grad_y.sum(axis=0)",
    ),
    "bias-summed-over-all": Entry(
        "The bias gradient is summed over every axis",
        "{tensor} holds one number everywhere, the sum over the outputs too; sum over the batch alone, axis 0.",
        "grad_b[j] = Σₙ grad_y[n, j] = grad_y.sum(axis=0), one number for each output j",
    ),
    "relu-mask-missing": Entry(
        "The mask of the ReLU is missing",
        "{tensor} does not follow the side of zero on which each input lies; keep grad_y only where the input was "
        "positive (times the slope elsewhere).",
        "y = max(x, 0)  ⇒  grad_x = grad_y ⊙ [x > 0]",
    ),
    "relu-mask-inverted": Entry(
        "The mask of the ReLU is inverted",
        "{tensor} lets the gradient through where the input was negative and stops it where it was positive.",
        "y = max(x, 0)  ⇒  grad_x = grad_y ⊙ [x > 0], not [x < 0]",
    ),
    "upstream-ignored": Entry(
        "The upstream gradient is ignored",
        "{tensor} does not change with grad_y; multiply the local derivative by what comes from behind.",
        "chain rule: grad_x = grad_y · ∂y/∂x; backward(2·grad_y) = 2·backward(grad_y)",
    ),
    "local-derivative-missing": Entry(
        "The local derivative is missing",
        "{tensor} passes grad_y on without the function's own derivative, or without a part of it.",
        "y = f(x)  ⇒  grad_x = grad_y ⊙ f′(x);  σ′ = y(1 − y),  tanh′ = 1 − y²",
    ),
    "extra-derivative": Entry(
        "A derivative too many, or of the wrong tensor",
        "{tensor} has the derivative once too often, or takes it of the output where the input belongs (or the other "
        "way round).",
        "σ′(x) = σ(x)(1 − σ(x)) = y(1 − y): once, with y the output;  softmax with cross-entropy: p − t, nothing more",
    ),
    "softmax-diagonal-only": Entry(
        "Only the diagonal of the softmax's Jacobian",
        "{tensor} uses only the diagonal of the softmax's Jacobian; every output hangs on every logit of its row.",
        "∂yⱼ/∂xₖ = yⱼ([j = k] − yₖ)  ⇒  grad_x = y ⊙ (grad_y − Σₖ grad_yₖ·yₖ)",
    ),
    "softmax-wrong-axis": Entry(
        "Softmax over the wrong axis",
        "{tensor} normalises over the batch; a softmax works on each sample alone, over the classes (axis 1).",
        "y[n, j] = e^x[n, j] / Σₖ e^x[n, k]: the sum is over the classes k, axis=1, keepdims=True",
    ),
    "batchnorm-mean-path": Entry(
        "The path through the mean is missing",
        "{tensor} treats the mean as a constant, but it hangs on every sample: these gradients must sum to 0.",
        "grad_x = γ/σ · (grad_y − mean(grad_y) − x̂·mean(grad_y ⊙ x̂))",
    ),
    "batchnorm-variance-path": Entry(
        "The path through the variance is missing",
        "{tensor} treats the variance as a constant (or scales its part wrongly), but it hangs on every sample.",
        "grad_x = γ/σ · (grad_y − mean(grad_y) − x̂·mean(grad_y ⊙ x̂))",
    ),
    "skip-dropped": Entry(
        "The skip's share is dropped",
        "{tensor} lacks what flows back through the skip connection; add it to the block's own gradient.",
        "y = f(x) + x  ⇒  grad_x = grad_y·f′(x) + grad_y",
    ),
    "branch-overwritten": Entry(
        "One branch overwrites another",
        "{tensor} is the share of one use alone; what is used twice gets the sum of both shares (+=, not =).",
        "y = f(x) + g(x)  ⇒  grad_x = grad_y·f′(x) + grad_y·g′(x)",
    ),
    "accumulates-across-calls": Entry(
        "Gradients pile up from call to call",
        "{tensor} still holds what the backward before left in it; set it anew (=) or zero it before each backward.",
        "each mini-batch: grad_θ = Σₙ ∂Lₙ/∂θ of this mini-batch alone",
    ),
    "mutates-input": Entry(
        "An array that was handed over is changed",
        "{tensor} is changed in place by the code, though it belongs to the caller; work on a copy.",
        "x = x.copy() before x[...] = …, and y = x * m rather than x *= m",
    ),
    "stale-cache": Entry(
        "Backward uses an older forward",
        "{tensor} belongs to the input of an earlier forward; let every forward write its cache anew.",
        "forward(x₁); forward(x₂); backward(grad_y) is the gradient at x₂",
    ),
    "dropout-scale": Entry(
        "The scale of dropout is not in backward",
        "{tensor} is off by the share of units that are kept; backward uses the very mask of forward, its 1/keep "
        "included.",
        "y = x ⊙ m/keep  ⇒  grad_x = grad_y ⊙ m/keep",
    ),
    "dropout-mask-redrawn": Entry(
        "Backward does not use the mask of forward",
        "{tensor} lets other units through than forward did; keep the mask of forward for backward.",
        "y = x ⊙ m  ⇒  grad_x = grad_y ⊙ m with the same m",
    ),
    "l2-mismatch": Entry(
        "The weight penalty differs between loss and gradient",
        "{tensor} differs from the gradient of the loss by a multiple of the weights themselves: the penalty stands in "
        "one of the two only, or with another factor.",
        "L = data + λ/2·ΣW²  ⇒  grad_W = data part + λ·W;  L = data + λ·ΣW²  ⇒  + 2λ·W",
    ),
    "integer-dtype": Entry(
        "Whole numbers where fractions belong",
        "{tensor} is kept in an array of integers, which cuts off every fraction; make it of floats.",
        "np.zeros_like(x, dtype=float), np.array([1., 2.]), x.astype(float)",
    ),
    "batch-of-one": Entry(
        "The batch size makes right code wrong",
        "{tensor} is right for one size of the batch and wrong for another, a batch of one among them; look for "
        "squeeze, reshape and sums that lose the batch axis.",
        "x has shape (B, in) for B = 1 too: (1, in); np.sum(…, axis=0, keepdims=…), no squeeze()",
    ),
    "labels-ignored": Entry(
        "The labels are ignored",
        "{tensor} does not hang on the targets; they must enter the loss and its gradient.",
        "softmax with cross-entropy: ∂L/∂x = (p − onehot(t))/B;  squared error: ∂L/∂y = 2(y − t)/B",
    ),
    "labels-from-elsewhere": Entry(
        "The labels come from elsewhere",
        "{tensor} is right for other targets than those handed over: a global or an older batch is read.",
        "use the parameter of the function (y, targets), not a variable outside of it",
    ),
    "overflow": Entry(
        "Overflows for large inputs",
        "{tensor} is right here, but infinite or NaN for logits of ±1000; subtract the largest one before exp, and "
        "join log and exp.",
        "softmax(x) = e^(x − max x) / Σ e^(x − max x);  log Σ eˣ = m + log Σ e^(x − m),  m = max x",
    ),
    "broadcast": Entry(
        "Two shapes broadcast into a matrix",
        "{tensor} compares every sample with every target: (B,) and (B, 1) make (B, B); give both the same shape.",
        "(y.reshape(-1) − t.reshape(-1)): (B,) − (B,) = (B,), one difference a sample",
    ),
    "unknown": Entry(
        "Wrong in a way without a name here",
        "{tensor} does not agree with the numerical gradient; no known bug explains the difference.",
        "grad_θ = ∂L/∂θ ≈ (L(θ + h) − L(θ − h)) / 2h",
    ),
}
WARNINGS = frozenset({"overflow"})  # right code at ordinary inputs: told, but no gradient is wrong


def found(slug: str, tensor: str, confidence: float, evidence: dict[str, Any] | None = None, detail: str = "") -> Bug:
    """A bug of the catalogue in one tensor; `detail`, a sentence of its own, is added to the catalogue's."""
    entry = CATALOGUE[slug]
    sentence = entry.sentence.format(tensor=spoken(tensor, slug))
    sentence = sentence[0].upper() + sentence[1:] + (f" {detail}" if detail else "")
    numbers = {name: _plain(value) for name, value in (evidence or {}).items()}
    return Bug(slug, tensor, sentence, confidence, numbers, entry.formula)


def _plain(value: Any) -> Any:
    """A number of NumPy's as Python's own; NaN and infinity, which JSON does not know, as text."""
    value = value.item() if hasattr(value, "item") else value
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


def spoken(tensor: str, slug: str = "") -> str:
    """A tensor's gradient in a sentence."""
    if slug == "mutates-input":
        return {"x": "the input x", "grad_y": "the upstream gradient grad_y"}.get(tensor, f"the parameter {tensor}")
    if tensor in ("", "loss"):
        return "the result"
    return "the gradient of the input x" if tensor == "x" else f"the gradient of {tensor}"
