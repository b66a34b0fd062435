"""
Lines of the host's log, as Program.log() has them: texts in the order in which they were written.
"""

import datetime
import re


def time_of(line):
    """When a line of the host's log was written, in seconds as time.time() has them."""
    return datetime.datetime.fromisoformat(line.split()[0]).timestamp()


def matching(lines, *patterns):
    """
    The index of the first line that matches, for each of these regular expressions; None for an
    expression that matches no line.
    """
    return [next((i for i, line in enumerate(lines) if re.search(pattern, line)), None)
            for pattern in patterns]


def in_order(lines, *patterns):
    """Whether each pattern matches, and its first line follows the first line of the one before."""
    places = matching(lines, *patterns)
    return None not in places and places == sorted(places)


def request_ids(lines):
    """
    The request ids in these lines, "[3f9c2a7b51d0e846]" or "request 3f9c...", each once, a list.
    """
    found = []
    for line in lines:
        found += re.findall(r"(?:\[|\brequest[ =:]+\"?)([0-9a-fA-F-]{6,})\b", line)
    return list(dict.fromkeys(found))
