/*
 * The same bytes by both ways that there are to a request: that of the front, in which libfcgi
 * decodes whatever is whole and it reads rightly, and that of direct workers, in which the records
 * are decoded as they come. Whole and in pieces of 1, 7 and 64 bytes, all fields of the requests
 * must be the same, and the statuses and words of refusals (tests/fuzz/decoders.c).
 */
#include "unit.h"

#include "base/buffer.h"
#include "net/wire.h"
#include "request/request.h"

#include "decoders.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LIBFCGI_BUFFER 8192 /* libfcgi reads so many bytes at once */

/* A record of what a client sends. */
struct item {
	enum { END, RECORD, PAIRS, FILL } kind;
	uint8_t type;
	uint16_t id;
	uint8_t padding;
	const char *content; /* PAIRS: "NAME=value" lines, which become name-value pairs */
	size_t size;         /* RECORD: of the content; FILL: so many bytes x */
};

#define BYTES(text) .content = (text), .size = sizeof(text) - 1
#define BEGIN_OF(number)                                                                           \
	{                                                                                          \
		RECORD, WIRE_BEGIN_REQUEST, (number), 0, BYTES("\0\1\1\0\0\0\0\0")                 \
	}
#define BEGIN BEGIN_OF(1)
#define BEGIN_CLOSING                                                                              \
	{                                                                                          \
		RECORD, WIRE_BEGIN_REQUEST, 1, 0, BYTES("\0\1\0\0\0\0\0\0")                        \
	}
#define PARAMS_OF(number, lines)                                                                   \
	{                                                                                          \
		PAIRS, WIRE_PARAMS, (number), 0, (lines), 0                                        \
	}
#define PARAMS(lines) PARAMS_OF(1, lines)
#define PARAMS_RAW(text)                                                                           \
	{                                                                                          \
		RECORD, WIRE_PARAMS, 1, 0, BYTES(text)                                             \
	}
#define PARAMS_END                                                                                 \
	{                                                                                          \
		RECORD, WIRE_PARAMS, 1, 0, NULL, 0                                                 \
	}
#define BODY(text)                                                                                 \
	{                                                                                          \
		RECORD, WIRE_STDIN, 1, 0, BYTES(text)                                              \
	}
#define BODY_OF(number)                                                                            \
	{                                                                                          \
		FILL, WIRE_STDIN, 1, 0, NULL, (number)                                             \
	}
#define BODY_END                                                                                   \
	{                                                                                          \
		RECORD, WIRE_STDIN, 1, 0, NULL, 0                                                  \
	}
#define ABORT                                                                                      \
	{                                                                                          \
		RECORD, WIRE_ABORT_REQUEST, 1, 0, NULL, 0                                          \
	}
#define A_REQUEST(lines) BEGIN, PARAMS(lines), PARAMS_END

/* What libfcgi cannot be given, and why. */
#define PADDED_BEGIN "libfcgi takes padding behind BEGIN_REQUEST for a header"
#define PADDED_PARAMS "libfcgi takes padding behind the end of PARAMS for a header"
#define PADDED_BODY "libfcgi leaves padding behind the end of the body to the next request"
#define OTHER_TYPE "libfcgi takes a record of another type for the end of PARAMS, or of the body"
#define MANAGEMENT "libfcgi takes a management record for PARAMS"
#define EMPTY_OTHER "libfcgi drops the content behind an empty record of another request"
#define STILL_COMES "libfcgi waits for a body that still comes"
#define TWO_AT_ONCE "libfcgi loses the bytes behind a request"
#define NO_ABORT "libfcgi does not know ABORT_REQUEST"
#define NO_REQUEST "it is refused by its head"

#define MOST 12

struct sent {
	const char *name;
	struct item items[MOST];
	const char *statuses; /* of the requests that are made; "" for none */
	const char
	    *why_not; /* libfcgi is not given the first request, for this reason; NULL: it is */
	const char *made[3]; /* lines of the first request */
};

