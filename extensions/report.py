#!/usr/bin/exthost-cgi python
"""Check-ins per month, read from the Fossil repository: a bar chart (SVG) and a table.

The repository is opened read-only, and only for users who may read it: Fossil runs an extension for
everybody, so each must ask FOSSIL_CAPABILITIES itself.
"""

import html
import os
import sqlite3
import sys
import urllib.parse

MONTHS_SHOWN = 24  # at most, and
MONTHS_LEAST = 12  # at least, so that one busy month is no lonely block
NAMES = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split()

# event.mtime is a Julian day, in UTC.
QUERY = """
    SELECT strftime('%Y-%m', mtime) AS month, count(*), count(DISTINCT coalesce(euser, user))
      FROM event WHERE type = 'ci' GROUP BY month ORDER BY month
"""

# The chart, in its own units: where the bars stand and how high they can be.
WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 720, 260, 44, 712, 14, 214


def main():
    try:
        months = read_months()
    except Refused as refused:
        reply("Check-ins (Python)", f"<p>{html.escape(str(refused))}</p>\n", refused.status)
    else:
        reply("Check-ins (Python)", report(months))


class Refused(Exception):
    """The request cannot be answered: a status line, and a sentence that says why."""

    def __init__(self, status, sentence):
        super().__init__(sentence)
        self.status = status


def read_months():
    """{"2024-03": (check-ins, people)}, only of months with check-ins, the oldest first."""
    repository = os.environ.get("FOSSIL_REPOSITORY", "")
    if not repository:
        raise Refused("404 Not Found", "There is no repository here: this page needs Fossil.")
    if "o" not in os.environ.get("FOSSIL_CAPABILITIES", ""):
        raise Refused("403 Forbidden",
                      "This page is for users who may read the check-ins (capability “o”).")
    try:
        database = sqlite3.connect(f"file:{urllib.parse.quote(repository)}?mode=ro", uri=True)
        # A large repository is sorted in memory: there may be no directory for temporary files.
        database.execute("PRAGMA temp_store = MEMORY")
        return {month: (checkins, people) for month, checkins, people in database.execute(QUERY)}
    except sqlite3.Error as error:
        raise Refused("503 Service Unavailable",
                      f"The repository cannot be read now: {error}.") from None


def report(months):
    if not months:
        return "<p>There are no check-ins yet.</p>\n"
    shown = months_to_show(list(months))
    counts = [months.get(month, (0, 0))[0] for month in shown]
    total = sum(checkins for checkins, _ in months.values())
    return (f"<p>Check-ins since {min(months)}: {total}.</p>\n"
            f'<div class="wide">\n{chart(shown, counts)}</div>\n{table(months, shown)}')


def months_to_show(months):
    """The months up to the last with a check-in, none left out, as "2024-03"."""
    last = month_number(months[-1])
    first = max(month_number(months[0]), last - MONTHS_SHOWN + 1)
    first = min(first, last - MONTHS_LEAST + 1)
    return [f"{number // 12:04}-{number % 12 + 1:02}" for number in range(first, last + 1)]


def month_number(month):
    year, number = month.split("-")
    return int(year) * 12 + int(number) - 1


def chart(months, counts):
    tick = tick_distance(max(counts))
    top = -(-max(counts) // tick) * tick
    step = (RIGHT - LEFT) / len(months)
    busiest = months[counts.index(max(counts))]
    svg = [f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-labelledby="chart-title '
           'chart-text" font-size="12" fill="currentColor">',
           '<title id="chart-title">Check-ins per month</title>',
           f'<desc id="chart-text">From {months[0]} to {months[-1]}: {sum(counts)}, '
           f"the most in {busiest}: {max(counts)}.</desc>"]
    for value in range(0, top + 1, tick):
        y = BOTTOM - value * (BOTTOM - TOP) / top
        svg += [f'<line x1="{LEFT}" y1="{y:.1f}" x2="{RIGHT}" y2="{y:.1f}" '
                'stroke="currentColor" stroke-opacity=".2"/>',
                f'<text x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{value}</text>']
    for index, (month, count) in enumerate(zip(months, counts)):
        svg += bar(month, count, LEFT + index * step, step, count * (BOTTOM - TOP) / top)
        # The first month tells its year too, where there is room before January's.
        if month.endswith("-01") or index == 0 and not months[1].endswith("-01"):
            svg += [f'<text x="{LEFT + (index + .5) * step:.1f}" y="{BOTTOM + 36}" '
                    f'text-anchor="middle" font-weight="bold">{month[:4]}</text>']
    return "\n".join(svg + ["</svg>\n"])


def bar(month, count, x, step, height):
    name = NAMES[int(month[5:]) - 1]
    return [f'<rect x="{x + step * .15:.1f}" y="{BOTTOM - height:.1f}" width="{step * .7:.1f}" '
            f'height="{height:.1f}" fill-opacity=".6"><title>{month}: {count}</title></rect>',
            f'<text x="{x + step * .5:.1f}" y="{BOTTOM + 18}" text-anchor="middle">{name}</text>']


def tick_distance(largest):
    """1, 2, 5, 10, 20, 50 ...: the first by which no more than five steps reach the largest."""
    distance = 1
    while True:
        for factor in (1, 2, 5):
            if largest <= 5 * factor * distance:
                return factor * distance
        distance *= 10


def table(months, shown):
    timeline = html.escape(os.environ.get("FOSSIL_URI", "") + "/timeline")
    rows = [f'<tr><th scope="row"><a href="{timeline}?y=ci&amp;ym={month}">{month}</a></th>'
            f'<td class="number">{months[month][0]}</td>'
            f'<td class="number">{months[month][1]}</td></tr>'
            for month in reversed(shown) if month in months]
    return "\n".join(["<h2>In numbers</h2>\n<table>\n<thead><tr><th>Month</th>"
                      '<th class="number">Check-ins</th><th class="number">People</th></tr>'
                      "</thead>\n<tbody>", *rows, "</tbody>\n</table>\n"])


def reply(title, body, status="200 OK"):
    """Print the page: for Fossil's skin, or a whole document where no Fossil is in front."""
    folder = html.escape(os.environ.get("SCRIPT_NAME", "").rpartition("/")[0])
    style = f'<link rel="stylesheet" href="{folder}/style.css">'
    if "FOSSIL_NONCE" in os.environ:
        page = (f"<div class='fossil-doc' data-title='{title}'>\n{style}\n"
                f'<div class="sample">\n{body}</div>\n</div>\n')
    else:
        page = (f'<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
                f'<meta name="viewport" content="width=device-width, initial-scale=1">\n'
                f'<title>{title}</title>\n{style}\n</head>\n<body class="plain">\n'
                f'<h1>{title}</h1>\n<div class="sample">\n{body}</div>\n</body>\n</html>\n')
    header = f"Status: {status}\nContent-Type: text/html; charset=utf-8\n\n"
    sys.stdout.buffer.write((header + page).encode("utf-8", "replace"))


main()
