/* What comes on a connection, until it is a request and answered. */
#ifndef EXTHOST_DIRECT_INCOMING_H
#define EXTHOST_DIRECT_INCOMING_H

#include <stdbool.h>

struct connection;
struct direct_server;

/*
 * Read what is there, and do what follows from it, once. true: there may be more, at once. false:
 * the connection is parked or closed.
 */
bool direct_incoming_go_on(struct direct_server *s, struct connection *c);

/*
 * Before it is read: from now on the guardian answers for what comes on the connection. If the slot
 * shows it as idle, it must still do so.
 */
void direct_incoming_look(struct direct_server *s, struct connection *c);

#endif
