/*
 * Whoever can connect decides FOSSIL_USER and FOSSIL_CAPABILITIES, so a peer is asked who it is
 * before a byte of it is read.
 */
#include "net/access.h"

#include "base/error.h"
#include "config/config.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define OVERFLOW_UID 65534 /* what SO_PEERCRED says of everybody outside a user namespace */

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

static int parse_uid(const char *text, uid_t *uid, struct error *e)
{
	char *end;
	unsigned long n = strtoul(text, &end, 10);

	if (text[0] < '0' || text[0] > '9' || *end != '\0' || n >= 0xffffffff)
		return error_set(e, "'%s' is not a user's number (id -u prints it)", text);
	*uid = (uid_t)n;
	return *uid == OVERFLOW_UID ? error_set(e,
					  "%u stands for every unknown user, "
					  "and is never allowed",
					  OVERFLOW_UID)
				    : 0;
}

/* An address as 16 bytes, an IPv4 one mapped into IPv6. */
static int parse_ip(const char *text, unsigned char bytes[16], int *bits)
{
	static const unsigned char mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

	memcpy(bytes, mapped, sizeof(mapped));
	*bits = 32;
	if (inet_pton(AF_INET, text, bytes + 12) == 1)
		return 0;
	*bits = 128;
	return inet_pton(AF_INET6, text, bytes) == 1 ? 0 : -1;
}

static int parse_cidr(const char *text, unsigned char bytes[16], int *prefix, struct error *e)
{
	char host[INET6_ADDRSTRLEN + 1];
	const char *slash = strchr(text, '/');
	size_t size = slash != NULL ? (size_t)(slash - text) : strlen(text);
	char *end = NULL;
	long wanted;
	int bits;

	snprintf(host, sizeof(host), "%.*s", (int)(size < sizeof(host) ? size : 0), text);
	if (parse_ip(host, bytes, &bits) < 0)
		return error_set(e, "'%s' is not an address or a CIDR block", text);
	*prefix = bits;
	if (slash != NULL) {
		wanted = strtol(slash + 1, &end, 10);
		if (slash[1] < '0' || slash[1] > '9' || *end != '\0' || wanted > bits)
			return error_set(e, "'%s': the prefix is not 0 to %d", text, bits);
		*prefix = (int)wanted;
	}
	*prefix += 128 - bits;
	return 0;
}

int access_check_uid(const char *text, struct error *e)
{
	uid_t uid;

	return parse_uid(text, &uid, e);
}

int access_check_cidr(const char *text, struct error *e)
{
	unsigned char bytes[16];
	int prefix;

	return parse_cidr(text, bytes, &prefix, e);
}

int access_check_options(const struct config *config, struct error *e)
{
	for (size_t i = 0; i < config->allow_uid.count; i++)
		if (access_check_uid(config->allow_uid.items[i], e) < 0)
			return error_prefix(e, "option --allow-uid");
	for (size_t i = 0; i < config->allow_from.count; i++)
		if (access_check_cidr(config->allow_from.items[i], e) < 0)
			return error_prefix(e, "option --allow-from");
	return 0;
}

static bool same_prefix(const unsigned char *a, const unsigned char *b, int bits)
{
	if (memcmp(a, b, (size_t)bits / 8) != 0)
		return false;
	return bits % 8 == 0 || ((a[bits / 8] ^ b[bits / 8]) >> (8 - bits % 8)) == 0;
}

static bool allows_uid(int connection, const struct config *config, struct error *e)
{
	struct ucred peer = {.uid = OVERFLOW_UID};
	socklen_t size = sizeof(peer);
	uid_t uid;

	if (getsockopt(connection, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0)
		return error_errno(e, "peer's user"), false;
	if (peer.uid == OVERFLOW_UID)
		return error_set(e, "user %u (nobody, or unknown here) may not connect", peer.uid),
		       false;
	if (peer.uid == 0 || peer.uid == geteuid())
		return true;
	for (size_t i = 0; i < config->allow_uid.count; i++)
		if (parse_uid(config->allow_uid.items[i], &uid, NULL) == 0 && uid == peer.uid)
			return true;
	return error_set(e, "user %u may not connect without --allow-uid %u", peer.uid, peer.uid),
	       false;
}

static bool allows_address(int connection, const struct config *config, struct error *e)
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
	if (access_is_loopback(&peer.any))
		return true;
	inet_ntop(peer.any.sa_family,
	    peer.any.sa_family == AF_INET6 ? (void *)&peer.in6.sin6_addr
					   : (void *)&peer.in.sin_addr,
	    text, sizeof(text));
	if (parse_ip(text, have, &bits) == 0)
		for (size_t i = 0; i < config->allow_from.count; i++)
			if (parse_cidr(config->allow_from.items[i], wanted, &bits, NULL) == 0 &&
			    same_prefix(have, wanted, bits))
				return true;
	return error_set(e, "%s may not connect without --allow-from", text), false;
}

bool access_allows(int connection, bool tcp, const struct config *config, struct error *e)
{
	return tcp ? allows_address(connection, config, e) : allows_uid(connection, config, e);
}
