#include "config/access_rules.h"

#include "base/error.h"
#include "config/config.h"

#include <arpa/inet.h>
#include <grp.h>
#include <pwd.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int parse_id(const char *text, uint32_t *id)
{
	char *end;
	unsigned long n = strtoul(text, &end, 10);

	*id = (uint32_t)n;
	return text[0] < '0' || text[0] > '9' || *end != '\0' || n >= 0xffffffff ? -1 : 0;
}

static int refuse_nobody(const char *text, const char *what, uint32_t id, struct error *e)
{
	return id == ACCESS_RULES_NOBODY
		   ? error_set(e, "%s (%u) stands for every unknown %s, and is never allowed", text,
			 ACCESS_RULES_NOBODY, what)
		   : 0;
}

int access_rules_parse_uid(const char *text, uid_t *uid, struct error *e)
{
	const struct passwd *user = NULL;

	if (parse_id(text, uid) < 0) {
		user = getpwnam(text);
		if (user == NULL)
			return error_set(e,
			    "'%s' is neither a user's name nor a number (id -u prints it)", text);
		*uid = user->pw_uid;
	}
	return refuse_nobody(text, "user", *uid, e);
}

int access_rules_parse_gid(const char *text, gid_t *gid, struct error *e)
{
	const struct group *group = NULL;

	if (parse_id(text, gid) < 0) {
		group = getgrnam(text);
		if (group == NULL)
			return error_set(e,
			    "'%s' is neither a group's name nor a number (id -g prints it)", text);
		*gid = group->gr_gid;
	}
	return refuse_nobody(text, "group", *gid, e);
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

/* Look up each name once, so that an access needs no file, and can be checked in any process. */
static int take_numbers(struct config_list *list,
    int (*parse)(const char *text, uint32_t *id, struct error *e), struct error *e)
{
	uint32_t id;

	for (size_t i = 0; i < list->count; i++) {
		char *number = NULL;

		if (parse(list->items[i], &id, e) < 0)
			return -1;
		if (asprintf(&number, "%u", id) < 0)
			return error_set(e, "out of memory");
		free(list->items[i]);
		list->items[i] = number;
	}
	return 0;
}

int access_rules_check(struct config *config, struct error *e)
{
	unsigned char bytes[16];
	int bits;

	if (take_numbers(&config->allow_uid, access_rules_parse_uid, e) < 0)
		return error_prefix(e, "option --allow-uid");
	if (take_numbers(&config->allow_gid, access_rules_parse_gid, e) < 0)
		return error_prefix(e, "option --allow-gid");
	for (size_t i = 0; i < config->allow_from.count; i++)
		if (access_rules_parse_cidr(config->allow_from.items[i], bytes, &bits, e) < 0)
			return error_prefix(e, "option --allow-from");
	return 0;
}