static const struct sent table[] = {
    {"no body", {A_REQUEST("REQUEST_METHOD=GET\nQUERY_STRING=a=b"), BODY_END}, "0", NULL,
	{"2 variables", "QUERY_STRING=a=b", "body of 0 bytes"}},
    {"a connection for one request", {BEGIN_CLOSING, PARAMS("A=1"), PARAMS_END, BODY_END}, "0",
	NULL, {"keep 0"}},
    {"a body", {A_REQUEST("CONTENT_LENGTH=4"), BODY("body"), BODY_END}, "0", NULL,
	{"CONTENT_LENGTH=4", "body of 4 bytes, 4 in the file, read from 0"}},
    {"a body in two records", {A_REQUEST("CONTENT_LENGTH=4"), BODY("bo"), BODY("dy"), BODY_END},
	"0", NULL, {"body of 4 bytes"}},
    {"a body without a length", {A_REQUEST("A=1"), BODY("body"), BODY_END}, "0", NULL,
	{"CONTENT_LENGTH=4", "body of 4 bytes"}},
    {"an empty length", {A_REQUEST("CONTENT_LENGTH="), BODY("body"), BODY_END}, "0", NULL,
	{"CONTENT_LENGTH=4", "body of 4 bytes"}},
    {"an unknown length", {A_REQUEST("CONTENT_LENGTH=-1"), BODY("body"), BODY_END}, "0", NULL,
	{"CONTENT_LENGTH=4", "body of 4 bytes"}},
    {"an unknown length, and no body", {A_REQUEST("CONTENT_LENGTH=-1"), BODY_END}, "0", NULL,
	{"CONTENT_LENGTH=0", "body of 0 bytes"}},
    {"no length, and no body", {A_REQUEST("CONTENT_LENGTH="), BODY_END}, "0", NULL,
	{"CONTENT_LENGTH=", "body of 0 bytes"}},
    {"zeros in front of a length", {A_REQUEST("CONTENT_LENGTH=004"), BODY("body"), BODY_END}, "0",
	NULL, {"CONTENT_LENGTH=4"}},
    {"a length that is no number", {A_REQUEST("CONTENT_LENGTH=4x"), BODY("body"), BODY_END}, "400",
	NULL, {"status 400: CONTENT_LENGTH '4x' is no number of bytes"}},
    {"a negative length", {A_REQUEST("CONTENT_LENGTH=-2"), BODY_END}, "400", NULL,
	{"status 400: CONTENT_LENGTH '-2' is no number of bytes"}},
    {"the last of two lengths counts",
	{A_REQUEST("CONTENT_LENGTH=x\nCONTENT_LENGTH=2"), BODY("body"), BODY_END}, "0", NULL,
	{"1 variables", "CONTENT_LENGTH=2", "body of 2 bytes"}},
    {"a length beyond what is allowed", {A_REQUEST("CONTENT_LENGTH=20001"), BODY("body"), BODY_END},
	"413", NULL, {"status 413: the body has 20001 bytes, allowed are 20000"}},
    {"a length of 30 digits",
	{A_REQUEST("CONTENT_LENGTH=900000000000000000000000000000"), BODY("body"), BODY_END}, "413",
	NULL, {"status 413: the body has 900000000000000000000000000000 bytes"}},
    {"a body as large as is allowed", {A_REQUEST("A=1"), BODY_OF(20000), BODY_END}, "0", NULL,
	{"CONTENT_LENGTH=20000"}},
    {"a body beyond what is allowed", {A_REQUEST("A=1"), BODY_OF(20001), BODY_END}, "413", NULL,
	{"status 413: the body is larger than 20000 bytes"}},
    {"a body shorter than its length", {A_REQUEST("CONTENT_LENGTH=5"), BODY("body"), BODY_END},
	"400", NULL, {"status 400: the body has 4 bytes, CONTENT_LENGTH says 5"}},
    {"a body longer than its length",
	{A_REQUEST("CONTENT_LENGTH=3"), BODY("body"), BODY("more"), BODY_END}, "0", NULL,
	{"CONTENT_LENGTH=3", "body of 3 bytes"}},
    {"a body of no bytes, and more", {A_REQUEST("CONTENT_LENGTH=0"), BODY("body"), BODY_END}, "0",
	NULL, {"CONTENT_LENGTH=0", "body of 0 bytes"}},
    {"a name twice", {A_REQUEST("A=1\nB=2\nA=3"), BODY_END}, "0", NULL,
	{"2 variables\nA=3\nB=2\n"}},
    {"a name twice in other letters", {A_REQUEST("A=1\na=2"), BODY_END}, "0", NULL,
	{"2 variables\nA=1\na=2\n"}},
    {"an empty value", {A_REQUEST("A="), BODY_END}, "0", NULL, {"1 variables\nA=\n"}},
    {"a header Proxy", {A_REQUEST("HTTP_PROXY=x\nhttp_proxy=y"), BODY_END}, "0", NULL,
	{"2 variables\nHTTP_PROXY=x\nhttp_proxy=y\nbody"}},
    {"the role of the request", {A_REQUEST("FCGI_ROLE=FILTER\nFCGI_ROLES=1"), BODY_END}, "0", NULL,
	{"1 variables\nFCGI_ROLES=1\n"}},
    {"no name", {BEGIN, PARAMS_RAW("\0\1x"), PARAMS_END, BODY_END}, "400", NO_REQUEST,
	{"status 400: a parameter without a name"}},
    {"= in a name", {BEGIN, PARAMS_RAW("\3\1A=Bx"), PARAMS_END, BODY_END}, "400", NO_REQUEST,
	{"status 400: '=' or NUL in the name of a parameter"}},
    {"NUL in a value", {BEGIN, PARAMS_RAW("\1\2Ax\0"), PARAMS_END, BODY_END}, "400", NO_REQUEST,
	{"status 400: NUL in the value of a parameter"}},
    {"no parameters", {BEGIN, PARAMS_END, BODY_END}, "400", NO_REQUEST,
	{"status 400: a request without parameters"}},
    {"parameters that are too large", {BEGIN, PARAMS_RAW("\1\200\0\20\0A"), BODY_END}, "431",
	NO_REQUEST, {"status 431: the variables are larger than 4096 bytes"}},
    {"parameters that end within one", {BEGIN, PARAMS_RAW("\1\2Ax"), PARAMS_END, BODY_END}, "",
	NO_REQUEST, {NULL}},
    {"a pair cut by records",
	{BEGIN, PARAMS_RAW("\200"), PARAMS_RAW("\0\0"), PARAMS_RAW("\1\1A"), PARAMS_RAW("x"),
	    PARAMS_END, BODY_END},
	"0", NULL, {"1 variables\nA=x\n"}},
    {"padding in all places where libfcgi reads over it",
	{BEGIN, {PAIRS, WIRE_PARAMS, 1, 9, "A=1", 0}, PARAMS_END,
	    {RECORD, WIRE_STDIN, 1, 255, BYTES("body")}, BODY_END},
	"0", NULL, {"2 variables\nA=1\nCONTENT_LENGTH=4\n", "body of 4 bytes"}},
    {"padding behind BEGIN_REQUEST",
	{{RECORD, WIRE_BEGIN_REQUEST, 1, 8, BYTES("\0\1\1\0\0\0\0\0")}, PARAMS("A=1"), PARAMS_END,
	    BODY_END},
	"0", PADDED_BEGIN, {"1 variables\nA=1\n"}},
    {"padding behind the end of PARAMS",
	{BEGIN, PARAMS("A=1"), {RECORD, WIRE_PARAMS, 1, 8, NULL, 0}, BODY("body"), BODY_END}, "0",
	PADDED_PARAMS, {"2 variables\nA=1\nCONTENT_LENGTH=4\n"}},
    {"padding behind the end of the body",
	{A_REQUEST("A=1"), BODY("body"), {RECORD, WIRE_STDIN, 1, 8, NULL, 0}}, "0", PADDED_BODY,
	{"body of 4 bytes"}},
    {"a record of another type between PARAMS",
	{BEGIN, PARAMS("A=1"), {RECORD, WIRE_DATA, 1, 0, BYTES("data")}, PARAMS("B=2"), PARAMS_END,
	    BODY_END},
	"0", OTHER_TYPE, {"2 variables\nA=1\nB=2\n"}},
    {"a management record between PARAMS",
	{BEGIN, PARAMS("A=1"), {RECORD, WIRE_GET_VALUES, 0, 0, NULL, 0}, PARAMS("B=2"), PARAMS_END,
	    BODY_END},
	"0", MANAGEMENT, {"2 variables\nA=1\nB=2\n"}},
    {"an empty record of another request between PARAMS",
	{BEGIN, PARAMS("A=1"), {RECORD, WIRE_PARAMS, 2, 0, NULL, 0}, PARAMS("B=2"), PARAMS_END,
	    BODY_END},
	"0", EMPTY_OTHER, {"2 variables\nA=1\nB=2\n"}},
    {"another request that begins between PARAMS",
	{BEGIN, PARAMS("A=1"), BEGIN_OF(2), PARAMS_OF(2, "C=3"), PARAMS("B=2"), PARAMS_END,
	    BODY_END},
	"0", NULL, {"2 variables\nA=1\nB=2\n"}},
    {"another request that begins within the body",
	{A_REQUEST("A=1"), BODY("bo"), BEGIN_OF(2), BODY("dy"), BODY_END}, "0", OTHER_TYPE,
	{"body of 4 bytes"}},
    {"a record of another type within the body",
	{A_REQUEST("A=1"), BODY("bo"), {RECORD, WIRE_DATA, 1, 0, BYTES("data")}, BODY("dy"),
	    BODY_END},
	"0", OTHER_TYPE, {"body of 4 bytes"}},
    {"two requests at once", {A_REQUEST("A=1"), BODY("body"), BODY_END, A_REQUEST("B=2"), BODY_END},
	"0 0", TWO_AT_ONCE, {"2 variables\nA=1\nCONTENT_LENGTH=4\n"}},
    {"a body whose stream does not end", {A_REQUEST("CONTENT_LENGTH=4"), BODY("body")}, "0",
	STILL_COMES, {"body of 4 bytes"}},
    {"a body that is cut", {A_REQUEST("A=1"), BODY("body")}, "400", STILL_COMES,
	{"status 400: the body ends after 4 bytes, without its end record"}},
    {"a body that is cut before its length", {A_REQUEST("CONTENT_LENGTH=5"), BODY("body")}, "400",
	STILL_COMES, {"status 400: the body ends after 4 bytes, without its end record"}},
    {"an abort within PARAMS", {BEGIN, PARAMS("A=1"), ABORT, A_REQUEST("B=2"), BODY_END}, "0", NULL,
	{"1 variables\nB=2\n"}},
    {"an abort within the body",
	{A_REQUEST("A=1"), BODY("body"), ABORT, A_REQUEST("B=2"), BODY_END}, "499 0", NO_ABORT,
	{"status 499: the client aborted the request"}},
    {"an abort behind a whole body",
	{A_REQUEST("CONTENT_LENGTH=4"), BODY("body"), ABORT, A_REQUEST("B=2"), BODY_END}, "499 0",
	NO_ABORT, {"status 499: the client aborted the request"}},
    {"a second beginning within the body",
	{A_REQUEST("A=1"), BODY("body"), BEGIN, PARAMS("B=2"), PARAMS_END, BODY_END}, "-1",
	OTHER_TYPE, {"status -1: a second BEGIN_REQUEST of the same request"}},
    {"another role, and a responder",
	{{RECORD, WIRE_BEGIN_REQUEST, 1, 0, BYTES("\0\3\1\0\0\0\0\0")}, A_REQUEST("A=1"), BODY_END},
	"0", NULL, {"1 variables\nA=1\n"}},
    {"a question, and a request",
	{{RECORD, WIRE_GET_VALUES, 0, 0, BYTES("\16\0FCGI_MAX_CONNS")}, A_REQUEST("A=1"), BODY_END},
	"0", NULL, {"1 variables\nA=1\n"}},
    {"leftovers of a request, and one", {BODY("left"), ABORT, A_REQUEST("A=1"), BODY_END}, "0",
	NULL, {"1 variables\nA=1\n"}},
    {"no FastCGI", {{RECORD, 0, 0x4745, 0, BYTES("T / HTTP/1.1\r\n\r\n")}}, "", NO_REQUEST, {NULL}},
};

