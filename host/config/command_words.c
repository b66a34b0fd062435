/* The words are written into one piece of memory, which the first pointer owns. */
#include "config/command_words.h"

#include "base/error.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* One word from *at on, to `to`; the place behind it, or NULL: a quote is not closed. */
static char *take_word(const char **at, char *to)
{
	char quote = '\0';

	for (; **at != '\0' && (quote != '\0' || strchr(" \t", **at) == NULL); ++*at) {
		if (**at == quote) {
			quote = '\0';
		} else if (quote == '\0' && (**at == '\'' || **at == '"')) {
			quote = **at;
		} else {
			if (**at == '\\' && quote != '\'' && (*at)[1] != '\0')
				++*at;
			*to++ = **at;
		}
	}
	if (quote != '\0')
		return NULL;
	*to++ = '\0';
	return to;
}

char **command_words_split(const char *text, struct error *e)
{
	size_t size = strlen(text);
	char **words = calloc(size / 2 + 2, sizeof(*words));
	char *memory = malloc(size + 1);
	size_t count = 0;

	if (words == NULL || memory == NULL) {
		free(words);
		free(memory);
		return error_set(e, "out of memory"), NULL;
	}
	for (text += strspn(text, " \t"); *text != '\0'; text += strspn(text, " \t")) {
		words[count++] = memory;
		memory = take_word(&text, memory);
		if (memory == NULL) {
			command_words_release(words);
			return error_set(e, "a quote is not closed"), NULL;
		}
	}
	if (count == 0) {
		free(memory);
		free(words);
		return error_set(e, "there is no word"), NULL;
	}
	return words;
}

void command_words_release(char **words)
{
	if (words == NULL)
		return;
	free(words[0]);
	free(words);
}
