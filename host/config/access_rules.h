/* The values of --allow-uid, --allow-gid and --allow-from. net/access.h applies them. */
#ifndef EXTHOST_ACCESS_RULES_H
#define EXTHOST_ACCESS_RULES_H

#include <sys/types.h>

struct config;
struct error;

/*
 * SO_PEERCRED and SO_PEERGROUPS show every user and group outside of a user namespace as this one:
 * it is never allowed.
 */
#define ACCESS_RULES_NOBODY 65534

/*
 * A user by name (getpwnam(3)) or number, and a group likewise. Numbers need no file, and nobody
 * must have them. 0, or -1 with *e filled.
 */
int access_rules_parse_uid(const char *text, uid_t *uid, struct error *e);
int access_rules_parse_gid(const char *text, gid_t *gid, struct error *e);

/* An address as 16 bytes, an IPv4 one mapped into IPv6; *bits: 32 or 128. 0, or -1: it is none. */
int access_rules_parse_ip(const char *text, unsigned char bytes[16], int *bits);

/*
 * ADDRESS or ADDRESS/PREFIX; *prefix counts from the first of the 16 bytes. 0, or -1 with *e
 * filled.
 */
int access_rules_parse_cidr(
    const char *text, unsigned char bytes[16], int *prefix, struct error *e);

/*
 * Check all values of the three options, and put numbers in the place of names. 0, or -1 with *e
 * filled.
 */
int access_rules_check(struct config *config, struct error *e);

#endif