static void put_pair(struct buffer *block, const char *line, size_t size)
{
	unsigned char pair[256];
	size_t name = strcspn(line, "=");
	const struct wire_param p = {.name = (const unsigned char *)line,
	    .name_size = name,
	    .value = (const unsigned char *)line + name + 1,
	    .value_size = size - name - 1};

	assert_int_equal(buffer_append(block, pair, wire_param_write(pair, sizeof(pair), &p)), 0);
}

static void put_content(struct buffer *content, const struct item *item)
{
	const char *line = item->content;

	if (item->kind == RECORD)
		assert_int_equal(buffer_append(content, item->content, item->size), 0);
	for (size_t i = 0; item->kind == FILL && i < item->size; i++)
		assert_int_equal(buffer_append(content, "x", 1), 0);
	while (item->kind == PAIRS && *line != '\0') {
		size_t size = strcspn(line, "\n");

		put_pair(content, line, size);
		line += size + (line[size] == '\n');
	}
}

static void put_item(struct buffer *out, const struct item *item)
{
	static const char zeros[255];
	struct buffer content = {0};
	unsigned char header[WIRE_HEADER];

	put_content(&content, item);
	wire_header_write(header, &(struct wire_header){.version = WIRE_VERSION,
				      .type = item->type,
				      .request_id = item->id,
				      .content = (uint16_t)content.size,
				      .padding = item->padding});
	assert_int_equal(buffer_append(out, header, sizeof(header)), 0);
	assert_int_equal(buffer_append(out, content.data, content.size), 0);
	assert_int_equal(buffer_append(out, zeros, item->padding), 0);
	buffer_release(&content);
}

