/*
 * One array of bytes, which doubles when it is full. There is no sharing and there are no slices: a
 * caller that needs a part of a buffer keeps offsets.
 */
#include "base/buffer.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int buffer_reserve(struct buffer *b, size_t more)
{
	size_t capacity = b->capacity > 0 ? b->capacity : 256;
	char *data;

	if (b->capacity - b->size >= more)
		return 0;
	while (capacity - b->size < more) {
		if (capacity > (size_t)-1 / 2)
			return -1;
		capacity *= 2;
	}
	data = realloc(b->data, capacity);
	if (data == NULL)
		return -1;
	b->data = data;
	b->capacity = capacity;
	return 0;
}

int buffer_append(struct buffer *b, const void *data, size_t size)
{
	if (size == 0)
		return 0;
	if (buffer_reserve(b, size) < 0)
		return -1;
	memcpy(b->data + b->size, data, size);
	b->size += size;
	return 0;
}

int buffer_append_string(struct buffer *b, const char *text)
{
	return buffer_append(b, text, strlen(text));
}

int buffer_printf(struct buffer *b, const char *format, ...)
{
	va_list arguments;
	int n;

	va_start(arguments, format);
	n = vsnprintf(NULL, 0, format, arguments);
	va_end(arguments);
	if (n < 0 || buffer_reserve(b, (size_t)n + 1) < 0)
		return -1;
	va_start(arguments, format);
	vsnprintf(b->data + b->size, (size_t)n + 1, format, arguments);
	va_end(arguments);
	b->size += (size_t)n;
	return 0;
}

int buffer_append_html(struct buffer *b, const char *text, size_t size)
{
	for (size_t i = 0; i < size; i++) {
		const char *entity = NULL;

		switch (text[i]) {
		case '&': entity = "&amp;"; break;
		case '<': entity = "&lt;"; break;
		case '>': entity = "&gt;"; break;
		case '"': entity = "&quot;"; break;
		case '\'': entity = "&#39;"; break;
		default: break;
		}
		if ((entity != NULL ? buffer_append_string(b, entity)
				    : buffer_append(b, text + i, 1)) < 0)
			return -1;
	}
	return 0;
}

const char *buffer_string(struct buffer *b)
{
	if (buffer_reserve(b, 1) < 0)
		return NULL;
	b->data[b->size] = '\0';
	return b->data;
}

void buffer_consume(struct buffer *b, size_t n)
{
	b->size -= n;
	if (b->size > 0)
		memmove(b->data, b->data + n, b->size);
}

void buffer_release(struct buffer *b)
{
	free(b->data);
	*b = (struct buffer){0};
}
