/*
 * A body is read to its end before anything runs, so that a slow client holds no process. It is
 * passed on as a descriptor: of memory (memfd_create(2)) while it is small, of a file in --tmpdir
 * once it is large.
 */
#include "request/request_make.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/fd.h"
#include "config/config.h"
#include "request/cgi_variables.h"
#include "request/request.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BODY_IN_MEMORY 1048576
#define LENGTH_UNKNOWN (-1)
#define LENGTH_BAD (-2)

static int64_t content_length(const struct cgi_variables *v);
static int append(
    struct request *r, const void *data, size_t size, const struct config *config, struct error *e);
static int no_place(const struct config *config, struct error *e);
static int set_length(struct request *r, struct error *e);

int request_add_variable(struct request *r, char *item, size_t name, struct error *e)
{
	if (name == 9 && memcmp(item, "FCGI_ROLE", 9) == 0)
		return 0;
	if (cgi_variables_take(&r->variables, item, name) < 0)
		return error_errno(e, "variables of the request"), 500;
	return 0;
}

int request_body_begin(
    struct request *r, struct request_body *b, const struct config *config, struct error *e)
{
	if (cgi_variables_settle(&r->variables) < 0)
		return error_errno(e, "variables of the request"), 500;
	*b = (struct request_body){.length = content_length(&r->variables)};
	if (b->length == LENGTH_BAD)
		return error_set(e, "CONTENT_LENGTH '%s' is no number of bytes",
			   cgi_variables_text(&r->variables, "CONTENT_LENGTH")),
		       400;
	if (b->length > 0 && (uint64_t)b->length > config_largest_body(config))
		return error_set(e, "the body has %s bytes, allowed are %llu",
			   cgi_variables_text(&r->variables, "CONTENT_LENGTH"),
			   (unsigned long long)config_largest_body(config)),
		       413;
	return 0;
}

/* In bytes. A value above INT64_MAX counts as INT64_MAX. */
static int64_t content_length(const struct cgi_variables *v)
{
	const char *text = cgi_variables_text(v, "CONTENT_LENGTH");

	if (text[0] == '\0' || strcmp(text, "-1") == 0)
		return LENGTH_UNKNOWN;
	return strspn(text, "0123456789") == strlen(text) ? strtoll(text, NULL, 10) : LENGTH_BAD;
}

int request_body_add(struct request *r, struct request_body *b, const void *data, size_t size,
    const struct config *config, struct error *e)
{
	uint64_t want = b->length >= 0 ? (uint64_t)b->length - r->body_size : size;

	b->seen += size;
	if (want < size)
		size = (size_t)want;
	return size > 0 ? append(r, data, size, config, e) : 0;
}

static int append(
    struct request *r, const void *data, size_t size, const struct config *config, struct error *e)
{
	bool move = r->body_size <= BODY_IN_MEMORY && r->body_size + size > BODY_IN_MEMORY;
	FD_OWNED int old = -1;

	if (r->body_size + size > config_largest_body(config))
		return error_set(e, "the body is larger than %llu bytes",
			   (unsigned long long)config_largest_body(config)),
		       413;
	if (move) {
		old = r->body;
		r->body = fd_temporary_file(config->tmpdir);
	} else if (r->body < 0) {
		r->body = fd_memory_file("exthost-body");
	}
	if (r->body < 0)
		return no_place(config, e);
	if (old >= 0 && lseek(old, 0, SEEK_SET) == 0) {
		char *copy = malloc(r->body_size);
		bool copied = copy != NULL &&
			      fd_read_all(old, copy, r->body_size) == (ssize_t)r->body_size &&
			      fd_write_all(r->body, copy, r->body_size) == 0;

		free(copy);
		if (!copied)
			return no_place(config, e);
	}
	if (fd_write_all(r->body, data, size) < 0)
		return no_place(config, e);
	r->body_size += size;
	return 0;
}

/* A full disk is likely to be emptied, so the client may try again. */
static int no_place(const struct config *config, struct error *e)
{
	bool full = errno == ENOSPC || errno == EDQUOT;

	error_errno(e, "file for the body in %s", config->tmpdir);
	return full ? 503 : 500;
}

bool request_body_is_whole(const struct request *r, const struct request_body *b)
{
	return b->length >= 0 && r->body_size == (uint64_t)b->length;
}

int request_body_end(struct request *r, struct request_body *b, struct error *e)
{
	int status;

	if (b->length >= 0 && r->body_size < (uint64_t)b->length)
		return error_set(e, "the body has %llu bytes, CONTENT_LENGTH says %lld",
			   (unsigned long long)r->body_size, (long long)b->length),
		       400;
	status = set_length(r, e);
	if (status == 0 && r->body >= 0 && lseek(r->body, 0, SEEK_SET) < 0)
		return error_errno(e, "file for the body"), 500;
	return status;
}

/*
 * Set CONTENT_LENGTH, where the web server did not know it or passes on a number with zeros in
 * front: Tcl reads 0100 as 64.
 */
static int set_length(struct request *r, struct error *e)
{
	const char *told = cgi_variables_text(&r->variables, "CONTENT_LENGTH");
	bool is_plain = strcmp(told, "0") == 0 || (told[0] >= '1' && told[0] <= '9');
	char size[24];

	if (is_plain || (told[0] == '\0' && r->body_size == 0))
		return 0;
	snprintf(size, sizeof(size), "%llu", (unsigned long long)r->body_size);
	if (cgi_variables_set(&r->variables, "CONTENT_LENGTH", size) < 0)
		return error_errno(e, "variables of the request"), 500;
	return 0;
}

int request_body_cut(const struct request_body *b, struct error *e)
{
	return error_set(e, "the body ends after %llu bytes, without its end record",
		   (unsigned long long)b->seen),
	       400;
}

uint64_t request_body_due(
    const struct request *r, const struct request_body *b, const struct config *config)
{
	return r->began + (config->body_timeout + b->seen / 1024) * CLOCK_SECOND;
}
