/*
 * Warming: in a fresh request process every page is shared with the template until it is written,
 * and Python writes to nearly everything it looks at, since each object counts its users. A small
 * run touches some 150 pages; each costs a fault of two to three microseconds. A process that is
 * forked ahead of its request has time for that, so here it does once what a small script does: the
 * steps of a run, on a script of our own, whose objects are all gone afterwards.
 *
 * What it does was chosen by counting the faults that were left in the run of real scripts.
 */
#include "python_internal.h"

#include <marshal.h>

static PyObject *make_globals(void);
static int run_sample(void);

/*
 * The sample prints to a file in memory, so nothing comes out, and imports what is loaded already.
 * The lists of bytes take one block of each of the allocator's sizes, and so touch the page that
 * the next such block will come from.
 */
static const char sample[] =
    "import sys, os, io, html, json, time\n"
    "import urllib.parse\n"
    "from datetime import datetime\n"
    "class Sample:\n"
    "    'sample'\n"
    "    kind = 'none'\n"
    "    def __init__(self, name, *rest, **more):\n"
    "        self.name = name\n"
    "        self.more = more\n"
    "    def line(self):\n"
    "        return f'{self.name:>8}: {self.kind!r}'\n"
    "def fail(value):\n"
    "    raise ValueError('no %s' % value)\n"
    "def main():\n"
    "    out = io.TextIOWrapper(io.BufferedWriter(io.BytesIO()), encoding='utf-8')\n"
    "    print('Content-Type: text/html; charset=utf-8\\r\\n\\r', file=out)\n"
    "    query = urllib.parse.parse_qs(os.environ.get('QUERY_STRING', '') + '&a=1&b=2+3')\n"
    "    rows = [Sample(name, 1, size=len(text)) for name, text in sorted(os.environ.items())]\n"
    "    for row in rows:\n"
    "        print('<li>', html.escape(row.line()), 12, 3.5, file=out)\n"
    "    out.write(json.dumps({'q': query, 'n': [1, 2.5, None, True], 't': 'text'}))\n"
    "    json.loads('{\"a\": [1, 2, {\"b\": \"c\"}], \"d\": 1.5}')\n"
    "    try:\n"
    "        fail(rows[0].name)\n"
    "    except ValueError as error:\n"
    "        str(error)\n"
    "    str(datetime.now())\n"
    "    ','.join(str(n) for n in range(300, 400)).split(',')\n"
    "    out.flush()\n"
    "    sys.stdout.write('')\n"
    "    sys.stdout.flush()\n"
    "    return {n: bytes(n) for n in range(0, 2048, 16)}, {i for i in range(300)}\n"
    "if __name__ == '__main__':\n"
    "    main()\n";

/* As few as Fossil sets; their text is as long. */
static char *const environment[] = {"REQUEST_METHOD=GET", "QUERY_STRING=name=value&other=1%202",
    "SCRIPT_NAME=/repository/ext/sample", "PATH_INFO=", "SERVER_SOFTWARE=fossil version 2.28",
    "HTTP_HOST=localhost:8080", "HTTP_USER_AGENT=Mozilla/5.0 (X11; Linux x86_64)",
    "HTTP_ACCEPT=text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
    "HTTP_ACCEPT_ENCODING=gzip, deflate", "REMOTE_ADDR=127.0.0.1", "REMOTE_PORT=50000",
    "GATEWAY_INTERFACE=CGI/1.1", "FOSSIL_USER=nobody", "FOSSIL_CAPABILITIES=gjorz",
    "FOSSIL_NONCE=0123456789abcdef0123456789abcdef0123456789abcdef", "PATH=/usr/bin:/bin", NULL};

static PyObject *marshalled;

int python_warm_start(void)
{
	PyObject *code = Py_CompileString(sample, "<warm>", Py_file_input);

	if (code == NULL)
		return -1;
	marshalled = PyMarshal_WriteObjectToString(code, Py_MARSHAL_VERSION);
	Py_DECREF(code);
	return marshalled != NULL ? 0 : -1;
}

void python_warm(void)
{
	if (run_sample() == -1)
		python_error_clear();
	python_end_flush_quietly();
	python_end_warm();
	python_error_assert_none();
}

static int run_sample(void)
{
	PyObject *globals = make_globals();
	PyObject *code = NULL, *result = NULL;

	if (globals != NULL && python_run_take_environment(environment) == 0)
		code = PyMarshal_ReadObjectFromString(
		    PyBytes_AS_STRING(marshalled), PyBytes_GET_SIZE(marshalled));
	if (code != NULL)
		result = PyEval_EvalCode(code, globals, globals);
	Py_XDECREF(code);
	Py_XDECREF(globals);
	Py_XDECREF(result);
	return result != NULL ? 0 : -1;
}

/* Like __main__'s, in a module that is in no list. */
static PyObject *make_globals(void)
{
	PyObject *builtins = PyImport_ImportModule("builtins");
	PyObject *globals = Py_BuildValue(
	    "{sssOsO}", "__name__", "__main__", "__builtins__", builtins, "__doc__", Py_None);

	Py_XDECREF(builtins);
	return globals;
}
