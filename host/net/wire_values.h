/* The answer to GET_VALUES, by which a web server asks what it may expect (FastCGI, 4.1). */
#ifndef EXTHOST_WIRE_VALUES_H
#define EXTHOST_WIRE_VALUES_H

#include <stddef.h>

#define WIRE_VALUES_MAX 96 /* bytes of an answer: its header, three names with numbers, padding */

struct wire_values {
	unsigned max_conns, max_reqs, mpxs_conns;
};

/*
 * Answer the names in this content, as far as they are known; one asked for twice is answered once.
 * The size of the answer, or 0: the content is malformed.
 */
size_t wire_values_answer(const struct wire_values *values, const unsigned char *content,
    size_t size, unsigned char answer[WIRE_VALUES_MAX]);

#endif
