/*
 * Fuzz harness for what a script prints: the header block's check, and the reply as it leaves. The
 * bytes come at once, and again in pieces cut as they say themselves; what is thought of them and
 * what is sent must be the same. A block that passes must keep what cgi_header.h promises, for a
 * web server and for Fossil.
 */
#include "replay.h"

#include "base/error.h"
#include "config/config.h"
#include "request/cgi_reply.h"
#include "request/request.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/mman.h>
#include <unistd.h>

static bool is_named(const char *line, const char *name)
{
	return strncasecmp(line, name, strlen(name)) == 0 && line[strlen(name)] == ':';
}

/* What any client relies on, told again without the code that is tested. */
static void check_line(const char *line, size_t size, size_t most)
{
	const char *colon = memchr(line, ':', size);

	insist(size <= most, "a line that is too long");
	insist(colon != NULL && colon > line, "a line without a name");
	for (size_t i = 0; i < size; i++) {
		unsigned char c = (unsigned char)line[i];

		insist((c >= 0x20 && c != 0x7f) || (c == '\t' && line + i > colon),
		    "a control character");
		insist(line + i >= colon || (c > 0x20 && c < 0x7f), "a name with other characters");
	}
	insist(!is_named(line, "Transfer-Encoding") && !is_named(line, "Connection") &&
		   !is_named(line, "Keep-Alive") && !is_named(line, "Proxy-Connection") &&
		   !is_named(line, "TE") && !is_named(line, "Trailer") &&
		   !is_named(line, "Upgrade"),
	    "a line that is the connection's");
}

static void check_block(struct cgi_header *h, bool fossil)
{
	const char *line_end = fossil ? "\n" : "\r\n";
	size_t end_size = strlen(line_end), lengths = 0, statuses = 0;
	const char *begin = buffer_string(&h->text), *at = begin, *end = at + h->text.size;

	insist(h->text.size <= (fossil ? 65536 : 32760), "a block that is too long");
	while (at < end - end_size) {
		const char *next = strstr(at, line_end);

		insist(next != NULL && next > at, "an empty line within");
		check_line(at, (size_t)(next - at), fossil ? 998 : 8192);
		insist(!is_named(at, "Location") || next + 2 * end_size == end,
		    "Location is not the last line");
		insist(!is_named(at, "Status") || at == begin, "Status is not the first line");
		lengths += is_named(at, "Content-Length");
		statuses += is_named(at, "Status");
		at = next + end_size;
	}
	insist(at == end - end_size && strcmp(at, line_end) == 0, "no empty line at the end");
	insist(h->status >= 200 && h->status <= 599, "an impossible status");
	insist(fossil || statuses == 1, "no status");
	insist(h->length >= -1 && lengths == (h->length >= 0), "an impossible Content-Length");
	insist(h->status != 204 || lengths == 0, "a length of no content");
}

/* What leaves is a block that passes, and then leaves as it is. */
static void check_again(const struct cgi_header *h, bool fossil)
{
	struct cgi_header again;
	struct error e;

	/* But one whose lines have all been left out. */
	if (h->text.size == 1)
		return;
	insist(cgi_header_end(h->text.data, h->text.size) == h->text.size, "an end within");
	insist(cgi_header_read(&again, fossil ? REPLY_FOR_FOSSIL : REPLY_FOR_WEB_SERVER,
		   h->text.data, h->text.size, &e) == 0,
	    "what was let pass is refused the second time");
	insist(again.text.size == h->text.size &&
		   memcmp(again.text.data, h->text.data, h->text.size) == 0 &&
		   again.status == h->status && again.length == h->length,
	    "what was let pass is changed the second time");
	cgi_header_release(&again);
}

/* Of one way of feeding. */
struct outcome {
	int result; /* 0 or -1 */
	int file;   /* what was sent */
	struct error e;
};

static void feed(struct outcome *o, const uint8_t *bytes, size_t size, bool cut, bool fossil)
{
	const struct config config = {.reply_buffer = cut ? 4096 : 256,
	    .limits.max_reply = UINT64_MAX,
	    .tmpdir = (char *)"/tmp"};
	struct request request = {
	    .body = -1, .relay = fossil, .hold = fossil, .response.fd = o->file};
	struct cgi_reply reply;
	size_t all = size;

	o->e = (struct error){""};
	o->result = ftruncate(o->file, 0) == 0 && lseek(o->file, 0, SEEK_SET) == 0 ? 0 : -1;
	insist(o->result == 0, "no place for the reply");
	cgi_reply_init(&reply, &request, &config, &config.limits);
	while (size > 0 && o->result == 0) {
		size_t n = cut ? piece_size(bytes, size) : size;

		o->result = cgi_reply_feed(&reply, bytes, n, &o->e);
		bytes += n;
		size -= n;
	}
	if (o->result == 0)
		o->result = cgi_reply_finish(&reply, &o->e);
	if (reply.has_header) {
		check_block(&reply.header, fossil);
		check_again(&reply.header, fossil);
	}
	if (o->result == 0) {
		uint64_t body = all - cgi_header_end((const char *)bytes - all, all);
		uint64_t most = reply.bodyless ? 0 : (uint64_t)reply.header.length;
		size_t told = 0;

		if (most < body)
			body = most;
		/* If the script sends no Content-Length, the host adds it for Fossil. */
		if (fossil && body > 0 && reply.header.length < 0)
			told = (size_t)snprintf(
			    NULL, 0, "Content-Length: %llu\n", (unsigned long long)body);
		insist(lseek(o->file, 0, SEEK_CUR) == (off_t)(told + reply.header.text.size + body),
		    "another number of bytes sent");
	} else {
		insist(o->e.message[0] != '\0', "refused without a reason");
		insist(strchr(o->e.message, '\n') == NULL, "a reason of two lines");
		insist(!reply.has_header || !fossil || lseek(o->file, 0, SEEK_CUR) == 0,
		    "something leaves of a reply that is held and refused");
	}
	cgi_reply_release(&reply);
	request_release(&request);
}

static void compare(const struct outcome *a, const struct outcome *b)
{
	char one[4096], other[4096];
	off_t at = 0;
	ssize_t n;

	insist(a->result == b->result, "the verdict depends on how the bytes arrive");
	insist(strcmp(a->e.message, b->e.message) == 0, "the reason depends on it");
	while (a->result == 0 && (n = pread(a->file, one, sizeof(one), at)) > 0) {
		insist(pread(b->file, other, sizeof(other), at) == n &&
			   memcmp(one, other, (size_t)n) == 0,
		    "what is sent depends on how the bytes arrive");
		at += n;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	static struct outcome whole = {.file = -1}, cut = {.file = -1};

	if (whole.file < 0) {
		whole.file = memfd_create("whole", MFD_CLOEXEC);
		cut.file = memfd_create("cut", MFD_CLOEXEC);
	}
	for (int fossil = 0; fossil <= 1; fossil++) {
		feed(&whole, bytes, size, false, fossil);
		feed(&cut, bytes, size, true, fossil);
		compare(&whole, &cut);
	}
	return 0;
}
