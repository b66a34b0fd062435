/* The variables of a request: "NAME=value" strings, each name once. Empty is {0}. */
#ifndef EXTHOST_CGI_VARIABLES_H
#define EXTHOST_CGI_VARIABLES_H

#include <stddef.h>
#include <stdint.h>

#define CGI_VARIABLES_PLACES 128 /* a power of 2 */

struct cgi_variables {
	char **items;    /* NULL-terminated once there is one */
	uint32_t *names; /* the sizes of their names */
	size_t count;
	size_t capacity;
	/* A hash table of the first variables: 1 + the index in items; 0: an empty place. */
	uint8_t places[CGI_VARIABLES_PLACES];
	char *block; /* from malloc(3), or NULL: strings that lie in it are freed with it */
	size_t block_size;
};

/* The value, or NULL. It stays valid until the variable is set or removed. */
const char *cgi_variables_get(const struct cgi_variables *v, const char *name);

/* The value, or "" when there is none. */
const char *cgi_variables_text(const struct cgi_variables *v, const char *name);

/* Set or replace a variable. 0, or -1: no memory. */
int cgi_variables_set(struct cgi_variables *v, const char *name, const char *value);

/* Set a variable that is missing or empty. 0 or -1 as above. */
int cgi_variables_default(struct cgi_variables *v, const char *name, const char *value);

/*
 * Add "NAME=value", in place of an earlier variable of that name: if a name comes twice, its last
 * value counts. Call cgi_variables_settle after the last variable, since with more than about a
 * hundred variables an earlier one is found only then. 0 or -1 as above.
 */
int cgi_variables_add(struct cgi_variables *v, const char *item);

/*
 * After cgi_variables_add and cgi_variables_take: each name is there once, at its first place. 0 or
 * -1 as above.
 */
int cgi_variables_settle(struct cgi_variables *v);

/*
 * A piece of memory from malloc(3), in which strings that are added lie: it belongs to the set from
 * now on. Once.
 */
void cgi_variables_take_block(struct cgi_variables *v, void *block, size_t size);

/*
 * As cgi_variables_add, with a string from malloc(3), or out of that block, which belongs to the
 * set from now on, also on failure. `name` is the size of its name.
 */
int cgi_variables_take(struct cgi_variables *v, char *item, size_t name);

void cgi_variables_remove(struct cgi_variables *v, const char *name);

/* Remove all of this name, in whatever case its letters are. */
void cgi_variables_remove_any_case(struct cgi_variables *v, const char *name);

/* Remove all whose name begins with this. */
void cgi_variables_remove_prefix(struct cgi_variables *v, const char *prefix);

/* Free everything; the set is empty again. */
void cgi_variables_release(struct cgi_variables *v);

#endif
