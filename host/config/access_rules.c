#include "config/access_rules.h"

#include "base/error.h"
#include "config/config.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int access_rules_parse_uid(const char *text, uid_t *uid, struct error *e)
{
	char *end;
	unsigned long n = strtoul(text, &end, 10);

	if (text[0] < '0' || text[0] > '9' || *end != '\0' || n >= 0xffffffff)
		return error_set(e, "'%s' is not a user's number (id -u prints it)", text);
	*uid = (uid_t)n;
	return *uid == ACCESS_RULES_NOBODY ? error_set(e,
						 "%u stands for every unknown user, "
						 "and is never allowed",
						 ACCESS_RULES_NOBODY)
					   : 0;
}

int access_rules_parse_ip(const char *text, unsigned char bytes[16], int *bits)
{
	static const unsigned char mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

	memcpy(bytes, mapped, sizeof(mapped));
	*bits = 32;
	if (inet_pton(AF_INET, text, bytes + 12) == 1)
		return 0;
	*bits = 128;
	return inet_pton(AF_INET6, text, bytes) == 1 ? 0 : -1;
}

int access_rules_parse_cidr(const char *text, unsigned char bytes[16], int *prefix, struct error *e)
{
	char host[INET6_ADDRSTRLEN + 1];
	const char *slash = strchr(text, '/');
	size_t size = slash != NULL ? (size_t)(slash - text) : strlen(text);
	char *end = NULL;
	long wanted;
	int bits;

	snprintf(host, sizeof(host), "%.*s", (int)(size < sizeof(host) ? size : 0), text);
	if (access_rules_parse_ip(host, bytes, &bits) < 0)
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

int access_rules_check(const struct config *config, struct error *e)
{
	unsigned char bytes[16];
	uid_t uid;
	int bits;

	for (size_t i = 0; i < config->allow_uid.count; i++)
		if (access_rules_parse_uid(config->allow_uid.items[i], &uid, e) < 0)
			return error_prefix(e, "option --allow-uid");
	for (size_t i = 0; i < config->allow_from.count; i++)
		if (access_rules_parse_cidr(config->allow_from.items[i], bytes, &bits, e) < 0)
			return error_prefix(e, "option --allow-from");
	return 0;
}
