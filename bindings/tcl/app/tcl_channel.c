/*
 * stdin, stdout and stderr of an app worker.
 *
 * Each is a channel of a type of this file. stdin reads the request's body, exactly its size. What
 * is flushed from stdout goes to the host at once. Outside of a request stdin is empty and stdout
 * is the log. stderr is always the log. Buffers suit a reply: nothing leaves before a flush or 256
 * KiB, so a failure before that is a clean error page (what is buffered is discarded), and `flush
 * stdout` streams.
 *
 * A request may close and configure the channels, push a transformation onto them, or close one so
 * that the next file opened takes its place, as always in Tcl. So each request gets a new stdin and
 * stdout, which is cheaper than to undo all this. At the request's end they lose their request:
 * what still uses them (a timer of the app) reads nothing, and writes to the log. If the request
 * left something on them that would go on, they are replaced then too.
 *
 * The channels that Tcl itself made of descriptors 0, 1 and 2 are kept to the end of the process,
 * since closing them would close the descriptors.
 *
 * The file with the body is always ready, and so is the host for the reply. So an event is due as
 * soon as a script wants one, and nonblocking mode makes no difference. Left out: seeking in the
 * body.
 */
#include "app/tcl_channel.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "app/tcl_children.h"
#include "host/binding.h"
#include "interpreter/tcl_encoding.h"

#define HIDING "exthost_log" /* the name of the channel that replaces a hidden stdout */

enum { REPLY_BUFFER = 262144, BODY_BUFFER = 65536 };

/* The data of a channel. */
struct standard {
	Tcl_Channel channel;
	struct binding_call *call; /* the request; NULL: none, or none any more */
	int descriptor;            /* descriptor to read from, or to write to without a request */
	uint64_t left;             /* stdin: bytes of the body left to read */
	int watched;               /* TCL_READABLE or TCL_WRITABLE: the script wants this event */
	Tcl_TimerToken timer;      /* timer that makes the event */
	bool used;                 /* something was read or written */
};

static bool are_plain(void);
static void turn_to_log(void);
static void replace(Tcl_Interp *interp, struct binding_call *call);
static void take_away(Tcl_Interp *interp, int type, const char *name);
static bool has_errors(Tcl_Interp *interp);
static void make(
    Tcl_Interp *interp, int type, const char *name, int mode, struct standard *standard);
static const char *encoding(void);
static void follow_encoding(void);
static bool is_untouched(const struct standard *standard);
static void release(struct standard *standard);
static int close_standard(void *data, Tcl_Interp *interp, int flags);
static int read_body(void *data, char *bytes, int size, int *error);
static int write_reply(void *data, const char *bytes, int size, int *error);
static int write_log(int descriptor, const char *bytes, int size, int *error);
static void end_line(void);
static void watch(void *data, int mask);
static void notify(void *data);
static int get_handle(void *data, int direction, void **handle);
static int set_blocking(void *data, int mode);

static const Tcl_ChannelType standard_type = {
    .typeName = "exthost",
    .version = TCL_CHANNEL_VERSION_5,
    .closeProc = TCL_CLOSE2PROC,
    .inputProc = read_body,
    .outputProc = write_reply,
    .watchProc = watch,
    .getHandleProc = get_handle,
    .close2Proc = close_standard,
    .blockModeProc = set_blocking,
};

/* Tcl has one set of standard channels for each thread, and the app is in one thread. */
static struct {
	struct standard *in, *out, *errors; /* the present channels; NULL: closed */
	struct standard *hidden; /* the request's stdout while the name stdout means the log */
	bool broken;             /* the client has gone */
	bool discarded;          /* what is written is discarded */
	bool last;               /* what is written is the end of the reply */
	bool open_line;          /* the last line in the log is unfinished */
	char encoding[64]; /* encoding of new channels, as the app set it; "": UTF-8, and no app */
} standards;

void tcl_channel_start(Tcl_Interp *interp)
{
	static const int types[] = {TCL_STDIN, TCL_STDOUT, TCL_STDERR};

	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		Tcl_Channel kept = Tcl_GetStdChannel(types[i]);

		if (kept != NULL)
			Tcl_RegisterChannel(NULL, kept);
	}
	replace(interp, NULL);
}

