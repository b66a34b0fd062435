/*
 * Commands as lists of words. Tcl does not parse the words of a list, so no value can turn into
 * code. Most of this binding's calls into Tcl are of this kind.
 */
#include "interpreter/tcl_words.h"

#include <stdarg.h>

struct words {
	Tcl_Obj *word[TCL_WORDS_MAX];
	int count;
};

static void add(struct words *words, const char *text);
static void add_all(struct words *words, va_list list);
static void release(struct words *words);

int tcl_words(Tcl_Interp *interp, ...)
{
	struct words words = {.count = 0};
	va_list list;
	int code;

	va_start(list, interp);
	add_all(&words, list);
	va_end(list);
	code = Tcl_EvalObjv(interp, words.count, words.word, TCL_EVAL_GLOBAL);
	release(&words);
	return code;
}

int tcl_words_call(const Tcl_CmdInfo *command, Tcl_Interp *interp, ...)
{
	struct words words = {.count = 0};
	va_list list;
	int code;

	va_start(list, interp);
	add_all(&words, list);
	va_end(list);
	Tcl_ResetResult(interp);
	code = command->objProc(command->objClientData, interp, words.count, words.word);
	release(&words);
	return code;
}

Tcl_Obj *tcl_word(Tcl_Obj **kept, const char *text)
{
	if (*kept == NULL) {
		*kept = Tcl_NewStringObj(text, -1);
		Tcl_IncrRefCount(*kept);
	}
	return *kept;
}

static void add(struct words *words, const char *text)
{
	Tcl_Obj *word;

	if (words->count == TCL_WORDS_MAX)
		return;
	word = Tcl_NewStringObj(text, -1);
	Tcl_IncrRefCount(word);
	words->word[words->count++] = word;
}

/* NULL ends the list. */
static void add_all(struct words *words, va_list list)
{
	const char *text;

	while ((text = va_arg(list, const char *)) != NULL)
		add(words, text);
}

static void release(struct words *words)
{
	while (words->count > 0)
		Tcl_DecrRefCount(words->word[--words->count]);
}
