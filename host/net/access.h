/* Who may speak to the host. */
#ifndef EXTHOST_ACCESS_H
#define EXTHOST_ACCESS_H

#include <stdbool.h>

struct config;
struct error;
struct listener;
struct sockaddr;

/*
 * May the peer of this connection, accepted at this listener, speak to the host? A unix peer's uid
 * (SO_PEERCRED) must be the host's own, root or one of --allow-uid, or its gid or a supplementary
 * group (SO_PEERGROUPS, Linux 4.13) one of --allow-gid; uid 65534 never may. At the control socket
 * these options do not count, and config may be NULL. A TCP peer must be in --allow-from; loopback
 * need not be named unless the listener has trust=fossil, since every local user can connect from
 * there. false with the reason in *e.
 */
bool access_allows(
    int connection, const struct listener *listener, const struct config *config, struct error *e);

/* 127.0.0.0/8 or ::1, also mapped. */
bool access_is_loopback(const struct sockaddr *address);

#endif
