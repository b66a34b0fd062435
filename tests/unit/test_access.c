/* Who may speak to the host, and what --allow-uid, --allow-gid and --allow-from may say. */
#include "unit.h"

#include "base/error.h"
#include "config/access_rules.h"
#include "config/config.h"
#include "net/access.h"
#include "net/listen.h"

#include <arpa/inet.h>
#include <grp.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

static const struct listener of_unix = {.kind = LISTENER_UNIX}, of_tcp = {.kind = LISTENER_TCP};

static int check_uid(const char *uid, struct error *e)
{
	struct config config = {0};
	int result;

	assert_int_equal(config_list_append(&config.allow_uid, uid), 0);
	result = access_rules_check(&config, e);
	config_list_release(&config.allow_uid);
	return result;
}

static int check_from(const char *cidr, struct error *e)
{
	struct config config = {0};
	int result;

	assert_int_equal(config_list_append(&config.allow_from, cidr), 0);
	result = access_rules_check(&config, e);
	config_list_release(&config.allow_from);
	return result;
}

static void a_user_is_a_name_or_a_number_and_never_the_unknown_one(void **state)
{
	static const char *const bad[] = {"", "no such user", "nobody", "-1", "+1", " 1", "1 ",
	    "1x", "4294967295", "4294967296", "99999999999999999999", "65534"};
	struct error e;

	(void)state;
	assert_int_equal(check_uid("0", &e), 0);
	assert_int_equal(check_uid("65533", &e), 0);
	assert_int_equal(check_uid("4294967294", &e), 0);
	for (size_t i = 0; i < UNIT_COUNT(bad); i++) {
		if (check_uid(bad[i], &e) == 0)
			fail_msg("user '%s' is not refused", bad[i]);
		assert_non_null(strstr(e.message, "option --allow-uid: "));
	}
}

static void a_group_is_a_name_or_a_number_and_never_the_unknown_one(void **state)
{
	static const char *const bad[] = {
	    "", "no such group", "nogroup", "1x", "65534", "4294967295"};
	struct error e;
	gid_t gid;

	(void)state;
	assert_int_equal(access_rules_parse_gid("daemon", &gid, &e), 0);
	assert_int_equal(gid, 1);
	assert_int_equal(access_rules_parse_gid("4294967294", &gid, &e), 0);
	for (size_t i = 0; i < UNIT_COUNT(bad); i++)
		if (access_rules_parse_gid(bad[i], &gid, &e) == 0)
			fail_msg("group '%s' is not refused", bad[i]);
}

static void names_become_numbers(void **state)
{
	struct config config = {0};
	struct error e;

	(void)state;
	assert_int_equal(config_list_append(&config.allow_uid, "daemon"), 0);
	assert_int_equal(config_list_append(&config.allow_gid, "12"), 0);
	assert_int_equal(config_list_append(&config.allow_gid, "daemon"), 0);
	assert_int_equal(access_rules_check(&config, &e), 0);
	assert_string_equal(config.allow_uid.items[0], "1");
	assert_string_equal(config.allow_gid.items[0], "12");
	assert_string_equal(config.allow_gid.items[1], "1");
	config_list_release(&config.allow_uid);
	config_list_release(&config.allow_gid);
}

static void a_block_is_an_address_and_perhaps_a_prefix(void **state)
{
	static const char *const good[] = {"10.1.2.3", "10.0.0.0/8", "0.0.0.0/0", "10.1.2.3/32",
	    "::1", "2001:db8::/32", "::/0", "2001:db8::1/128", "::ffff:10.0.0.0/104"};
	static const char *const bad[] = {"", "/8", "10.0.0", "10.0.0.0.0", "10.0.0.256",
	    "10.0.0.0/", "10.0.0.0/33", "10.0.0.0/-1", "10.0.0.0/8x", "10.0.0.0/ 8", "10.0.0.0/8/8",
	    "::/129", "localhost", "10.0.0.0/4294967296", "10.0.0.0/4294967304",
	    "2001:db8::/4294967296",
	    "1111:2222:3333:4444:5555:6666:7777:8888:9999:0000:1111:2222:3333:4444"};
	struct error e;

	(void)state;
	for (size_t i = 0; i < UNIT_COUNT(good); i++)
		if (check_from(good[i], &e) < 0)
			fail_msg("%s", e.message);
	for (size_t i = 0; i < UNIT_COUNT(bad); i++) {
		if (check_from(bad[i], &e) == 0)
			fail_msg("'%s' is not refused", bad[i]);
		assert_non_null(strstr(e.message, "option --allow-from: "));
	}
}

