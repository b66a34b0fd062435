/*
 * Warming: writing ahead to the memory that a run will write.
 *
 * In a fresh request process every page is shared with the template until it is written, and Python
 * writes to nearly every object that it looks at, to count references. Even a script that only
 * prints causes some 90 page faults of two to three microseconds each. A spare, which is forked
 * ahead of its request, has time for them. So it does here once what every script does: the steps
 * of a run, with a sample script, whose objects are all gone afterwards.
 *
 * The sample is small on purpose. Printing and reading the environment cost about what they save,
 * so they take nothing from a busy host. Parsing a query, JSON and the like would cost two to four
 * times what an average script saves. Writing to the pages in one go (MADV_POPULATE_WRITE, with a
 * list from a trial run) was tried and was no faster: the cost is in the copying, not in the
 * faults.
 */
#include "cgi/python_warm.h"
#include "interpreter/python_include.h"

#include <marshal.h>
#include <unistd.h>

#include "cgi/python_run.h"
#include "interpreter/python_collect.h"
#include "interpreter/python_error.h"
#include "interpreter/python_flush.h"

static int run_sample(void);

/* Prints to a file in memory, so nothing comes out, and imports only modules that are loaded. */
static const char sample[] = "import os, io, sys\n"
			     "def main(name):\n"
			     "    out = io.StringIO()\n"
			     "    print('Content-Type: text/html', file=out)\n"
			     "    text = os.environ.get(name, '')\n"
			     "    try:\n"
			     "        raise ValueError('no %s' % text)\n"
			     "    except ValueError as error:\n"
			     "        print(f'<h1>{error}</h1>', len(text), file=out)\n"
			     "    sys.stdout.write('')\n"
			     "    return out.getvalue()\n"
			     "if __name__ == '__main__':\n"
			     "    main('QUERY_STRING')\n";

/* Some of the variables that Fossil sets. */
static const char *const environment[] = {"REQUEST_METHOD=GET",
    "QUERY_STRING=name=value&other=1%202", "SCRIPT_NAME=/repository/ext/sample",
    "PATH_INFO=", "SERVER_SOFTWARE=fossil version 2.28", "HTTP_HOST=localhost:8080",
    "HTTP_USER_AGENT=Mozilla/5.0 (X11; Linux x86_64)",
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
	python_flush_standard();
	/* The sample is garbage now; the end of a run looks at all that is not frozen. */
	python_collect_put_aside();
	python_flush_writers();
	python_error_assert_none();
}

static int run_sample(void)
{
	PyObject *module = python_run_rehearse(environment);
	PyObject *globals, *code, *result = NULL;

	if (module == NULL)
		return -1;
	globals = PyModule_GetDict(module);
	code = PyMarshal_ReadObjectFromString(
	    PyBytes_AS_STRING(marshalled), PyBytes_GET_SIZE(marshalled));
	if (code != NULL)
		result = PyEval_EvalCode(code, globals, globals);
	Py_XDECREF(code);
	Py_DECREF(module);
	Py_XDECREF(result);
	return result != NULL ? 0 : -1;
}
