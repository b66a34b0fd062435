/* Bytes that grow. Empty is {0}. */
#ifndef EXTHOST_BUFFER_H
#define EXTHOST_BUFFER_H

#include <stddef.h>

struct buffer {
	char *data; /* NULL while nothing was ever put in */
	size_t size;
	size_t capacity;
};

/* Make room for `more` bytes behind the data. 0, or -1 when memory is out (nothing changed). */
int buffer_reserve(struct buffer *b, size_t more);

/* Put bytes behind the data. 0 or -1 as above. */
int buffer_append(struct buffer *b, const void *data, size_t size);

/* The same for a string, without its NUL. */
int buffer_append_string(struct buffer *b, const char *text);

/* The same, formatted. */
int buffer_printf(struct buffer *b, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Put text behind the data with & < > " ' written as HTML entities. */
int buffer_append_html(struct buffer *b, const char *text, size_t size);

/* Put a NUL behind the data, not counted in size, and return the data as a string; NULL: no memory. */
const char *buffer_string(struct buffer *b);

/* Forget the first n bytes. */
void buffer_consume(struct buffer *b, size_t n);

/* Free the memory; the buffer is empty again. */
void buffer_release(struct buffer *b);

#endif
