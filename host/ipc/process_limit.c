/*
 * The filter checks the number of the system call and, for clone(2), the flag CLONE_THREAD. The
 * flags of clone3(2) are in memory, which a filter cannot read: so clone3 fails with ENOSYS, and
 * the C library then calls clone(2). Calls of a foreign ABI are refused, since their numbers mean
 * other calls.
 */
#include "ipc/process_limit.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stddef.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#if defined(__x86_64__)
#define NATIVE AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define NATIVE AUDIT_ARCH_AARCH64
#elif defined(__riscv) && __riscv_xlen == 64
#define NATIVE AUDIT_ARCH_RISCV64
#endif

#ifndef SECCOMP_USER_NOTIF_FLAG_CONTINUE
#define SECCOMP_USER_NOTIF_FLAG_CONTINUE 1U
#endif

#ifdef NATIVE

#define WORD(member) ((unsigned)offsetof(struct seccomp_data, member))
#define LOAD(member) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, WORD(member))
#define RETURN(action) BPF_STMT(BPF_RET | BPF_K, (action))
/* If the word has this value, do the next instruction; else skip it. */
#define IF(value) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (value), 0, 1)
#define UNLESS(value) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (value), 1, 0)

int process_limit_install(void)
{
	static struct sock_filter steps[] = {LOAD(arch), UNLESS(NATIVE),
	    RETURN(SECCOMP_RET_ERRNO | ENOSYS), LOAD(nr),
#ifdef __x86_64__
	    /* x32 has the same architecture and different numbers, from this one up. */
	    BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, 0x40000000, 0, 1),
	    RETURN(SECCOMP_RET_ERRNO | ENOSYS),
#endif
#ifdef __NR_fork
	    IF(__NR_fork), RETURN(SECCOMP_RET_USER_NOTIF), IF(__NR_vfork),
	    RETURN(SECCOMP_RET_USER_NOTIF),
#endif
	    IF(__NR_clone3), RETURN(SECCOMP_RET_ERRNO | ENOSYS), UNLESS(__NR_clone),
	    RETURN(SECCOMP_RET_ALLOW), LOAD(args[0]),
	    BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, CLONE_THREAD, 0, 1), RETURN(SECCOMP_RET_ALLOW),
	    RETURN(SECCOMP_RET_USER_NOTIF)};
	struct sock_fprog program = {.len = sizeof(steps) / sizeof(steps[0]), .filter = steps};

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return -1;
	return (int)syscall(
	    SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, &program);
}

#else

int process_limit_install(void)
{
	errno = ENOSYS;
	return -1;
}

#endif

int process_limit_answer(int notices, uint64_t *left)
{
	struct seccomp_notif notice;
	struct seccomp_notif_resp answer;
	int refused = *left == 0;

	memset(&notice, 0, sizeof(notice));
	if (ioctl(notices, SECCOMP_IOCTL_NOTIF_RECV, &notice) < 0)
		return errno == ENOENT || errno == EINTR ? 0 : -1; /* the process is gone */
	answer = (struct seccomp_notif_resp){.id = notice.id};
	if (refused)
		answer.error = -EAGAIN;
	else
		answer.flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE;
	if (ioctl(notices, SECCOMP_IOCTL_NOTIF_SEND, &answer) == 0 && !refused)
		--*left;
	return refused;
}