static bool is_loopback(const char *text)
{
	struct sockaddr_in in = {.sin_family = AF_INET};
	struct sockaddr_in6 in6 = {.sin6_family = AF_INET6};

	if (inet_pton(AF_INET, text, &in.sin_addr) == 1)
		return access_is_loopback((struct sockaddr *)&in);
	assert_int_equal(inet_pton(AF_INET6, text, &in6.sin6_addr), 1);
	return access_is_loopback((struct sockaddr *)&in6);
}

static void loopback_is_127_and_1_also_mapped(void **state)
{
	static const char *const is[] = {
	    "127.0.0.1", "127.255.255.254", "::1", "::ffff:127.0.0.1", "::ffff:127.9.9.9"};
	static const char *const is_not[] = {"126.0.0.1", "128.0.0.1", "0.0.0.0", "10.0.0.127",
	    "::", "::2", "::127.0.0.1", "::ffff:128.0.0.1", "fe80::1"};
	struct sockaddr local = {.sa_family = AF_UNIX};

	(void)state;
	for (size_t i = 0; i < UNIT_COUNT(is); i++)
		assert_true(is_loopback(is[i]));
	for (size_t i = 0; i < UNIT_COUNT(is_not); i++)
		assert_false(is_loopback(is_not[i]));
	assert_false(access_is_loopback(&local));
}

