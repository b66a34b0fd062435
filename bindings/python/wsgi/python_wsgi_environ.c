/*
 * The environ of a WSGI request.
 *
 * Most of it is the same as in the request before: the server's name, its software, the headers
 * that every browser sends, in the same order. So the last environ is kept, as a dict that no app
 * ever sees. The variables of a new request are compared with it one by one, only those with
 * another value become new strings, and the app gets a copy of the dict. With other variables than
 * last time, or in another order, the dict is made again; strings for the names are kept, up to a
 * limit, since clients choose them.
 *
 * Strings are PEP 3333's "native strings": each byte a character of ISO 8859-1. Of two variables
 * with one name the first counts, as in a CGI program's environment. HTTP_CONTENT_TYPE and
 * HTTP_CONTENT_LENGTH, which nginx sends beside those without HTTP_, do not belong in an environ.
 */
#include "wsgi/python_wsgi_environ.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "host/binding.h"
#include "wsgi/python_wsgi_file.h"

static int update(char *const *environment);
static int replace(size_t i, const char *text);
static int rebuild(char *const *environment);
static int add(const char *variable);
static int complete(void);
static PyObject *get_name(const char *name, size_t length);
static bool is_https(void);

enum { SLOTS = 256, NAMES_MOST = 192 };

/* Variables that PEP 3333 requires, for a server that did not send them. */
static const char *const defaults[][2] = {{"REQUEST_METHOD", "GET"}, {"SCRIPT_NAME", ""},
    {"PATH_INFO", ""}, {"QUERY_STRING", ""}, {"CONTENT_TYPE", ""}, {"CONTENT_LENGTH", ""},
    {"SERVER_NAME", "localhost"}, {"SERVER_PORT", "80"}, {"SERVER_PROTOCOL", "HTTP/1.0"}};

enum { DEFAULTS = sizeof(defaults) / sizeof(defaults[0]) };

struct variable {
	PyObject *name;  /* str with one byte a character */
	PyObject *value; /* str with one byte a character */
	bool kept;       /* the dict has this value, not an earlier variable's */
};

static struct {
	PyObject *base; /* dict: what all requests share */
	PyObject *last; /* dict: the last environ without its wsgi.input; NULL: none yet */
	struct variable *variables; /* the variables of the last request, in its order */
	size_t count, capacity;
	bool changed;           /* the method or the scheme of last is out of date */
	bool head;              /* the method of last is HEAD */
	PyObject *names[SLOTS]; /* a hash table of names, as str */
	size_t names_count;     /* names in the table, at most NAMES_MOST */
	PyObject *defaults[DEFAULTS][2];
	PyObject *input, *scheme, *http, *https;
	PyObject *method, *https_name, *scheme_name;
} shared;

static PyObject *text_new(const char *text, size_t length)
{
	return PyUnicode_DecodeLatin1(text, (Py_ssize_t)length, NULL);
}

static const char *text_of(PyObject *text)
{
	return (const char *)PyUnicode_1BYTE_DATA(text);
}

int wsgi_environ_start(void)
{
	PyObject *errors = PySys_GetObject("stderr");

	for (size_t i = 0; i < DEFAULTS; i++) {
		shared.defaults[i][0] = get_name(defaults[i][0], strlen(defaults[i][0]));
		shared.defaults[i][1] = PyUnicode_InternFromString(defaults[i][1]);
		if (shared.defaults[i][0] == NULL || shared.defaults[i][1] == NULL)
			return -1;
	}
	shared.input = PyUnicode_InternFromString("wsgi.input");
	shared.scheme = PyUnicode_InternFromString("wsgi.url_scheme");
	shared.http = PyUnicode_InternFromString("http");
	shared.https = PyUnicode_InternFromString("https");
	shared.method = get_name("REQUEST_METHOD", 14);
	shared.https_name = get_name("HTTPS", 5);
	shared.scheme_name = get_name("REQUEST_SCHEME", 14);
	if (PyErr_Occurred())
		return -1;
	/* wsgi.input_terminated: reading on comes to an end (werkzeug asks for this). */
	shared.base = Py_BuildValue("{s(ii)sOsOsOsOsOsOsOsO}", "wsgi.version", 1, 0,
	    "wsgi.url_scheme", shared.http, "wsgi.input", Py_None, "wsgi.errors",
	    errors != NULL ? errors : Py_None, "wsgi.multithread", Py_False, "wsgi.multiprocess",
	    Py_True, "wsgi.run_once", Py_False, "wsgi.file_wrapper", wsgi_file_wrapper(),
	    "wsgi.input_terminated", Py_True);
	return shared.base != NULL ? 0 : -1;
}

PyObject *wsgi_environ_make(const struct binding_call *call, PyObject *input, bool *head)
{
	int same = shared.last != NULL ? update(call->environment) : 0;
	PyObject *environ;

	if (same == -1 || (same == 0 && rebuild(call->environment) == -1) ||
	    (shared.changed && complete() == -1)) {
		Py_CLEAR(shared.last);
		return NULL;
	}
	*head = shared.head;
	environ = PyDict_Copy(shared.last);
	if (environ == NULL)
		return NULL;
	if (PyDict_SetItem(environ, shared.input, input) == -1)
		Py_CLEAR(environ);
	return environ;
}