void tcl_channel_begin(Tcl_Interp *interp, struct binding_call *call)
{
	replace(interp, call);
	standards.broken = false;
	standards.discarded = false;
	standards.last = false;
}

int tcl_channel_end(Tcl_Interp *interp)
{
	struct standard *out = standards.out;
	int result = 0;

	/*
	 * Tcl holds at most one buffer, since write_reply takes all of it: so the flush is one call
	 * of write_reply.
	 */
	standards.last = are_plain();
	if (out != NULL && Tcl_Flush(out->channel) != TCL_OK) {
		if (!standards.broken)
			dprintf(STDERR_FILENO, "error flushing \"stdout\": %s\n",
			    Tcl_ErrnoMsg(Tcl_GetErrno()));
		result = -1;
	}
	if (result == 0 && are_plain() && has_errors(interp) &&
	    Tcl_InputBuffered(standards.in->channel) == 0)
		turn_to_log();
	else
		/*
		 * Closing may still write, as a transformation does. Body that was read ahead is
		 * dropped.
		 */
		replace(interp, NULL);
	end_line();
	return standards.broken ? -1 : result;
}

/*
 * Make Tcl look up the channel's name again. Tcl caches it until the channel is unregistered from
 * an interpreter, which must not be this one: its event handlers would go too.
 */
static void forget_name(Tcl_Channel channel)
{
	static const int types[] = {TCL_STDIN, TCL_STDOUT, TCL_STDERR};
	static Tcl_Interp *other;

	if (other == NULL) {
		other = Tcl_CreateInterp();
		Tcl_RegisterChannel(other, channel);
		/* The new interpreter has got the standard channels too. */
		for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
			Tcl_Channel standard = Tcl_GetStdChannel(types[i]);

			if (standard != NULL && Tcl_IsChannelRegistered(other, standard))
				Tcl_UnregisterChannel(other, standard);
		}
	} else {
		Tcl_RegisterChannel(other, channel);
	}
	Tcl_UnregisterChannel(other, channel);
}

/* Tcl finds a standard channel by the name of the channel in its place. */
bool tcl_channel_hide(Tcl_Interp *interp)
{
	struct standard *out = standards.out;
	struct standard log = {.descriptor = STDOUT_FILENO};
	Tcl_InterpState state;

	if (standards.hidden != NULL || out == NULL || out->call == NULL ||
	    Tcl_GetStdChannel(TCL_STDOUT) != out->channel || Tcl_InterpDeleted(interp))
		return false;
	state = Tcl_SaveInterpState(interp, TCL_OK);
	/* The reference of that place is now this one. */
	standards.hidden = out;
	make(interp, TCL_STDOUT, HIDING, TCL_WRITABLE, &log);
	tcl_children_add(interp, standards.out->channel, out->channel);
	forget_name(out->channel);
	Tcl_RestoreInterpState(interp, state);
	return true;
}

void tcl_channel_show(Tcl_Interp *interp)
{
	struct standard *out = standards.hidden;
	Tcl_InterpState state;

	if (out == NULL)
		return;
	state = Tcl_SaveInterpState(interp, TCL_OK);
	if (standards.out != NULL)
		tcl_children_remove(interp, standards.out->channel);
	take_away(interp, TCL_STDOUT, HIDING);
	standards.hidden = NULL;
	standards.out = out;
	Tcl_SetStdChannel(out->channel, TCL_STDOUT);
	Tcl_RestoreInterpState(interp, state);
}

bool tcl_channel_is_hidden(void)
{
	return standards.hidden != NULL;
}

void tcl_channel_discard(void)
{
	standards.discarded = true;
}

bool tcl_channel_is_broken(void)
{
	return standards.broken;
}

/*
 * True if stdin and stdout are in their places, with no event wanted and no transformation pushed.
 */
static bool are_plain(void)
{
	const struct standard *in = standards.in;
	const struct standard *out = standards.out;

	return in != NULL && out != NULL && in->watched == 0 && out->watched == 0 &&
	       Tcl_GetStdChannel(TCL_STDIN) == in->channel &&
	       Tcl_GetStdChannel(TCL_STDOUT) == out->channel &&
	       Tcl_GetTopChannel(in->channel) == in->channel &&
	       Tcl_GetTopChannel(out->channel) == out->channel;
}

