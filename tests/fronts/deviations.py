"""What the fronts make of some cases by themselves, each with its own reason."""

from table import BROKEN, Answer, Deviation

DEVIATIONS = [
    Deviation("body: .*(none|chunked|100-continue).*", "fossil", None, "Fossil takes a body with its Content-Length alone"),
]
