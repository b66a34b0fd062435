/* A command line in words, with no shell. */
#ifndef EXTHOST_COMMAND_WORDS_H
#define EXTHOST_COMMAND_WORDS_H

struct error;

/*
 * Split at blanks. '...' and "..." hold blanks together, a backslash (not within '...') takes the
 * next character as it is; nothing else means anything. A NULL-terminated array, freed by
 * command_words_release; NULL with *e: no memory, a quote that is not closed, or no word at all.
 */
char **command_words_split(const char *text, struct error *e);

void command_words_release(char **words);

#endif