/* Returns 1 if last is this request's environ now; 0 if the request has other variables. */
static int update(char *const *environment)
{
	for (size_t i = 0; i < shared.count; i++) {
		const struct variable *variable = &shared.variables[i];
		size_t length = (size_t)PyUnicode_GET_LENGTH(variable->name);
		const char *text = environment[i];

		if (text == NULL || strncmp(text, text_of(variable->name), length) != 0 ||
		    text[length] != '=')
			return 0;
		text += length + 1;
		if (strcmp(text, text_of(variable->value)) != 0 && replace(i, text) == -1)
			return -1;
	}
	return environment[shared.count] == NULL;
}

static int replace(size_t i, const char *text)
{
	struct variable *variable = &shared.variables[i];
	PyObject *value = text_new(text, strlen(text));

	if (value == NULL)
		return -1;
	Py_SETREF(variable->value, value);
	if (!variable->kept)
		return 0;
	shared.changed = true;
	return PyDict_SetItem(shared.last, variable->name, value);
}

static int rebuild(char *const *environment)
{
	for (size_t i = 0; i < shared.count; i++) {
		Py_DECREF(shared.variables[i].name);
		Py_DECREF(shared.variables[i].value);
	}
	shared.count = 0;
	shared.changed = true;
	Py_XSETREF(shared.last, PyDict_Copy(shared.base));
	if (shared.last == NULL)
		return -1;
	for (; *environment != NULL; environment++)
		if (add(*environment) == -1)
			return -1;
	for (size_t i = 0; i < DEFAULTS; i++)
		if (PyDict_SetDefault(shared.last, shared.defaults[i][0], shared.defaults[i][1]) ==
		    NULL)
			return -1;
	return 0;
}

static int add(const char *variable)
{
	size_t length = strcspn(variable, "=");
	const char *value = variable[length] != '\0' ? variable + length + 1 : "";
	struct variable *place;
	PyObject *kept;

	if (shared.count == shared.capacity) {
		size_t capacity = shared.capacity != 0 ? 2 * shared.capacity : 64;

		place = realloc(shared.variables, capacity * sizeof(*place));
		if (place == NULL) {
			PyErr_NoMemory();
			return -1;
		}
		shared.variables = place;
		shared.capacity = capacity;
	}
	place = &shared.variables[shared.count];
	place->name = get_name(variable, length);
	place->value = text_new(value, strlen(value));
	if (place->name == NULL || place->value == NULL) {
		Py_XDECREF(place->name);
		Py_XDECREF(place->value);
		return -1;
	}
	shared.count++;
	place->kept = false;
	if (strcmp(text_of(place->name), "HTTP_CONTENT_TYPE") == 0 ||
	    strcmp(text_of(place->name), "HTTP_CONTENT_LENGTH") == 0)
		return 0;
	kept = PyDict_SetDefault(shared.last, place->name, place->value);
	place->kept = kept == place->value;
	return kept != NULL ? 0 : -1;
}

/* Set what follows from the variables. */
static int complete(void)
{
	PyObject *method = PyDict_GetItemWithError(shared.last, shared.method);

	shared.head = method != NULL && strcmp(text_of(method), "HEAD") == 0;
	shared.changed = false;
	return PyDict_SetItem(shared.last, shared.scheme, is_https() ? shared.https : shared.http);
}

static bool is_https(void)
{
	PyObject *https = PyDict_GetItemWithError(shared.last, shared.https_name);
	PyObject *scheme = PyDict_GetItemWithError(shared.last, shared.scheme_name);

	if (https != NULL &&
	    (strcasecmp(text_of(https), "on") == 0 || strcasecmp(text_of(https), "yes") == 0 ||
		strcmp(text_of(https), "1") == 0))
		return true;
	return scheme != NULL && strcasecmp(text_of(scheme), "https") == 0;
}

/*
 * A new reference to a name's string. It is interned, so that it compares fast with a name in an
 * app's code.
 */
static PyObject *get_name(const char *name, size_t length)
{
	uint32_t hash = 2166136261U;
	PyObject **slot, *text;

	for (size_t i = 0; i < length; i++)
		hash = (hash ^ (unsigned char)name[i]) * 16777619U;
	for (slot = &shared.names[hash % SLOTS]; *slot != NULL;
	     slot = &shared.names[++hash % SLOTS])
		if ((size_t)PyUnicode_GET_LENGTH(*slot) == length &&
		    memcmp(text_of(*slot), name, length) == 0)
			return Py_NewRef(*slot);
	text = text_new(name, length);
	if (text == NULL || shared.names_count == NAMES_MOST)
		return text;
	PyUnicode_InternInPlace(&text);
	shared.names_count++;
	*slot = Py_NewRef(text);
	return text;
}
