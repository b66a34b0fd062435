/*
 * The header block of a response: the arguments of start_response, checked and written down.
 *
 * This happens at once when the app calls start_response, so that a mistake raises an exception
 * where it was made, and later changes to the list have no effect. What PEP 3333 forbids is
 * refused: control characters, text outside of ISO 8859-1, headers of the connection
 * ("hop-by-hop"), and names that are no token (RFC 9110). A header named Status is refused too,
 * since CGI uses it for the status itself.
 */
#include "wsgi/python_wsgi_header.h"

#include <string.h>
#include <strings.h>

struct text {
	const char *bytes;
	size_t size;
};

static int add_status(struct wsgi_header *header, PyObject *status);
static int add_header(struct wsgi_header *header, PyObject *pair);
static int check_name(const struct text *name);
static int set_length(struct wsgi_header *header, const struct text *value);
static int get_text(PyObject *object, const char *what, struct text *text);
static bool has_control(const struct text *text);
static int add_line(struct wsgi_header *header, const struct text *name, const struct text *value);
static int fail_no_memory(void);

int wsgi_header_set(struct wsgi_header *header, PyObject *status, PyObject *headers)
{
	header->text.size = 0;
	header->bodyless = header->has_length = false;
	if (!PyList_Check(headers)) {
		PyErr_Format(PyExc_TypeError, "start_response: the headers must be a list, not %s",
		    Py_TYPE(headers)->tp_name);
		return -1;
	}
	if (add_status(header, status) == -1)
		return -1;
	for (Py_ssize_t i = 0; i < PyList_GET_SIZE(headers); i++)
		if (add_header(header, PyList_GET_ITEM(headers, i)) == -1) {
			header->text.size = 0;
			return -1;
		}
	return 0;
}

static int add_status(struct wsgi_header *header, PyObject *status)
{
	static const struct text name = {"Status", 6};
	struct text text;

	if (get_text(status, "the status", &text) == -1)
		return -1;
	/* The host adds the standard reason phrase if there is none, as for any script. */
	if (text.size < 3 || strspn(text.bytes, "0123456789") != 3 || text.bytes[0] == '0' ||
	    text.bytes[0] > '5' || (text.size > 3 && text.bytes[3] != ' ') || has_control(&text)) {
		PyErr_Format(PyExc_ValueError,
		    "start_response: the status must be like '200 OK', not %R", status);
		return -1;
	}
	if (text.bytes[0] == '1') {
		PyErr_Format(PyExc_ValueError,
		    "start_response: %R is an interim status, not a final one", status);
		return -1;
	}
	header->bodyless = strncmp(text.bytes, "204", 3) == 0 || strncmp(text.bytes, "304", 3) == 0;
	return add_line(header, &name, &text);
}

static int add_header(struct wsgi_header *header, PyObject *pair)
{
	struct text name, value;

	if (!PyTuple_Check(pair) || PyTuple_GET_SIZE(pair) != 2) {
		PyErr_Format(PyExc_TypeError,
		    "start_response: a header must be a tuple (name, value), not %R", pair);
		return -1;
	}
	if (get_text(PyTuple_GET_ITEM(pair, 0), "a header's name", &name) == -1 ||
	    get_text(PyTuple_GET_ITEM(pair, 1), "a header's value", &value) == -1)
		return -1;
	if (check_name(&name) == -1)
		return -1;
	if (has_control(&value)) {
		PyErr_Format(
		    PyExc_ValueError, "start_response: a control character in the header %R", pair);
		return -1;
	}
	if (name.size == 14 && strcasecmp(name.bytes, "Content-Length") == 0 &&
	    set_length(header, &value) == -1)
		return -1;
	return add_line(header, &name, &value);
}

/* Not by strspn(3), which builds a table of its set in each call. */
static bool is_token(const struct text *name)
{
	static const char marks[] = "!#$%&'*+-.^_`|~0123456789";

	for (size_t i = 0; i < name->size; i++) {
		unsigned char c = (unsigned char)name->bytes[i];

		if ((unsigned)((c | 0x20) - 'a') > 'z' - 'a' && c != '-' &&
		    (c == 0 || strchr(marks, c) == NULL))
			return false;
	}
	return true;
}

