/* The header block of a response, checked and written down. */
#ifndef EXTHOST_PYTHON_WSGI_HEADER_H
#define EXTHOST_PYTHON_WSGI_HEADER_H

#include "interpreter/python_include.h"

#include <stdbool.h>
#include <stdint.h>

#include "host/base/buffer.h"

struct wsgi_header {
	struct buffer text; /* "Status: 200 OK\r\nName: value\r\n"; empty: not set yet */
	bool bodyless;      /* the status allows no body: 204, 304 */
	bool has_length;    /* there is a Content-Length */
	uint64_t length;    /* its value */
};

/*
 * Check the status and the headers that start_response was given, and write them down in place of
 * earlier ones. Returns 0 or -1; after -1 the header is empty.
 */
int wsgi_header_set(struct wsgi_header *header, PyObject *status, PyObject *headers);

/* Add a Content-Length. Returns 0 or -1. */
int wsgi_header_add_length(struct wsgi_header *header, uint64_t length);

#endif