static void turn_to_log(void)
{
	release(standards.in);
	release(standards.out);
	Tcl_SetChannelOption(NULL, standards.out->channel, "-buffering", "line");
}

/*
 * All three are taken out of their places first: a channel made while a place is empty, because a
 * script has closed it, would get that place. (Taken out is another kind of empty.)
 */
static void replace(Tcl_Interp *interp, struct binding_call *call)
{
	bool errors = !has_errors(interp);
	struct standard in = {.call = call, .descriptor = call != NULL ? call->body : -1};
	struct standard out = {.call = call, .descriptor = STDOUT_FILENO};
	struct standard log = {.descriptor = STDERR_FILENO};

	take_away(interp, TCL_STDIN, "stdin");
	take_away(interp, TCL_STDOUT, "stdout");
	if (errors)
		take_away(interp, TCL_STDERR, "stderr");
	release(standards.in);
	release(standards.out);
	if (in.descriptor != -1)
		in.left = call->body_size;
	make(interp, TCL_STDIN, "stdin", TCL_READABLE, &in);
	make(interp, TCL_STDOUT, "stdout", TCL_WRITABLE, &out);
	if (errors)
		make(interp, TCL_STDERR, "stderr", TCL_WRITABLE, &log);
	tcl_children_follow(interp, standards.in->channel, "stdin");
	tcl_children_follow(interp, standards.out->channel, "stdout");
	Tcl_ResetResult(interp);
}

/*
 * Release two references: the thread's, to the channel in that place, and the interpreter's, to the
 * channel of that name.
 */
static void take_away(Tcl_Interp *interp, int type, const char *name)
{
	Tcl_Channel old = Tcl_GetStdChannel(type);
	Tcl_Channel named;

	if (old != NULL && (Tcl_GetChannelMode(old) & TCL_WRITABLE) != 0)
		Tcl_Flush(old);
	Tcl_SetStdChannel(NULL, type);
	named = Tcl_GetChannel(interp, name, NULL);
	if (named != NULL)
		Tcl_UnregisterChannel(interp, named);
	if (old != NULL)
		Tcl_UnregisterChannel(NULL, old);
}

static bool has_errors(Tcl_Interp *interp)
{
	return standards.errors != NULL &&
	       Tcl_GetStdChannel(TCL_STDERR) == standards.errors->channel &&
	       Tcl_IsChannelRegistered(interp, standards.errors->channel);
}

static void make(
    Tcl_Interp *interp, int type, const char *name, int mode, struct standard *standard)
{
	struct standard *made = (struct standard *)Tcl_Alloc(sizeof(*made));

	*made = *standard;
	made->channel = Tcl_CreateChannel(&standard_type, name, made, mode);
	Tcl_SetStdChannel(made->channel, type);
	Tcl_RegisterChannel(NULL, made->channel);
	Tcl_RegisterChannel(interp, made->channel);
	/* An earlier request may have changed the system encoding. */
	if (strcmp(Tcl_GetEncodingName(NULL), encoding()) != 0)
		Tcl_SetChannelOption(NULL, made->channel, "-encoding", encoding());
	if (type == TCL_STDIN) {
		standards.in = made;
		if (made->left > 0)
			Tcl_SetChannelBufferSize(made->channel, BODY_BUFFER);
	} else if (type == TCL_STDOUT) {
		standards.out = made;
		if (made->call != NULL)
			Tcl_SetChannelBufferSize(made->channel, REPLY_BUFFER);
		else
			Tcl_SetChannelOption(NULL, made->channel, "-buffering", "line");
	} else {
		standards.errors = made;
		Tcl_SetChannelOption(NULL, made->channel, "-buffering", "none");
	}
}

static const char *encoding(void)
{
	return standards.encoding[0] != '\0' ? standards.encoding : "utf-8";
}

void tcl_channel_loaded(void)
{
	end_line();
	snprintf(standards.encoding, sizeof(standards.encoding), "%s", Tcl_GetEncodingName(NULL));
	tcl_encoding_notify(follow_encoding);
}

/*
 * The app has set the system encoding, perhaps in a request: set it for the request's channels too,
 * unless they have been used or were given another one.
 */
static void follow_encoding(void)
{
	struct standard *const all[] = {standards.in, standards.out};

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		if (all[i] != NULL && all[i]->call != NULL && is_untouched(all[i]))
			Tcl_SetChannelOption(
			    NULL, all[i]->channel, "-encoding", Tcl_GetEncodingName(NULL));
}

