"""The table of cases and fronts that a run prints at its end."""

import string

LETTERS = string.ascii_lowercase + string.ascii_uppercase
UNSEEN, NOT_ASKED, OK, FAILED = " ", "-", "ok", "FAIL"


class Report:
    """What each front made of each case."""

    def __init__(self, fronts, cases):
        self._fronts, self._cases = fronts, cases
        self._cells = {}
        self._reasons = {}

    def ok(self, front, case):
        self._cells.setdefault((front, case), OK)

    def deviates(self, front, case, reason, asked=True):
        """asked: the front does something else; not: it cannot be asked."""
        letter = self._reasons.setdefault(reason, LETTERS[len(self._reasons)])
        self._cells[front, case] = letter if asked else f"-{letter}"

    def failed(self, front, case):
        self._cells[front, case] = FAILED

    def lines(self):
        """Nothing if nothing was asked."""
        if not self._cells:
            return
        width = max(map(len, self._cases))
        words = [front.split() for front in self._fronts]
        yield ""
        for level in range(max(map(len, words))):
            yield " " * width + "".join(
                f" {word[level] if level < len(word) else '':<8}" for word in words)
        for case in self._cases:
            cells = [self._cells.get((front, case), UNSEEN) for front in self._fronts]
            if any(cell != UNSEEN for cell in cells):
                yield (f"{case:<{width}}" + "".join(f" {cell:<8}" for cell in cells)).rstrip()
        yield ""
        for reason, letter in self._reasons.items():
            yield f"{letter}: {reason}"