static int check_name(const struct text *name)
{
	static const char *const refused[] = {"connection", "keep-alive", "proxy-authenticate",
	    "proxy-authorization", "proxy-connection", "te", "trailer", "trailers",
	    "transfer-encoding", "upgrade", "status", NULL};

	if (name->size == 0 || !is_token(name)) {
		PyErr_Format(PyExc_ValueError, "start_response: not a valid header name: '%.100s'",
		    name->bytes);
		return -1;
	}
	for (size_t i = 0; refused[i] != NULL; i++)
		if ((name->bytes[0] | 0x20) == refused[i][0] &&
		    strcasecmp(name->bytes, refused[i]) == 0) {
			PyErr_Format(PyExc_ValueError,
			    "start_response: an app must not set the header %s", name->bytes);
			return -1;
		}
	return 0;
}

static int set_length(struct wsgi_header *header, const struct text *value)
{
	uint64_t length = 0;

	/* 18 digits fit into the number, and no body has more bytes. */
	if (value->size == 0 || value->size > 18 ||
	    strspn(value->bytes, "0123456789") != value->size) {
		PyErr_Format(PyExc_ValueError,
		    "start_response: Content-Length is not a number: '%.100s'", value->bytes);
		return -1;
	}
	for (size_t i = 0; i < value->size; i++)
		length = 10 * length + (uint64_t)(value->bytes[i] - '0');
	if (header->has_length && header->length != length) {
		PyErr_SetString(
		    PyExc_ValueError, "start_response: two Content-Lengths that differ");
		return -1;
	}
	header->has_length = true;
	header->length = length;
	return 0;
}

/* A str with one byte a character holds exactly its ISO 8859-1 bytes, and a NUL. */
static int get_text(PyObject *object, const char *what, struct text *text)
{
	if (!PyUnicode_Check(object)) {
		PyErr_Format(PyExc_TypeError, "start_response: %s must be a str, not %s", what,
		    Py_TYPE(object)->tp_name);
		return -1;
	}
#if PY_VERSION_HEX < 0x030c0000
	if (PyUnicode_READY(object) == -1)
		return -1;
#endif
	if (PyUnicode_KIND(object) != PyUnicode_1BYTE_KIND) {
		PyErr_Format(PyExc_ValueError,
		    "start_response: %s must be ISO 8859-1 (as PEP 3333 has it), not %R", what,
		    object);
		return -1;
	}
	text->bytes = (const char *)PyUnicode_1BYTE_DATA(object);
	text->size = (size_t)PyUnicode_GET_LENGTH(object);
	return 0;
}

static bool has_control(const struct text *text)
{
	bool found = false;

	for (size_t i = 0; i < text->size; i++) {
		unsigned char c = (unsigned char)text->bytes[i];

		found |= c < 0x20 || c == 0x7f;
	}
	return found;
}

static int add_line(struct wsgi_header *header, const struct text *name, const struct text *value)
{
	char *to;

	if (buffer_reserve(&header->text, name->size + value->size + 4) == -1)
		return fail_no_memory();
	to = header->text.data + header->text.size;
	to = mempcpy(to, name->bytes, name->size);
	to = mempcpy(to, ": ", 2);
	to = mempcpy(to, value->bytes, value->size);
	mempcpy(to, "\r\n", 2);
	header->text.size += name->size + value->size + 4;
	return 0;
}

/*
 * Not by printf(3), which would take longer than the rest of the block: most responses need this.
 */
int wsgi_header_add_length(struct wsgi_header *header, uint64_t length)
{
	static const struct text name = {"Content-Length", 14};
	char digits[24];
	char *at = digits + sizeof(digits);
	struct text value;

	header->has_length = true;
	header->length = length;
	do
		*--at = (char)('0' + length % 10);
	while ((length /= 10) > 0);
	value = (struct text){at, (size_t)(digits + sizeof(digits) - at)};
	return add_line(header, &name, &value);
}

static int fail_no_memory(void)
{
	PyErr_NoMemory();
	return -1;
}
