/* Descriptors: owning them, moving bytes through them, passing them to another process. */
#ifndef EXTHOST_FD_H
#define EXTHOST_FD_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#define FD_PASS_MAX 8

/* Close *fd unless it is -1, and make it -1. errno is kept. */
void fd_close(int *fd);

/* A descriptor that is closed when its name goes out of scope. */
#define FD_OWNED __attribute__((cleanup(fd_close)))

/*
 * A copy above the numbers that a script could get for what it opens, or the very thing moved there:
 * its first file has the number that it would have elsewhere. Close-on-exec. -1 for -1, and with
 * errno; what is to be moved is closed in any case.
 */
int fd_dup_high(int fd);
int fd_move_high(int fd);

/* Write all, through short writes and EINTR. 0, or -1 with errno. */
int fd_write_all(int fd, const void *data, size_t size);

/* Read up to size bytes until end of file. The number read, or -1 with errno. */
ssize_t fd_read_all(int fd, void *data, size_t size);

/* O_NONBLOCK on or off. 0 or -1 with errno. */
int fd_set_nonblocking(int fd, bool on);

/* Close every descriptor from `first` up but `keep` (-1: none). */
void fd_close_from(int first, int keep);

/*
 * One packet over a socket, with up to FD_PASS_MAX descriptors beside it. Sending never raises
 * SIGPIPE. 0, or -1 with errno.
 */
int fd_send(int socket, const void *data, size_t size, const int *fds, int count);

/*
 * Receive one packet; the descriptors that came are put into fds (close-on-exec), the rest of its
 * FD_PASS_MAX places are -1. flags as for recvmsg(2). The size of the packet, 0 at end of file, -1
 * with errno.
 */
ssize_t fd_receive(int socket, void *data, size_t size, int fds[FD_PASS_MAX], int flags);

/*
 * An unlinked file of its own, read and write: in memory (it can be sealed, fcntl(2)), or in a folder on
 * disk. -1 with errno.
 */
int fd_memory_file(const char *name);
int fd_temporary_file(const char *folder);

#endif
