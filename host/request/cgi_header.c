/*
 * One pass over the lines. The message of a refusal has the line's number and its beginning, for
 * the author of the script.
 */
#include "request/cgi_header.h"

#include "base/error.h"

#include <stdio.h>
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

size_t cgi_header_end(const char *data, size_t size)
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

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

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

static int line_split(struct line *l, enum cgi_header_peer peer, struct error *e)
{
	size_t most = peer == REPLY_FOR_FOSSIL ? CGI_HEADER_LINE_MAX_FOSSIL : CGI_HEADER_LINE_MAX;
	size_t i = 0;

	if (l->size > most)
		return line_error(l,
		    peer == REPLY_FOR_FOSSIL ? "is longer than 998 bytes, Fossil's limit"
					     : "is longer than 8192 bytes",
		    e);
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
	while (l->value_size > 0 && is_blank(*l->value)) {
		l->value++;
		l->value_size--;
	}
	while (l->value_size > 0 && is_blank(l->value[l->value_size - 1]))
		l->value_size--;
	return 0;
}

static bool line_is(const struct line *l, const char *name)
{
	return strlen(name) == l->name_size && strncasecmp(l->text, name, l->name_size) == 0;
}

/* "404" or "404 Not Found" */
static int read_status(struct cgi_header *h, const struct line *l, struct error *e)
{
	const char *v = l->value;

	if (h->status != 0)
		return line_error(l, "is a second Status", e);
	if (l->value_size < 3 || v[0] < '1' || v[0] > '5' || v[1] < '0' || v[1] > '9' ||
	    v[2] < '0' || v[2] > '9' || (l->value_size > 3 && v[3] != ' '))
		return line_error(l, "is no status of three digits and a reason", e);
	if (v[0] == '1')
		return line_error(l, "is an interim status, and no reply", e);
	h->status = (v[0] - '0') * 100 + (v[1] - '0') * 10 + (v[2] - '0');
	return 0;
}

static int read_length(struct cgi_header *h, const struct line *l, struct error *e)
{
	int64_t length = 0;

	for (size_t i = 0; i < l->value_size; i++) {
		if (l->value[i] < '0' || l->value[i] > '9' || i > 17)
			return line_error(l, "is no number of bytes", e);
		length = length * 10 + (l->value[i] - '0');
	}
	if (l->value_size == 0)
		return line_error(l, "is no number of bytes", e);
	if (h->length >= 0 && h->length != length)
		return line_error(l, "is a second Content-Length, and another one", e);
	h->length = length;
	return 0;
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

/* What the web server says to its client of their connection (RFC 9110, 7.6.1), or NULL. */
static const char *name_of_connection(const struct line *l)
{
	static const char *const names[] = {
	    "Connection", "Keep-Alive", "Proxy-Connection", "TE", "Trailer", "Upgrade"};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (line_is(l, names[i]))
			return names[i];
	return NULL;
}

/* The lines that do not keep their place. */
struct apart {
	struct line status, length, location;
};

static const char *line_end(enum cgi_header_peer peer)
{
	return peer == REPLY_FOR_FOSSIL ? "\n" : "\r\n";
}

static int append_line(
    struct buffer *text, enum cgi_header_peer peer, const struct line *l, struct error *e)
{
	if (l->text == NULL)
		return 0;
	if (buffer_append(text, l->text, l->size) < 0 ||
	    buffer_append_string(text, line_end(peer)) < 0)
		return error_errno(e, "header");
	return 0;
}

static int take_line(struct cgi_header *h, enum cgi_header_peer peer, const struct line *l,
    struct apart *apart, struct error *e)
{
	const char *dropped = name_of_connection(l);

	h->streams = h->streams || asks_to_stream(l);
	if (dropped != NULL) {
		h->dropped = h->dropped != NULL ? h->dropped : dropped;
		return 0;
	}
	if (line_is(l, "Transfer-Encoding"))
		return line_error(l, "is for the web server to send", e);
	if (line_is(l, "Status")) {
		apart->status = *l;
		return read_status(h, l, e);
	}
	if (line_is(l, "Content-Length")) {
		apart->length = *l;
		return read_length(h, l, e);
	}
	if (!line_is(l, "Location"))
		return append_line(&h->text, peer, l, e);
	if (apart->location.text != NULL)
		return line_error(l, "is a second Location", e);
	apart->location = *l;
	return 0;
}

static int read_lines(struct cgi_header *h, enum cgi_header_peer peer, const char *data,
    size_t size, struct apart *apart, struct error *e)
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
		if (line_split(&l, peer, e) < 0 || take_line(h, peer, &l, apart, e) < 0)
			return -1;
	}
	return 0;
}

