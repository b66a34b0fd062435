/* Commands as lists of words, so that no script is pasted together from strings. */
#ifndef EXTHOST_TCL_WORDS_H
#define EXTHOST_TCL_WORDS_H

#include "interpreter/tcl_include.h"

enum { TCL_WORDS_MAX = 8 };

/*
 * Evaluate at global level the command made of these words (char *, at most TCL_WORDS_MAX, then
 * NULL). Returns a Tcl completion code, with the interpreter's result.
 */
int tcl_words(Tcl_Interp *interp, ...) __attribute__((sentinel));

/*
 * Likewise, but call this very command, even if a script has replaced the command of that name. The
 * first word is the name.
 */
int tcl_words_call(const Tcl_CmdInfo *command, Tcl_Interp *interp, ...) __attribute__((sentinel));

/*
 * A word that every run needs, made once and kept in *kept. What Tcl caches in the word while the
 * template uses it (the command that it names) is there in every run.
 */
Tcl_Obj *tcl_word(Tcl_Obj **kept, const char *text);

#endif