static void the_host_s_own_user_may_connect(void **state)
{
	struct config config = {0};
	struct error e = {""};
	int pair[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	assert_true(access_allows(pair[0], &of_unix, &config, &e));
	close(pair[0]);
	close(pair[1]);
}

static void loopback_may_connect_over_tcp_unless_it_is_trusted_as_fossil(void **state)
{
	const struct listener trusted = {.kind = LISTENER_TCP, .trust_fossil = true};
	struct sockaddr_in address = {
	    .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t size = sizeof(address);
	struct config config = {0};
	struct error e = {""};
	int client = socket(AF_INET, SOCK_STREAM, 0);
	int server = socket(AF_INET, SOCK_STREAM, 0);
	int accepted;

	(void)state;
	assert_int_equal(bind(server, (struct sockaddr *)&address, size), 0);
	assert_int_equal(listen(server, 1), 0);
	assert_int_equal(getsockname(server, (struct sockaddr *)&address, &size), 0);
	assert_int_equal(connect(client, (struct sockaddr *)&address, size), 0);
	accepted = accept(server, NULL, NULL);
	assert_true(accepted >= 0);
	assert_true(access_allows(accepted, &of_tcp, &config, &e));
	assert_false(access_allows(accepted, &trusted, &config, &e));
	assert_non_null(strstr(e.message, "127.0.0.1 may not connect without --allow-from"));
	assert_int_equal(config_list_append(&config.allow_from, "127.0.0.1"), 0);
	assert_true(access_allows(accepted, &trusted, &config, &e));
	config_list_release(&config.allow_from);
	close(accepted);
	close(client);
	close(server);
}

static void who_cannot_be_asked_who_he_is_may_not(void **state)
{
	static const struct {
		int domain;
		const char *reason;
	} cases[] = {{AF_UNIX, "may not connect"}, {AF_INET, "peer's address"}};
	struct config config = {0};
	struct error e = {""};
	int ends[2];

	(void)state;
	for (size_t i = 0; i < UNIT_COUNT(cases); i++) {
		int unconnected = socket(cases[i].domain, SOCK_STREAM, 0);

		assert_false(access_allows(
		    unconnected, cases[i].domain == AF_INET ? &of_tcp : &of_unix, &config, &e));
		assert_non_null(strstr(e.message, cases[i].reason));
		close(unconnected);
	}
	assert_int_equal(pipe(ends), 0);
	assert_false(access_allows(ends[0], &of_unix, &config, &e));
	assert_non_null(strstr(e.message, "peer's user"));
	close(ends[0]);
	close(ends[1]);
}

/* A peer: its user, its group and its supplementary groups. */
struct peer {
	uid_t uid;
	gid_t gid;
	size_t count;
	gid_t groups[100];
};

/* In another process: be this user, with a socket whose other end is this peer's. */
static bool may_connect_with(uid_t own, const struct peer *peer, const struct config *config)
{
	pid_t pid = fork();
	struct error e;
	int ends[2], status;

	assert_true(pid >= 0);
	if (pid == 0) {
		if (setgroups(peer->count, peer->groups) < 0 || setegid(peer->gid) < 0 ||
		    seteuid(peer->uid) < 0 || socketpair(AF_UNIX, SOCK_STREAM, 0, ends) < 0 ||
		    seteuid(0) < 0 || setuid(own) < 0)
			_exit(2);
		_exit(access_allows(ends[0], &of_unix, config, &e) ? 0 : 1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) < 2);
	return WEXITSTATUS(status) == 0;
}

static bool may_connect(uid_t own, uid_t other, const char *allowed)
{
	char *items[] = {(char *)allowed};
	const struct config config = {.allow_uid = {items, allowed != NULL ? 1 : 0}};

	return may_connect_with(own, &(struct peer){.uid = other, .gid = 7}, &config);
}

static void a_user_may_connect_who_is_the_hosts_root_or_allowed(void **state)
{
	(void)state;
	if (geteuid() != 0)
		skip();
	assert_true(may_connect(12345, 12345, NULL));
	assert_true(may_connect(12345, 0, NULL));
	assert_false(may_connect(12345, 23456, NULL));
	assert_true(may_connect(12345, 23456, "23456"));
	assert_false(may_connect(12345, 23456, "2345"));
	assert_false(may_connect(0, 23456, NULL));
	/* As which everybody appears who is unknown in a user namespace. */
	assert_false(may_connect(65534, 65534, NULL));
}

static void a_member_of_an_allowed_group_may_connect(void **state)
{
	char *items[] = {(char *)"500", (char *)"501"};
	const struct config config = {.allow_gid = {items, UNIT_COUNT(items)}};
	const struct config none = {0};
	struct peer peer = {.uid = 23456, .gid = 501};

	(void)state;
	if (geteuid() != 0)
		skip();
	assert_true(may_connect_with(12345, &peer, &config));
	assert_false(may_connect_with(12345, &peer, &none));
	peer = (struct peer){.uid = 23456, .gid = 7, .count = 2, .groups = {8, 500}};
	assert_true(may_connect_with(12345, &peer, &config));
	peer.groups[1] = 502;
	assert_false(may_connect_with(12345, &peer, &config));
	/* More than fit into the first question to the kernel. */
	peer.count = UNIT_COUNT(peer.groups);
	for (size_t i = 0; i < peer.count; i++)
		peer.groups[i] = (gid_t)(1000 + i);
	assert_false(may_connect_with(12345, &peer, &config));
	peer.groups[99] = 501;
	assert_true(may_connect_with(12345, &peer, &config));
	/* A group does not make the unknown user a known one. */
	peer.uid = 65534;
	assert_false(may_connect_with(12345, &peer, &config));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_user_is_a_name_or_a_number_and_never_the_unknown_one),
	    cmocka_unit_test(a_group_is_a_name_or_a_number_and_never_the_unknown_one),
	    cmocka_unit_test(names_become_numbers),
	    cmocka_unit_test(a_block_is_an_address_and_perhaps_a_prefix),
	    cmocka_unit_test(loopback_is_127_and_1_also_mapped),
	    cmocka_unit_test(the_host_s_own_user_may_connect),
	    cmocka_unit_test(loopback_may_connect_over_tcp_unless_it_is_trusted_as_fossil),
	    cmocka_unit_test(who_cannot_be_asked_who_he_is_may_not),
	    cmocka_unit_test(a_user_may_connect_who_is_the_hosts_root_or_allowed),
	    cmocka_unit_test(a_member_of_an_allowed_group_may_connect),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
