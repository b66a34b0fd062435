/* A command line in words: blanks, quotes, backslashes, and nothing a shell would see in it. */
#include "unit.h"

#include "base/error.h"
#include "config/command_words.h"

#include <stdlib.h>
#include <string.h>

#define WORDS_MAX 8

static void blanks_and_tabs_separate_words(void **state)
{
	struct error e = {""};
	char **words = command_words_split(" \t one\ttwo   three \t", &e);

	(void)state;
	assert_non_null(words);
	assert_string_equal(words[0], "one");
	assert_string_equal(words[1], "two");
	assert_string_equal(words[2], "three");
	assert_null(words[3]);
	command_words_release(words);
}

static void each_line_gives_these_words(void **state)
{
	static const struct {
		const char *text, *words[WORDS_MAX];
	} cases[] = {
	    {"a", {"a"}},
	    {"a b c d", {"a", "b", "c", "d"}},
	    {"'a b' c", {"a b", "c"}},
	    {"\"a b\" c", {"a b", "c"}},
	    {"a' 'b\"\tc\"", {"a b\tc"}},
	    {"'' x \"\"", {"", "x", ""}},
	    {"''", {""}},
	    {"''\"\"''", {""}},
	    {"'\"' \"'\"", {"\"", "'"}},
	    {"a\\ b", {"a b"}},
	    {"\\'a\\\"", {"'a\""}},
	    {"\"a\\\"b\"", {"a\"b"}},
	    {"\"a\\b\"", {"ab"}},
	    {"'a\\b'", {"a\\b"}},
	    {"'a\\' b", {"a\\", "b"}},
	    {"\\\\", {"\\"}},
	    {"a\\", {"a\\"}},
	    {"\\ ", {" "}},
	    {"sh -c 'echo $X > /f; ls * | wc &'", {"sh", "-c", "echo $X > /f; ls * | wc &"}},
	    {"$HOME ~ *.c #x", {"$HOME", "~", "*.c", "#x"}},
	    {"\xc3\xa4 \xff", {"\xc3\xa4", "\xff"}},
	};

	(void)state;
	for (size_t i = 0; i < UNIT_COUNT(cases); i++) {
		struct error e = {""};
		char **words = command_words_split(cases[i].text, &e);
		size_t n = 0;

		if (words == NULL)
			fail_msg("%s: %s", cases[i].text, e.message);
		for (; cases[i].words[n] != NULL; n++) {
			if (words[n] == NULL)
				fail_msg("%s: only %zu words", cases[i].text, n);
			assert_string_equal(words[n], cases[i].words[n]);
		}
		assert_null(words[n]);
		command_words_release(words);
	}
}

static void a_line_of_the_shortest_words_has_room_for_all(void **state)
{
	char line[2000];
	struct error e = {""};
	char **words;
	size_t n = 0;

	(void)state;
	for (size_t i = 0; i < sizeof(line); i++)
		line[i] = i % 2 == 0 ? 'x' : ' ';
	line[sizeof(line) - 1] = '\0';
	words = command_words_split(line, &e);
	assert_non_null(words);
	for (; words[n] != NULL; n++)
		assert_string_equal(words[n], "x");
	assert_int_equal(n, sizeof(line) / 2);
	command_words_release(words);
}

static void a_quote_that_is_not_closed_is_refused(void **state)
{
	static const char *const lines[] = {
	    "'", "\"", "a 'b", "a \"b", "a b'c d", "\"a\\\"", "'a\"", "\"a'", "'a' 'b' 'c", "\"\\"};

	(void)state;
	for (size_t i = 0; i < UNIT_COUNT(lines); i++) {
		struct error e = {""};

		if (command_words_split(lines[i], &e) != NULL)
			fail_msg("not refused: %s", lines[i]);
		assert_string_equal(e.message, "a quote is not closed");
	}
}

static void a_line_without_a_word_is_refused(void **state)
{
	static const char *const lines[] = {"", " ", "\t \t"};

	(void)state;
	for (size_t i = 0; i < UNIT_COUNT(lines); i++) {
		struct error e = {""};

		assert_null(command_words_split(lines[i], &e));
		assert_string_equal(e.message, "there is no word");
	}
	command_words_release(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(blanks_and_tabs_separate_words),
	    cmocka_unit_test(each_line_gives_these_words),
	    cmocka_unit_test(a_line_of_the_shortest_words_has_room_for_all),
	    cmocka_unit_test(a_quote_that_is_not_closed_is_refused),
	    cmocka_unit_test(a_line_without_a_word_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
