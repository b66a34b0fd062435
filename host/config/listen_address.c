/* ADDR[,NAME=VALUE]..., taken apart in place. */
#include "config/listen_address.h"

#include "base/error.h"
#include "config/config.h"

#include <stdlib.h>
#include <string.h>

static int parse_attribute(struct listen_address *a, char *attribute, struct error *e)
{
	char *end;

	if (strcmp(attribute, "trust=fossil") == 0) {
		a->trust_fossil = true;
	} else if (strncmp(attribute, "mode=", 5) == 0) {
		a->mode = (mode_t)strtoul(attribute + 5, &end, 8);
		if (attribute[5] == '\0' || *end != '\0' || a->mode > 0777)
			return error_set(e, "'%s' is not an octal file mode", attribute);
	} else if (strncmp(attribute, "prefix=/", 8) == 0) {
		a->prefix = attribute + 7;
	} else {
		return error_set(
		    e, "'%s' is none of trust=fossil, mode=OCTAL, prefix=/PATH", attribute);
	}
	return 0;
}

/* getaddrinfo() takes 99999 for 34463, and nothing for any free port. */
static int check_port(const char *place, struct error *e)
{
	const char *colon = strrchr(place, ':');
	char *end;
	long port;

	if (colon == NULL || colon == place)
		return error_set(e, "HOST:PORT is wanted");
	port = strtol(colon + 1, &end, 10);
	if (colon[1] < '0' || colon[1] > '9' || *end != '\0' || port > 65535)
		return error_set(e, "the port '%s' is not a number from 0 to 65535", colon + 1);
	return 0;
}

int listen_address_parse(
    struct listen_address *a, const char *text, const struct config *config, struct error *e)
{
	char *rest;

	*a = (struct listen_address){.text = strdup(text), .prefix = config->prefix, .mode = 0600};
	if (a->text == NULL)
		return error_errno(e, "listen");
	rest = a->text;
	a->place = strsep(&rest, ",");
	while (rest != NULL)
		if (parse_attribute(a, strsep(&rest, ","), e) < 0)
			return -1;
	if (strcmp(a->place, "relay") == 0)
		a->trust_fossil = true;
	else if (strncmp(a->place, "tcp:", 4) == 0)
		return check_port(a->place + 4, e);
	else if (strncmp(a->place, "unix:/", 6) != 0 && strcmp(a->place, "fd") != 0)
		return error_set(
		    e, "'%s' is none of relay, unix:/path, tcp:HOST:PORT, fd", a->place);
	return 0;
}

int listen_address_check_trust(const struct config *config, struct error *e)
{
	return config->allow_from.count > 0
		   ? 0
		   : error_set(e, "trust=fossil lets every client on a TCP socket be any Fossil "
				  "user: say with "
				  "--allow-from who may connect, loopback included");
}

int listen_address_check(const char *text, const struct config *config, struct error *e)
{
	struct listen_address a;
	int result = listen_address_parse(&a, text, config, e);

	if (result == 0 && a.trust_fossil && strncmp(a.place, "tcp:", 4) == 0)
		result = listen_address_check_trust(config, e);
	free(a.text);
	return result < 0 ? error_prefix(e, "listen %s", text) : 0;
}

int listen_address_check_all(const struct config *config, struct error *e)
{
	for (size_t i = 0; i < config->listen.count; i++)
		if (listen_address_check(config->listen.items[i], config, e) < 0)
			return -1;
	return 0;
}