static bool is_untouched(const struct standard *standard)
{
	Tcl_DString present;
	bool same;

	if (standard->used || Tcl_InputBuffered(standard->channel) != 0 ||
	    Tcl_OutputBuffered(standard->channel) != 0)
		return false;
	Tcl_DStringInit(&present);
	same = Tcl_GetChannelOption(NULL, standard->channel, "-encoding", &present) == TCL_OK &&
	       strcmp(Tcl_DStringValue(&present), encoding()) == 0;
	Tcl_DStringFree(&present);
	return same;
}

/*
 * Detach a channel from its request. Something else may still use the channel, or it may be NULL.
 */
static void release(struct standard *standard)
{
	if (standard == NULL)
		return;
	standard->call = NULL;
	standard->left = 0;
}

static int close_standard(void *data, Tcl_Interp *interp, int flags)
{
	struct standard *standard = data;
	struct standard **places[] = {&standards.in, &standards.out, &standards.errors};

	(void)interp;
	if ((flags & (TCL_CLOSE_READ | TCL_CLOSE_WRITE)) != 0)
		return EINVAL;
	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++)
		if (*places[i] == standard)
			*places[i] = NULL;
	Tcl_DeleteTimerHandler(standard->timer);
	Tcl_Free((void *)standard);
	return 0;
}

static int read_body(void *data, char *bytes, int size, int *error)
{
	struct standard *standard = data;
	size_t most = standard->left < (uint64_t)size ? (size_t)standard->left : (size_t)size;
	ssize_t got = 0;

	standard->used = true;
	if (most == 0)
		return 0;
	do
		got = read(standard->descriptor, bytes, most);
	while (got == -1 && errno == EINTR);
	if (got == -1) {
		*error = errno;
		return -1;
	}
	standard->left -= (uint64_t)got;
	return (int)got;
}

static int write_reply(void *data, const char *bytes, int size, int *error)
{
	struct standard *standard = data;
	struct iovec piece = {.iov_base = (void *)(uintptr_t)bytes, .iov_len = (size_t)size};

	standard->used = true;
	if (standard->call == NULL)
		return write_log(standard->descriptor, bytes, size, error);
	if (standards.discarded)
		return size;
	if ((standards.last ? binding_reply_finish : binding_reply_write)(
		standard->call, &piece, 1) == 0)
		return size;
	*error = errno;
	standards.broken = standards.broken || errno == EPIPE;
	return -1;
}

static int write_log(int descriptor, const char *bytes, int size, int *error)
{
	ssize_t written;

	do
		written = write(descriptor, bytes, (size_t)size);
	while (written == -1 && errno == EINTR);
	if (written == -1)
		*error = errno;
	else if (written > 0)
		standards.open_line = bytes[written - 1] != '\n';
	return (int)written;
}

/* Finish the last line in the log, so that a later request does not continue it. */
static void end_line(void)
{
	if (standards.open_line)
		(void)!write(STDERR_FILENO, "\n", 1);
	standards.open_line = false;
}

/* Makes one event: Tcl calls this again after it. */
static void watch(void *data, int mask)
{
	struct standard *standard = data;

	standard->watched = mask & (TCL_READABLE | TCL_WRITABLE);
	if (standard->watched != 0 && standard->timer == NULL)
		standard->timer = Tcl_CreateTimerHandler(0, notify, standard);
}

static void notify(void *data)
{
	struct standard *standard = data;

	standard->timer = NULL;
	if (standard->watched != 0)
		Tcl_NotifyChannel(standard->channel, standard->watched);
}

/* Called for programs that the app starts. */
static int get_handle(void *data, int direction, void **handle)
{
	struct standard *standard = data;
	int descriptor = standard->descriptor;

	if (direction == TCL_READABLE && descriptor == -1)
		descriptor = STDIN_FILENO;
	if (direction == TCL_WRITABLE && standard->call != NULL)
		descriptor = binding_reply_descriptor(standard->call);
	*handle = (void *)(intptr_t)descriptor;
	return descriptor == -1 ? TCL_ERROR : TCL_OK;
}

static int set_blocking(void *data, int mode)
{
	(void)data;
	(void)mode;
	return 0;
}
