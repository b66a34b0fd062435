/*
 * A peer that can connect decides FOSSIL_USER and FOSSIL_CAPABILITIES. So its user or address is
 * checked before a byte of it is read.
 */
#include "net/access.h"

#include "base/error.h"
#include "config/access_rules.h"
#include "config/config.h"
#include "net/listen.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

bool access_is_loopback(const struct sockaddr *address)
{
	if (address->sa_family == AF_INET) {
		const struct sockaddr_in *in = (const struct sockaddr_in *)address;

		return (ntohl(in->sin_addr.s_addr) >> 24) == 127;
	}
	if (address->sa_family == AF_INET6) {
		const struct in6_addr *in6 = &((const struct sockaddr_in6 *)address)->sin6_addr;

		return IN6_IS_ADDR_LOOPBACK(in6) ||
		       (IN6_IS_ADDR_V4MAPPED(in6) && in6->s6_addr[12] == 127);
	}
	return false;
}

static bool same_prefix(const unsigned char *a, const unsigned char *b, int bits)
{
	if (memcmp(a, b, (size_t)bits / 8) != 0)
		return false;
	return bits % 8 == 0 || ((a[bits / 8] ^ b[bits / 8]) >> (8 - bits % 8)) == 0;
}

static bool is_allowed_group(gid_t gid, const struct config *config)
{
	gid_t allowed;

	for (size_t i = 0; i < config->allow_gid.count; i++)
		if (access_rules_parse_gid(config->allow_gid.items[i], &allowed, NULL) == 0 &&
		    gid == allowed)
			return true;
	return false;
}

/* Does the peer have an allowed supplementary group? */
static bool has_allowed_group(int connection, const struct config *config)
{
	gid_t few[32], *groups = few;
	socklen_t size = sizeof(few);
	int result = getsockopt(connection, SOL_SOCKET, SO_PEERGROUPS, groups, &size);
	bool found = false;

	/* The kernel has told the size that it needs; a process has at most 65536 groups. */
	if (result < 0 && errno == ERANGE && (groups = malloc(size)) != NULL)
		result = getsockopt(connection, SOL_SOCKET, SO_PEERGROUPS, groups, &size);
	for (size_t i = 0; result == 0 && !found && i < size / sizeof(gid_t); i++)
		found = is_allowed_group(groups[i], config);
	if (groups != few)
		free(groups);
	return found;
}

/* At the control socket: the host's own user and root alone. */
static bool allows_user(
    int connection, const struct listener *listener, const struct config *config, struct error *e)
{
	struct ucred peer = {.uid = ACCESS_RULES_NOBODY};
	socklen_t size = sizeof(peer);
	uid_t uid;

	if (getsockopt(connection, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0)
		return error_errno(e, "peer's user"), false;
	if (peer.uid == ACCESS_RULES_NOBODY)
		return error_set(e, "user %u (nobody, or unknown here) may not connect", peer.uid),
		       false;
	if (peer.uid == 0 || peer.uid == geteuid())
		return true;
	if (listener->control)
		return error_set(e, "user %u may not ask: only the host's own user and root may",
			   peer.uid),
		       false;
	for (size_t i = 0; i < config->allow_uid.count; i++)
		if (access_rules_parse_uid(config->allow_uid.items[i], &uid, NULL) == 0 &&
		    uid == peer.uid)
			return true;
	if (config->allow_gid.count > 0 &&
	    (is_allowed_group(peer.gid, config) || has_allowed_group(connection, config)))
		return true;
	return error_set(e,
		   "user %u (group %u) may not connect without --allow-uid %u or an --allow-gid",
		   peer.uid, peer.gid, peer.uid),
	       false;
}

/* Without trust=fossil loopback is allowed, also if --allow-from does not name it. */
static bool allows_address(
    int connection, bool trusted, const struct config *config, struct error *e)
{
	union {
		struct sockaddr any;
		struct sockaddr_in in;
		struct sockaddr_in6 in6;
	} peer = {0};
	socklen_t size = sizeof(peer);
	char text[INET6_ADDRSTRLEN] = "";
	unsigned char have[16] = {0}, wanted[16] = {0};
	int bits;

	if (getpeername(connection, &peer.any, &size) < 0)
		return error_errno(e, "peer's address"), false;
	if (!trusted && access_is_loopback(&peer.any))
		return true;
	inet_ntop(peer.any.sa_family,
	    peer.any.sa_family == AF_INET6 ? (void *)&peer.in6.sin6_addr
					   : (void *)&peer.in.sin_addr,
	    text, sizeof(text));
	if (access_rules_parse_ip(text, have, &bits) == 0)
		for (size_t i = 0; i < config->allow_from.count; i++)
			if (access_rules_parse_cidr(
				config->allow_from.items[i], wanted, &bits, NULL) == 0 &&
			    same_prefix(have, wanted, bits))
				return true;
	return error_set(e, "%s may not connect without --allow-from", text), false;
}

bool access_allows(
    int connection, const struct listener *listener, const struct config *config, struct error *e)
{
	return listener->kind == LISTENER_TCP
		   ? allows_address(connection, listener->trust_fossil, config, e)
		   : allows_user(connection, listener, config, e);
}
