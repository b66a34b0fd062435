"""A page as Flask applications have them: a query, a template, a link."""
import os
import sqlite3

import flask

HERE = os.path.dirname(os.path.abspath(__file__))
application = flask.Flask(__name__, root_path=HERE, template_folder=HERE)


def database():
    if "database" not in flask.g:
        flask.g.database = sqlite3.connect(os.path.join(HERE, "page.db"))
        flask.g.database.row_factory = sqlite3.Row
    return flask.g.database


@application.teardown_appcontext
def close(_):
    if "database" in flask.g:
        flask.g.database.close()


@application.route("/<path:path>")
def page(path):
    rows = database().execute(
        "SELECT id, title, author FROM entry WHERE id % 10 = ? ORDER BY title LIMIT 20",
        (len(path) % 10,)).fetchall()
    return flask.render_template("page.html", path=path, rows=rows)
