/* File descriptors: close them, read and write through them, pass them to another process. */
#ifndef EXTHOST_FD_H
#define EXTHOST_FD_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#define FD_PASS_MAX 8

/* Close *fd unless it is -1, and set it to -1. errno is preserved. */
void fd_close(int *fd);

/* Attribute of a variable: its file descriptor is closed when the variable goes out of scope. */
#define FD_OWNED __attribute__((cleanup(fd_close)))

/*
 * Duplicate (or move) a descriptor above the numbers a script gets from open(2), so that the
 * script's first file is 3 as under CGI. Close-on-exec. -1 with errno; -1 for -1. fd_move_high
 * closes `fd` in any case.
 */
int fd_dup_high(int fd);
int fd_move_high(int fd);

/* Write all bytes, through short writes and EINTR. 0, or -1 with errno. */
int fd_write_all(int fd, const void *data, size_t size);

/* Read until there are `size` bytes or the file ends. The number of bytes, or -1 with errno. */
ssize_t fd_read_all(int fd, void *data, size_t size);

/* Set or clear O_NONBLOCK. 0, or -1 with errno. */
int fd_set_nonblocking(int fd, bool on);

/* Close every descriptor from `first` up, except `keep` (-1: no exception). */
void fd_close_from(int first, int keep);

/*
 * Send one packet over a socket, with up to FD_PASS_MAX descriptors. Never raises SIGPIPE. 0, or -1
 * with errno.
 */
int fd_send(int socket, const void *data, size_t size, const int *fds, int count);

/*
 * Receive one packet. Its descriptors are put into fds (close-on-exec); the unused places of fds
 * are set to -1. flags: as for recvmsg(2). The size of the packet, 0 at end of file, or -1 with
 * errno.
 */
ssize_t fd_receive(int socket, void *data, size_t size, int fds[FD_PASS_MAX], int flags);

/*
 * Create an unlinked file for reading and writing: in memory (it can be sealed, fcntl(2)), or in a
 * directory on disk. -1 with errno.
 */
int fd_memory_file(const char *name);
int fd_temporary_file(const char *folder);

#endif