static int put_first(struct buffer *text, enum cgi_header_peer peer, const char *line,
    size_t line_size, struct error *e)
{
	size_t end_size = strlen(line_end(peer));
	char *at;

	if (buffer_reserve(text, line_size + end_size) < 0)
		return error_errno(e, "header");
	memmove(text->data + line_size + end_size, text->data, text->size);
	at = mempcpy(text->data, line, line_size);
	memcpy(at, line_end(peer), end_size);
	text->size += line_size + end_size;
	return 0;
}

/* A script's own line stands as it is if it has a reason. Fossil gets none but the script's. */
static int put_status(
    struct cgi_header *h, enum cgi_header_peer peer, const struct line *l, struct error *e)
{
	char line[64];
	int size;

	if (l->text == NULL && peer == REPLY_FOR_FOSSIL)
		return 0;
	if (l->value_size > 3)
		return put_first(&h->text, peer, l->text, l->size, e);
	size =
	    snprintf(line, sizeof(line), "Status: %d %s", h->status, cgi_header_reason(h->status));
	return put_first(&h->text, peer, line, (size_t)size, e);
}

size_t cgi_header_most(enum cgi_header_peer peer)
{
	return peer == REPLY_FOR_FOSSIL ? CGI_HEADER_BLOCK_MAX_FOSSIL : CGI_HEADER_BLOCK_MAX;
}

static int too_long(enum cgi_header_peer peer, struct error *e)
{
	return error_set(e, "the header block is longer than %zu bytes", cgi_header_most(peer));
}

int cgi_header_read(
    struct cgi_header *h, enum cgi_header_peer peer, const char *data, size_t size, struct error *e)
{
	struct apart apart = {0};

	*h = (struct cgi_header){.length = -1};
	if (size > cgi_header_most(peer))
		return too_long(peer, e);
	if (read_lines(h, peer, data, size, &apart, e) < 0)
		return -1;
	if (h->status == 0)
		h->status = apart.location.text != NULL ? 302 : 200;
	if (h->status == 204) {
		apart.length.text = NULL;
		h->length = -1;
	}
	if (put_status(h, peer, &apart.status, e) < 0 ||
	    append_line(&h->text, peer, &apart.length, e) < 0 ||
	    append_line(&h->text, peer, &apart.location, e) < 0)
		return -1;
	if (buffer_append_string(&h->text, line_end(peer)) < 0)
		return error_errno(e, "header");
	return h->text.size > cgi_header_most(peer) ? too_long(peer, e) : 0;
}

void cgi_header_release(struct cgi_header *h)
{
	buffer_release(&h->text);
}

const char *cgi_header_reason(int status)
{
	static const char *const known[600] = {
	    [200] = "OK",
	    [201] = "Created",
	    [202] = "Accepted",
	    [203] = "Non-Authoritative Information",
	    [204] = "No Content",
	    [205] = "Reset Content",
	    [206] = "Partial Content",
	    [207] = "Multi-Status",
	    [208] = "Already Reported",
	    [226] = "IM Used",
	    [300] = "Multiple Choices",
	    [301] = "Moved Permanently",
	    [302] = "Found",
	    [303] = "See Other",
	    [304] = "Not Modified",
	    [305] = "Use Proxy",
	    [307] = "Temporary Redirect",
	    [308] = "Permanent Redirect",
	    [400] = "Bad Request",
	    [401] = "Unauthorized",
	    [402] = "Payment Required",
	    [403] = "Forbidden",
	    [404] = "Not Found",
	    [405] = "Method Not Allowed",
	    [406] = "Not Acceptable",
	    [407] = "Proxy Authentication Required",
	    [408] = "Request Timeout",
	    [409] = "Conflict",
	    [410] = "Gone",
	    [411] = "Length Required",
	    [412] = "Precondition Failed",
	    [413] = "Content Too Large",
	    [414] = "URI Too Long",
	    [415] = "Unsupported Media Type",
	    [416] = "Range Not Satisfiable",
	    [417] = "Expectation Failed",
	    [418] = "I'm a Teapot",
	    [421] = "Misdirected Request",
	    [422] = "Unprocessable Content",
	    [423] = "Locked",
	    [424] = "Failed Dependency",
	    [425] = "Too Early",
	    [426] = "Upgrade Required",
	    [428] = "Precondition Required",
	    [429] = "Too Many Requests",
	    [431] = "Request Header Fields Too Large",
	    [451] = "Unavailable For Legal Reasons",
	    [500] = "Internal Server Error",
	    [501] = "Not Implemented",
	    [502] = "Bad Gateway",
	    [503] = "Service Unavailable",
	    [504] = "Gateway Timeout",
	    [505] = "HTTP Version Not Supported",
	    [506] = "Variant Also Negotiates",
	    [507] = "Insufficient Storage",
	    [508] = "Loop Detected",
	    [511] = "Network Authentication Required",
	};

	if (status < 200 || status > 599)
		return "Error";
	return known[status] != NULL ? known[status] : known[status / 100 * 100];
}
