/* The values of --allow-uid and --allow-from. Who is let in by them: net/access.h. */
#ifndef EXTHOST_ACCESS_RULES_H
#define EXTHOST_ACCESS_RULES_H

#include <sys/types.h>

struct config;
struct error;

/* What SO_PEERCRED says of every user outside of a user namespace: it is never allowed. */
#define ACCESS_RULES_NOBODY 65534

/* A user's number. 0, or -1 with *e filled. */
int access_rules_parse_uid(const char *text, uid_t *uid, struct error *e);

/* An address as 16 bytes, an IPv4 one mapped into IPv6; *bits: 32 or 128. 0, or -1: it is none. */
int access_rules_parse_ip(const char *text, unsigned char bytes[16], int *bits);

/*
 * ADDRESS or ADDRESS/PREFIX; *prefix counts from the first of the 16 bytes. 0, or -1 with *e
 * filled.
 */
int access_rules_parse_cidr(
    const char *text, unsigned char bytes[16], int *prefix, struct error *e);

/* All values of both options. 0, or -1 with *e filled. */
int access_rules_check(const struct config *config, struct error *e);

#endif
