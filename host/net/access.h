/* Who may speak to the host. */
#ifndef EXTHOST_ACCESS_H
#define EXTHOST_ACCESS_H

#include <stdbool.h>

struct config;
struct error;
struct sockaddr;

/*
 * May this peer speak to us? A unix peer's uid (SO_PEERCRED) must be the host's own, root or one of
 * --allow-uid, and never 65534; a TCP peer must be on loopback or in --allow-from. false with the
 * reason in *e.
 */
bool access_allows(int connection, bool tcp, const struct config *config, struct error *e);

/* 127.0.0.0/8 or ::1, also mapped. */
bool access_is_loopback(const struct sockaddr *address);

#endif
