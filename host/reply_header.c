/*
 * One pass over the lines. What is refused is told with the line's number and its beginning, since
 * the author of the script reads it.
 */
#include "reply_header.h"

#include "error.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

struct line {
	const char *text;
	size_t size, name_size;
	const char *value;
	size_t value_size;
	int number;
};

size_t reply_header_end(const char *data, size_t size)
{
	const char *at = data;
	const char *end = data + size;

	while (at < end) {
		const char *newline = memchr(at, '\n', (size_t)(end - at));

		if (newline == NULL)
			return 0;
		if (newline == at || (newline == at + 1 && at[0] == '\r'))
			return (size_t)(newline + 1 - data);
		at = newline + 1;
	}
	return 0;
}

/* What a name is made of (RFC 9110, 5.6.2). */
static const bool is_token[256] = {['0' ... '9'] = true,
    ['A' ... 'Z'] = true,
    ['a' ... 'z'] = true,
    ['!'] = true,
    ['#'] = true,
    ['$'] = true,
    ['%'] = true,
    ['&'] = true,
    ['\''] = true,
    ['*'] = true,
    ['+'] = true,
    ['-'] = true,
    ['.'] = true,
    ['^'] = true,
    ['_'] = true,
    ['`'] = true,
    ['|'] = true,
    ['~'] = true};

static int line_error(const struct line *l, const char *what, struct error *e)
{
	char shown[41];
	size_t n = l->size < sizeof(shown) - 1 ? l->size : sizeof(shown) - 1;

	for (size_t i = 0; i < n; i++)
		shown[i] = l->text[i] < 0x20 || l->text[i] == 0x7f ? '?' : l->text[i];
	shown[n] = '\0';
	return error_set(
	    e, "header line %d %s: '%s'%s", l->number, what, shown, l->size > n ? "..." : "");
}

static int line_split(struct line *l, struct error *e)
{
	size_t i = 0;

	if (l->size > REPLY_LINE_MAX)
		return line_error(l, "is longer than 998 bytes", e);
	while (i < l->size && is_token[(unsigned char)l->text[i]])
		i++;
	if (i == 0 || i == l->size || l->text[i] != ':')
		return line_error(l, "is not 'Name: value'", e);
	l->name_size = i;
	l->value = l->text + i + 1;
	l->value_size = l->size - i - 1;
	for (size_t k = 0; k < l->value_size; k++) {
		unsigned char c = (unsigned char)l->value[k];

		if ((c < 0x20 && c != '\t') || c == 0x7f)
			return line_error(l, "has a control character in it", e);
	}
	while (l->value_size > 0 && (*l->value == ' ' || *l->value == '\t')) {
		l->value++;
		l->value_size--;
	}
	return 0;
}

static bool line_is(const struct line *l, const char *name)
{
	return strlen(name) == l->name_size && strncasecmp(l->text, name, l->name_size) == 0;
}

/* "404" or "404 Not Found" */
static int read_status(struct reply_header *h, const struct line *l, struct error *e)
{
	const char *v = l->value;

	if (l->value_size < 3 || v[0] < '1' || v[0] > '5' || v[1] < '0' || v[1] > '9' ||
	    v[2] < '0' || v[2] > '9' || (l->value_size > 3 && v[3] != ' '))
		return line_error(l, "is no status of three digits and a reason", e);
	h->status = (v[0] - '0') * 100 + (v[1] - '0') * 10 + (v[2] - '0');
	return 0;
}

static int read_length(struct reply_header *h, const struct line *l, struct error *e)
{
	if (h->length >= 0)
		return line_error(l, "is a second Content-Length", e);
	h->length = 0;
	for (size_t i = 0; i < l->value_size; i++) {
		if (l->value[i] < '0' || l->value[i] > '9' || i > 17)
			return line_error(l, "is no number of bytes", e);
		h->length = h->length * 10 + (l->value[i] - '0');
	}
	return l->value_size == 0 ? line_error(l, "is no number of bytes", e) : 0;
}

static bool value_is(const struct line *l, const char *value)
{
	size_t size = strlen(value);

	return l->value_size >= size && strncasecmp(l->value, value, size) == 0 &&
	       (l->value_size == size || strchr("; \t", l->value[size]) != NULL);
}

/* Server-sent events, and what nginx takes as a sign. */
static bool asks_to_stream(const struct line *l)
{
	return (line_is(l, "Content-Type") && value_is(l, "text/event-stream")) ||
	       (line_is(l, "X-Accel-Buffering") && value_is(l, "no"));
}

static int append_line(struct buffer *text, const struct line *l, struct error *e)
{
	if (buffer_append(text, l->text, l->size) < 0 || buffer_append(text, "\n", 1) < 0)
		return error_errno(e, "header");
	return 0;
}

static int read_lines(
    struct reply_header *h, const char *data, size_t size, struct line *location, struct error *e)
{
	const char *end = data + size;
	int number = 0;

	while (data < end) {
		const char *newline = memchr(data, '\n', (size_t)(end - data));
		struct line l = {
		    .text = data, .size = (size_t)(newline - data), .number = ++number};

		data = newline + 1;
		if (l.size > 0 && l.text[l.size - 1] == '\r')
			l.size--;
		if (l.size == 0)
			return number > 1 ? 0 : error_set(e, "the header block is empty");
		if (line_split(&l, e) < 0)
			return -1;
		if (line_is(&l, "Status") && read_status(h, &l, e) < 0)
			return -1;
		if (line_is(&l, "Content-Length") && read_length(h, &l, e) < 0)
			return -1;
		h->streams = h->streams || asks_to_stream(&l);
		if (line_is(&l, "Location") && location->text != NULL)
			return line_error(&l, "is a second Location", e);
		if (line_is(&l, "Location"))
			*location = l;
		else if (append_line(&h->text, &l, e) < 0)
			return -1;
	}
	return 0;
}

int reply_header_read(struct reply_header *h, const char *data, size_t size, struct error *e)
{
	struct line location = {0};

	*h = (struct reply_header){.length = -1};
	if (size > REPLY_HEADER_MAX)
		return error_set(e, "the header block is longer than %d bytes", REPLY_HEADER_MAX);
	if (read_lines(h, data, size, &location, e) < 0)
		return -1;
	if (location.text != NULL && append_line(&h->text, &location, e) < 0)
		return -1;
	if (h->status == 0)
		h->status = location.text != NULL ? 302 : 200;
	if (buffer_append(&h->text, "\n", 1) < 0)
		return error_errno(e, "header");
	return 0;
}

void reply_header_release(struct reply_header *h)
{
	buffer_release(&h->text);
}