static struct buffer bytes_of(const struct sent *s)
{
	struct buffer bytes = {0};

	for (size_t i = 0; i < MOST && s->items[i].kind != END; i++)
		put_item(&bytes, &s->items[i]);
	return bytes;
}

/* The bytes are the same for both, by a web server's connection and the relay's. */
static void check(const char *name, const void *bytes, size_t size)
{
	for (int trusted = 0; trusted < 2; trusted++) {
		const char *found = decoders_check(bytes, size, trusted);

		if (found != NULL)
			fail_msg("%s: %s", name, found);
	}
}

static void requests_are_the_same_whole_and_in_pieces(void **state)
{
	(void)state;
	for (size_t i = 0; i < UNIT_COUNT(table); i++) {
		struct buffer bytes = bytes_of(&table[i]);

		check(table[i].name, bytes.data, bytes.size);
		buffer_release(&bytes);
	}
}

/* The expected outcome, so that two decoders with the same mistake do not pass. */
static void each_request_is_made_or_refused_as_its_rule_says(void **state)
{
	(void)state;
	for (size_t i = 0; i < UNIT_COUNT(table); i++) {
		struct buffer bytes = bytes_of(&table[i]), statuses = {0};
		struct decoders_seen seen;

		decoders_see(&seen, (const uint8_t *)bytes.data, bytes.size, 0, true, false);
		for (size_t n = 0; n < seen.count; n++)
			buffer_printf(&statuses, "%s%d", n > 0 ? " " : "", seen.requests[n].status);
		if (strcmp(statuses.size > 0 ? statuses.data : "", table[i].statuses) != 0)
			fail_msg("%s: statuses '%s'", table[i].name, statuses.data);
		for (size_t n = 0; n < UNIT_COUNT(table[i].made) && table[i].made[n] != NULL; n++)
			if (strstr(seen.requests[0].made, table[i].made[n]) == NULL)
				fail_msg("%s: no '%s' in\n%s", table[i].name, table[i].made[n],
				    seen.requests[0].made);
		decoders_release(&seen);
		buffer_release(&statuses);
		buffer_release(&bytes);
	}
}

