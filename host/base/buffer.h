/* A growable array of bytes. {0} is an empty buffer. */
#ifndef EXTHOST_BUFFER_H
#define EXTHOST_BUFFER_H

#include <stddef.h>

struct buffer {
	char *data; /* NULL until the first byte is appended */
	size_t size;
	size_t capacity;
};

/*
 * Make room for `more` bytes after the data. 0, or -1 if memory is out; the buffer is then
 * unchanged.
 */
int buffer_reserve(struct buffer *b, size_t more);

/* Append bytes. 0 or -1, as buffer_reserve. */
int buffer_append(struct buffer *b, const void *data, size_t size);

/* Append a string without its NUL. 0 or -1, as buffer_reserve. */
int buffer_append_string(struct buffer *b, const char *text);

/* Append formatted text, as printf(3). 0 or -1, as buffer_reserve. */
int buffer_printf(struct buffer *b, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Append text with & < > " ' written as HTML entities. 0, or -1 if memory is out. */
int buffer_append_html(struct buffer *b, const char *text, size_t size);

/* Return the data as a string: a NUL follows it that size does not count. NULL: no memory. */
const char *buffer_string(struct buffer *b);

/* Remove the first n bytes. */
void buffer_consume(struct buffer *b, size_t n);

/* Free the memory; the buffer is empty again. */
void buffer_release(struct buffer *b);

#endif
