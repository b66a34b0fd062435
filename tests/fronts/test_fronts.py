"""One table of cases, asked through every front: see cases.py, and deviations.py."""

import pytest

import asking
from cases import CASES
from deviations import DEVIATIONS

LINES_SHOWN = 6


def deviation(column, case, kind):
    return next((entry for entry in DEVIATIONS if entry.of(column, case, kind)), None)


def complaint(case, row, wrong, log):
    """What was wrong, each once, with the kinds of extension that it was wrong for."""
    kinds = {}
    for kind, line in wrong:
        kinds.setdefault(line, []).append(kind)
    lines = [f"  {', '.join(of)}: {line}" for line, of in kinds.items()]
    more = [f"  and {len(lines) - LINES_SHOWN} more"] if len(lines) > LINES_SHOWN else []
    return "\n".join([f"{case.name}, {row.column.name}:", *lines[:LINES_SHOWN], *more,
                      *(f"  log: {line[:300]}" for line in log[-3:])])


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_answer_is_the_one_of_the_table(row, case, report):
    front, wrong = row.column.name, []
    kinds = [kind for kind in row.kinds() if kind in case.kinds]
    if not kinds:
        pytest.skip(f"{front} has none of these extensions")
    since = [(program, program.log_position()) for program in row.programs()]
    for kind in kinds:
        known = deviation(front, case.name, kind)
        if known is not None and known.answer is None:
            report.deviates(front, case.name, known.reason, asked=False)
            continue
        found = asking.run(row, kind, case, known.answer if known else case.expect)
        wrong += [(kind, line) for line in found]
        if known:
            report.deviates(front, case.name, known.reason)
        else:
            report.ok(front, case.name)
        if any("nothing more came" in line for line in found):
            break  # the others would be silent for as long
    if wrong:
        report.failed(front, case.name)
        log = [line for program, position in since for line in program.log(position)]
        pytest.fail(complaint(case, row, wrong, log), pytrace=False)