static void libfcgi_decodes_in_the_front_all_that_it_reads_rightly(void **state)
{
	(void)state;
	for (size_t i = 0; i < UNIT_COUNT(table); i++) {
		struct buffer bytes = bytes_of(&table[i]);
		struct decoders_seen front, direct;

		decoders_see(&front, (const uint8_t *)bytes.data, bytes.size, 0, true, false);
		decoders_see(&direct, (const uint8_t *)bytes.data, bytes.size, 0, false, false);
		if (front.count > 0 && front.requests[0].by_libfcgi != (table[i].why_not == NULL))
			fail_msg("%s: %s", table[i].name,
			    table[i].why_not != NULL ? table[i].why_not : "not by libfcgi");
		for (size_t n = 0; n < direct.count; n++)
			assert_false(direct.requests[n].by_libfcgi);
		decoders_release(&front);
		decoders_release(&direct);
		buffer_release(&bytes);
	}
}

static void an_abort_that_comes_late_is_of_a_request_that_is_whole(void **state)
{
	static const struct sent late = {
	    "", {A_REQUEST("CONTENT_LENGTH=4"), BODY("body"), ABORT}, "", NULL, {NULL}};
	struct buffer bytes = bytes_of(&late);
	struct decoders_seen whole, pieces;

	(void)state;
	decoders_see(&whole, (const uint8_t *)bytes.data, bytes.size, 0, true, false);
	decoders_see(&pieces, (const uint8_t *)bytes.data, bytes.size, 1, true, false);
	assert_int_equal(whole.requests[0].status, REQUEST_ABORTED);
	assert_int_equal(pieces.requests[0].status, 0);
	decoders_release(&whole);
	decoders_release(&pieces);
	buffer_release(&bytes);
}

