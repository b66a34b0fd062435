"""
Many servers, stopped whatever happens: each .stop() may find a fault, and the others end all the
same.
"""


def stop_all(servers):
    """
    Call stop() of each of these, the last one first. The AssertionErrors that it raised become one.
    """
    errors = []
    for server in reversed(list(servers)):
        try:
            server.stop()
        except AssertionError as e:
            errors.append(str(e))
    assert not errors, "\n".join(errors)


def factory(make):
    """
    The body of a fixture (`yield from factory(Host)`): a function that takes what make takes, makes
    a server and returns it. All of them are stopped when the test, or the module, ends.
    """
    made = []

    def start(*arguments, **more):
        made.append(make(*arguments, **more))
        return made[-1]
    yield start
    stop_all(made)
