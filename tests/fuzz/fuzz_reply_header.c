/*
 * Fuzz harness for what a script prints: the header block's check, and the reply as it leaves. The
 * bytes come at once, and again in pieces cut as they say themselves; what is thought of them and
 * what is sent must be the same. A block that passes must keep what reply_header.h promises.
 */
#include "replay.h"

#include "config.h"
#include "error.h"
#include "reply.h"
#include "request.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/mman.h>
#include <unistd.h>

static bool is_location(const char *line)
{
	return strncasecmp(line, "Location:", 9) == 0;
}

/* What any client relies on, told again without the code that is tested. */
static void check_line(const char *line, size_t size)
{
	const char *colon = memchr(line, ':', size);

	insist(size <= REPLY_LINE_MAX, "a line of more than 998 bytes");
	insist(colon != NULL && colon > line, "a line without a name");
	for (size_t i = 0; i < size; i++) {
		unsigned char c = (unsigned char)line[i];

		insist((c >= 0x20 && c != 0x7f) || (c == '\t' && line + i > colon),
		    "a control character");
		insist(line + i >= colon || (c > 0x20 && c < 0x7f), "a name with other characters");
	}
}

static void check_block(struct reply_header *h)
{
	const char *at = buffer_string(&h->text), *end = at + h->text.size;

	insist(end - at >= 2 && memcmp(end - 2, "\n\n", 2) == 0, "no empty line at the end");
	while (at < end - 1) {
		size_t size = (size_t)((const char *)memchr(at, '\n', (size_t)(end - at)) - at);

		check_line(at, size);
		insist(!is_location(at) || at + size == end - 2, "Location is not the last line");
		at += size + 1;
	}
	insist(h->status >= 100 && h->status <= 599, "an impossible status");
	insist(h->length >= -1, "an impossible Content-Length");
}

/* What leaves is a block that passes, and then leaves as it is. */
static void check_again(const struct reply_header *h)
{
	struct reply_header again;
	struct error e;

	insist(reply_header_end(h->text.data, h->text.size) == h->text.size, "an end within");
	insist(reply_header_read(&again, h->text.data, h->text.size, &e) == 0,
	    "what was let pass is refused the second time");
	insist(again.text.size == h->text.size &&
		   memcmp(again.text.data, h->text.data, h->text.size) == 0 &&
		   again.status == h->status && again.length == h->length,
	    "what was let pass is changed the second time");
	reply_header_release(&again);
}

/* Of one way of feeding. */
struct outcome {
	int result; /* 0 or -1 */
	int file;   /* what was sent */
	struct error e;
};

static void feed(struct outcome *o, const uint8_t *bytes, size_t size, bool cut, bool hold)
{
	const struct config config = {.reply_buffer = cut ? 4096 : 256,
	    .limits.max_reply = UINT64_MAX,
	    .tmpdir = (char *)"/tmp"};
	struct request request = {.body = -1, .hold = hold, .response.fd = o->file};
	struct reply reply;
	size_t all = size;

	o->e = (struct error){""};
	o->result = ftruncate(o->file, 0) == 0 && lseek(o->file, 0, SEEK_SET) == 0 ? 0 : -1;
	insist(o->result == 0, "no place for the reply");
	reply_init(&reply, &request, &config, &config.limits);
	while (size > 0 && o->result == 0) {
		size_t n = cut ? piece_size(bytes, size) : size;

		o->result = reply_feed(&reply, bytes, n, &o->e);
		bytes += n;
		size -= n;
	}
	if (o->result == 0)
		o->result = reply_finish(&reply, &o->e);
	if (reply.has_header) {
		check_block(&reply.header);
		check_again(&reply.header);
	}
	if (o->result == 0) {
		size_t end = reply_header_end((const char *)bytes - all, all);

		insist(lseek(o->file, 0, SEEK_CUR) == (off_t)(reply.header.text.size + all - end),
		    "another number of bytes sent");
	} else {
		insist(o->e.message[0] != '\0', "refused without a reason");
		insist(strchr(o->e.message, '\n') == NULL, "a reason of two lines");
		insist(!reply.has_header || !hold || lseek(o->file, 0, SEEK_CUR) == 0,
		    "something leaves of a reply that is held and refused");
	}
	reply_release(&reply);
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
	for (int hold = 0; hold <= 1; hold++) {
		feed(&whole, bytes, size, false, hold);
		feed(&cut, bytes, size, true, hold);
		compare(&whole, &cut);
	}
	return 0;
}
