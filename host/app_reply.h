/* Where the reply of an app goes: what binding.h promises of binding_reply_write and its like. */
#ifndef EXTHOST_APP_REPLY_H
#define EXTHOST_APP_REPLY_H

/* To the front, through a pipe. */
struct binding_reply {
	int pipe;
};

#endif