/* From the relay it is the word for what to run. */
static void of_two_script_filenames_a_web_servers_last_counts_and_the_relays_are_refused(
    void **state)
{
	static const struct sent twice = {
	    "", {A_REQUEST("SCRIPT_FILENAME=/a\nSCRIPT_FILENAME=/b"), BODY_END}, "", NULL, {NULL}};
	struct buffer bytes = bytes_of(&twice);
	struct decoders_seen web, relay;

	(void)state;
	check("SCRIPT_FILENAME twice", bytes.data, bytes.size);
	decoders_see(&web, (const uint8_t *)bytes.data, bytes.size, 0, true, false);
	decoders_see(&relay, (const uint8_t *)bytes.data, bytes.size, 0, true, true);
	assert_non_null(strstr(web.requests[0].made, "1 variables\nSCRIPT_FILENAME=/b\n"));
	assert_non_null(
	    strstr(relay.requests[0].made, "status 400: SCRIPT_FILENAME is there twice"));
	decoders_release(&web);
	decoders_release(&relay);
	buffer_release(&bytes);
}

/* libfcgi has read the end record with its last piece, and not what is behind it. */
static void padding_behind_libfcgis_last_piece_is_not_left_to_the_next_request(void **state)
{
	struct sent sent = {"padding",
	    {A_REQUEST("A=1"), BODY_OF(0), {RECORD, WIRE_STDIN, 1, 8, NULL, 0}}, "", NULL, {NULL}};
	struct decoders_seen seen;
	struct buffer bytes = bytes_of(&sent);

	(void)state;
	sent.items[3].size = LIBFCGI_BUFFER - (bytes.size - 8);
	buffer_release(&bytes);
	bytes = bytes_of(&sent);
	assert_int_equal(bytes.size, LIBFCGI_BUFFER + 8);
	check(sent.name, bytes.data, bytes.size);
	decoders_see(&seen, (const uint8_t *)bytes.data, bytes.size, 0, true, false);
	if (seen.requests[0].by_libfcgi)
		fail_msg("%s", PADDED_BODY);
	decoders_release(&seen);
	buffer_release(&bytes);
}

static size_t check_corpus(const char *folder)
{
	static char bytes[65536];
	DIR *entries = opendir(folder);
	size_t count = 0;

	assert_non_null(entries);
	for (struct dirent *e; (e = readdir(entries)) != NULL;) {
		char *path = unit_path(folder, e->d_name);
		int file = open(path, O_RDONLY | O_CLOEXEC);
		ssize_t n = read(file, bytes, sizeof(bytes));

		if (n >= 0) {
			check(e->d_name, bytes, (size_t)n);
			count++;
		}
		close(file);
		free(path);
	}
	closedir(entries);
	return count;
}

static void what_the_fuzzers_have_found_is_the_same_for_both(void **state)
{
	(void)state;
	assert_true(check_corpus(EXTHOST_CORPUS "/wire") >= 20);
	assert_true(check_corpus(EXTHOST_CORPUS "/params") >= 40);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(requests_are_the_same_whole_and_in_pieces),
	    cmocka_unit_test(each_request_is_made_or_refused_as_its_rule_says),
	    cmocka_unit_test(libfcgi_decodes_in_the_front_all_that_it_reads_rightly),
	    cmocka_unit_test(an_abort_that_comes_late_is_of_a_request_that_is_whole),
	    cmocka_unit_test(
		of_two_script_filenames_a_web_servers_last_counts_and_the_relays_are_refused),
	    cmocka_unit_test(padding_behind_libfcgis_last_piece_is_not_left_to_the_next_request),
	    cmocka_unit_test(what_the_fuzzers_have_found_is_the_same_for_both),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
