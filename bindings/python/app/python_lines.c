/*
 * Unfinished lines in the log.
 *
 * Standard error of an app worker, and an app's standard output, are the log, line by line. A
 * request may end without finishing its last line. The line would stay in Python's buffer, or in
 * the log's, and become part of what a later request writes. So for each of the two files this
 * tracks whether the last line is finished, and finishes it when the request ends.
 *
 * To do so it sets an attribute `write` on the file object itself, which print, writelines and
 * logging find before the method. It does not see what is written to the descriptor, or by a
 * program that the app started.
 */
#include "app/python_lines.h"
#include "interpreter/python_include.h"

struct watched {
	const char *name; /* its name in the module sys */
	PyMethodDef method;
	PyObject *file;  /* NULL: not tracked */
	PyObject *write; /* its own method write */
	bool open;       /* its last line is unfinished */
};

static PyObject *write_output(PyObject *write, PyObject *text);
static PyObject *write_errors(PyObject *write, PyObject *text);

static struct watched files[] = {
    {.name = "stdout", .method = {"write", write_output, METH_O, NULL}},
    {.name = "stderr", .method = {"write", write_errors, METH_O, NULL}},
};

static int watch(struct watched *watched)
{
	PyObject *file = PySys_GetObject(watched->name);
	PyObject *write = file != NULL ? PyObject_GetAttrString(file, "write") : NULL;
	PyObject *ours = write != NULL ? PyCFunction_New(&watched->method, write) : NULL;
	int result = -1;

	if (ours != NULL && PyObject_SetAttrString(file, "write", ours) == 0) {
		watched->file = Py_NewRef(file);
		watched->write = Py_NewRef(write);
		result = 0;
	}
	Py_XDECREF(write);
	Py_XDECREF(ours);
	return result;
}

int python_lines_start(bool output)
{
	return (!output || watch(&files[0]) == 0) && watch(&files[1]) == 0 ? 0 : -1;
}

static PyObject *write_text(struct watched *watched, PyObject *write, PyObject *text)
{
	PyObject *result = PyObject_CallOneArg(write, text);
	Py_ssize_t size;

	if (result == NULL || !PyUnicode_Check(text))
		return result;
	size = PyUnicode_GET_LENGTH(text);
	if (size > 0)
		watched->open = PyUnicode_READ_CHAR(text, size - 1) != '\n';
	return result;
}

static PyObject *write_output(PyObject *write, PyObject *text)
{
	return write_text(&files[0], write, text);
}

static PyObject *write_errors(PyObject *write, PyObject *text)
{
	return write_text(&files[1], write, text);
}

static void end_line(struct watched *watched)
{
	PyObject *done = PyObject_CallFunction(watched->write, "s", "\n");

	watched->open = false;
	Py_XDECREF(done);
	done = done != NULL ? PyObject_CallMethod(watched->file, "flush", NULL) : NULL;
	Py_XDECREF(done);
	/* Ignored: the file was closed. */
	PyErr_Clear();
}

void python_lines_end(void)
{
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++)
		if (files[i].open)
			end_line(&files[i]);
}
