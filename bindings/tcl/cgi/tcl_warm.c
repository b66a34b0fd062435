/*
 * Warming: writing ahead to the memory that a run will write.
 *
 * A forked process shares its memory with the template until it writes, and its first write to a
 * page costs a fault and a copy. So a spare, which waits for its request, runs a little of what
 * scripts do: it parses, compiles and calls, makes strings, lists and dictionaries, formats,
 * matches, reads and writes. It does not touch the standard channels.
 *
 * All that it makes is gone afterwards. The memory that this frees is the process's own by then,
 * and Tcl's allocator hands it out first.
 */
#include "cgi/tcl_warm.h"

#include <fcntl.h>

#include "cgi/tcl_run.h"
#include "cgi/tcl_source.h"
#include "interpreter/tcl_environment.h"
#include "interpreter/tcl_error.h"

static void touch(Tcl_Interp *interp);

static const char script[] =
    "namespace eval ::exthost_warm {\n"
    "	proc call {n args} {\n"
    "		set text {}\n"
    "		for {set i 0} {$i < $n} {incr i} {\n"
    "			append text [format {%03d:%s;} $i [string toupper abc$i]]\n"
    "			lappend list $i [string length $text]\n"
    "			dict set pairs key$i [expr {$i * 2 + 1.5}]\n"
    "		}\n"
    "		foreach {a b} $list { lappend sums [expr {$a + $b}] }\n"
    "		set map [string map {& &amp; < &lt;} \"<$text>\"]\n"
    "		regexp {(\\d+):([A-Z]+)} $text all one two\n"
    "		regsub -all {;} $text {,} text\n"
    "		foreach word [split $text ,] { set ::exthost_warm::seen($word) 1 }\n"
    "		return [join [lsort [dict keys $pairs]] \\n]$map[lindex $list end]\n"
    "	}\n"
    "	proc recur {n} { if {$n > 0} { return [recur [expr {$n - 1}]] }; return {} }\n"
    "	call 2 x y; recur 3; catch {error warm}\n"
    "	set a [list 1 2 3]; set b {a b c}; set c \"$a$b\"; set d [string repeat x 100]\n"
    "	set f [open /dev/null r+]; fconfigure $f -translation binary; puts $f $d\n"
    "	flush $f; read $f; close $f\n"
    "	switch -- $c { a { } default { } }\n"
    "	unset a b c d f; namespace delete ::exthost_warm\n"
    "}\n";

/*
 * Also once in the template, for what is done only the first time (the dynamic linker's work, say).
 */
int tcl_warm_start(Tcl_Interp *interp)
{
	int code = Tcl_EvalEx(interp, script, sizeof(script) - 1, TCL_EVAL_GLOBAL);

	if (code != TCL_OK)
		return code;
	touch(interp);
	return TCL_OK;
}

void tcl_warm(Tcl_Interp *interp)
{
	Tcl_EvalEx(interp, script, sizeof(script) - 1, TCL_EVAL_GLOBAL);
	touch(interp);
	tcl_error_assert_none(interp);
}

/* The binding's own steps in a run. */
static void touch(Tcl_Interp *interp)
{
	Tcl_Obj *path = Tcl_NewStringObj("/dev/null", -1);
	int null = open("/dev/null", O_RDONLY | O_CLOEXEC);

	Tcl_IncrRefCount(path);
	if (null != -1)
		tcl_source_evaluate(interp, path, null);
	Tcl_DecrRefCount(path);
	tcl_environment_follow(interp);
	Tcl_DecrRefCount(tcl_run_prepare(interp, "/dev/null"));
	tcl_error_forget(interp);
}
