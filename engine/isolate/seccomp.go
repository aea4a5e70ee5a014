//go:build linux && (amd64 || arm64)

package isolate

import (
	"fmt"
	"os"
	"runtime"
	"slices"
	"unsafe"

	"golang.org/x/sys/unix"
)

// refused are calls that no run needs, and by which a process reaches others, the network,
// what landlock leaves open of files, or less tried parts of the kernel. refusedHere are
// those that one machine has besides.
var refused = []uint32{
	// Programs and processes.
	unix.SYS_EXECVE, unix.SYS_EXECVEAT, unix.SYS_PTRACE, unix.SYS_PROCESS_VM_READV, unix.SYS_PROCESS_VM_WRITEV,
	unix.SYS_PROCESS_MADVISE, unix.SYS_PROCESS_MRELEASE, unix.SYS_KCMP, unix.SYS_KILL, unix.SYS_TKILL, unix.SYS_RT_SIGQUEUEINFO,
	unix.SYS_RT_TGSIGQUEUEINFO, unix.SYS_PIDFD_OPEN, unix.SYS_PIDFD_GETFD, unix.SYS_PIDFD_SEND_SIGNAL, unix.SYS_SETPRIORITY,
	unix.SYS_SCHED_SETAFFINITY, unix.SYS_SCHED_SETSCHEDULER, unix.SYS_SCHED_SETPARAM, unix.SYS_SCHED_SETATTR, unix.SYS_IOPRIO_SET, unix.SYS_MIGRATE_PAGES,
	unix.SYS_MOVE_PAGES, unix.SYS_SETRLIMIT, unix.SYS_PERSONALITY, unix.SYS_UNSHARE, unix.SYS_SETNS,
	// Who it is: the kernel would no longer end it with the program.
	unix.SYS_SETUID, unix.SYS_SETGID, unix.SYS_SETREUID, unix.SYS_SETREGID, unix.SYS_SETRESUID, unix.SYS_SETRESGID, unix.SYS_SETFSUID,
	unix.SYS_SETFSGID, unix.SYS_SETGROUPS, unix.SYS_CAPSET,
	// The network, and memory with names.
	unix.SYS_SOCKET, unix.SYS_SOCKETPAIR, unix.SYS_CONNECT, unix.SYS_BIND, unix.SYS_LISTEN, unix.SYS_ACCEPT, unix.SYS_ACCEPT4,
	unix.SYS_SHMGET, unix.SYS_SHMAT, unix.SYS_SHMCTL, unix.SYS_MSGGET, unix.SYS_MSGSND, unix.SYS_MSGRCV, unix.SYS_MSGCTL, unix.SYS_SEMGET,
	unix.SYS_SEMOP, unix.SYS_SEMTIMEDOP, unix.SYS_SEMCTL, unix.SYS_MQ_OPEN, unix.SYS_MQ_UNLINK, unix.SYS_MEMFD_CREATE, unix.SYS_MEMFD_SECRET,
	// Memory that counts as no process's: descriptors on their way, pipes, the kernel's rules.
	unix.SYS_SENDMSG, unix.SYS_SENDMMSG, unix.SYS_SETSOCKOPT, unix.SYS_PIPE2, unix.SYS_SPLICE, unix.SYS_TEE, unix.SYS_VMSPLICE,
	unix.SYS_IO_SETUP, unix.SYS_LANDLOCK_CREATE_RULESET, unix.SYS_LANDLOCK_ADD_RULE, unix.SYS_SECCOMP,
	// Files, in ways that landlock, or an old one, does not see.
	unix.SYS_TRUNCATE, unix.SYS_FCHMOD, unix.SYS_FCHMODAT, unix.SYS_FCHMODAT2, unix.SYS_FCHOWN, unix.SYS_FCHOWNAT, unix.SYS_UTIMENSAT,
	unix.SYS_SETXATTR, unix.SYS_LSETXATTR, unix.SYS_FSETXATTR, unix.SYS_REMOVEXATTR, unix.SYS_LREMOVEXATTR, unix.SYS_FREMOVEXATTR,
	unix.SYS_MKNODAT, unix.SYS_MKDIRAT, unix.SYS_UNLINKAT, unix.SYS_SYMLINKAT, unix.SYS_LINKAT, unix.SYS_RENAMEAT2, unix.SYS_IOCTL,
	unix.SYS_FLOCK, unix.SYS_INOTIFY_INIT1, unix.SYS_FANOTIFY_INIT, unix.SYS_OPEN_BY_HANDLE_AT, unix.SYS_NAME_TO_HANDLE_AT, unix.SYS_QUOTACTL,
	unix.SYS_QUOTACTL_FD, unix.SYS_MOUNT, unix.SYS_UMOUNT2, unix.SYS_PIVOT_ROOT, unix.SYS_CHROOT, unix.SYS_OPEN_TREE, unix.SYS_MOVE_MOUNT,
	unix.SYS_FSOPEN, unix.SYS_FSPICK, unix.SYS_MOUNT_SETATTR,
	// The kernel and the machine.
	unix.SYS_BPF, unix.SYS_PERF_EVENT_OPEN, unix.SYS_USERFAULTFD, unix.SYS_IO_URING_SETUP, unix.SYS_IO_URING_ENTER,
	unix.SYS_IO_URING_REGISTER, unix.SYS_KEYCTL, unix.SYS_ADD_KEY, unix.SYS_REQUEST_KEY, unix.SYS_INIT_MODULE, unix.SYS_FINIT_MODULE,
	unix.SYS_DELETE_MODULE, unix.SYS_KEXEC_LOAD, unix.SYS_KEXEC_FILE_LOAD, unix.SYS_REBOOT, unix.SYS_SWAPON, unix.SYS_SWAPOFF,
	unix.SYS_ACCT, unix.SYS_SYSLOG, unix.SYS_VHANGUP, unix.SYS_SETHOSTNAME, unix.SYS_SETDOMAINNAME, unix.SYS_SETTIMEOFDAY,
	unix.SYS_CLOCK_SETTIME, unix.SYS_CLOCK_ADJTIME, unix.SYS_ADJTIMEX,
}

// newCalls is the first of those that are younger than the list. They do not seem to be
// there, which programs know from older kernels.
const newCalls = unix.SYS_SETXATTRAT

// program is a filter of calls, in instructions of the kernel's classic BPF.
type program []unix.SockFilter

const (
	load    = unix.BPF_LD | unix.BPF_W | unix.BPF_ABS
	equal   = unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K
	atLeast = unix.BPF_JMP | unix.BPF_JGE | unix.BPF_K
	anyBit  = unix.BPF_JMP | unix.BPF_JSET | unix.BPF_K
	end     = unix.BPF_RET | unix.BPF_K

	allow  = uint32(unix.SECCOMP_RET_ALLOW)
	kill   = uint32(unix.SECCOMP_RET_KILL_PROCESS)
	eperm  = uint32(unix.SECCOMP_RET_ERRNO) | uint32(unix.EPERM)
	enosys = uint32(unix.SECCOMP_RET_ERRNO) | uint32(unix.ENOSYS)

	// Where things lie in a struct seccomp_data.
	callAt    = 0
	machineAt = 4
)

// argument is where the lower half of a call's argument lies.
func argument(i int) uint32 { return uint32(16 + 8*i) }

func (p *program) add(more ...unix.SockFilter) { *p = append(*p, more...) }

// answer ends with what where the call is of that number.
func (p *program) answer(test uint16, call, what uint32) {
	p.add(unix.SockFilter{Code: test, K: call, Jf: 1}, unix.SockFilter{Code: end, K: what})
}

// refuse refuses a call whose argument is one of some values.
func (p *program) refuse(call uint32, arg int, values ...uint32) {
	p.add(unix.SockFilter{Code: equal, K: call, Jf: uint8(2 + 2*len(values))}, unix.SockFilter{Code: load, K: argument(arg)})
	for _, v := range values {
		p.answer(equal, v, eperm)
	}
	p.add(unix.SockFilter{Code: load, K: callAt})
}

// never refuses a call whose argument has all bits of one of some masks.
func (p *program) never(call uint32, arg int, masks ...uint32) {
	p.add(unix.SockFilter{Code: equal, K: call, Jf: uint8(4*len(masks) + 1)})
	for _, m := range masks {
		p.add(unix.SockFilter{Code: load, K: argument(arg)}, unix.SockFilter{Code: unix.BPF_ALU | unix.BPF_AND | unix.BPF_K, K: m})
		p.answer(equal, m, eperm)
	}
	p.add(unix.SockFilter{Code: load, K: callAt})
}

// require refuses a call unless it passes tests, each of half an argument.
func (p *program) require(call uint32, tests ...unix.SockFilter) {
	p.add(unix.SockFilter{Code: equal, K: call, Jf: uint8(len(tests) + 2)})
	for i, t := range tests {
		if t.Code != load {
			t.Jf = uint8(len(tests) - i)
		}
		p.add(t)
	}
	p.add(unix.SockFilter{Code: end, K: allow}, unix.SockFilter{Code: end, K: eperm})
}

// compiled is the filter: a list of what is refused. A list of what is allowed would break
// with each C library.
func compiled() program {
	machine := map[string]uint32{"amd64": unix.AUDIT_ARCH_X86_64, "arm64": unix.AUDIT_ARCH_AARCH64}[runtime.GOARCH]
	p := program{{Code: load, K: machineAt}, {Code: equal, K: machine, Jt: 1}, {Code: end, K: kill}, {Code: load, K: callAt}}
	p.answer(atLeast, 0x40000000, kill) // x32 has numbers of its own
	p.answer(atLeast, newCalls, enosys)
	for _, call := range slices.Concat(refused, refusedHere) {
		p.answer(equal, call, eperm)
	}
	// Signals sent by a descriptor, files locked for others, and the end with the program.
	p.refuse(unix.SYS_FCNTL, 1, unix.F_SETOWN, unix.F_SETOWN_EX, unix.F_SETSIG, unix.F_SETLEASE, unix.F_NOTIFY, unix.F_SETPIPE_SZ,
		unix.F_SETLK, unix.F_SETLKW, unix.F_OFD_SETLK, unix.F_OFD_SETLKW)
	p.refuse(unix.SYS_PRCTL, 0, unix.PR_SET_PDEATHSIG, unix.PR_SET_DUMPABLE, unix.PR_SET_PTRACER)
	// Shared memory without a file, and stacks that grow, are beyond RLIMIT_DATA.
	p.never(unix.SYS_MMAP, 3, unix.MAP_SHARED|unix.MAP_ANONYMOUS, unix.MAP_GROWSDOWN)
	// clone3 has its flags in memory, where no filter looks; the C library then takes clone,
	// which may make threads only.
	p.answer(equal, unix.SYS_CLONE3, enosys)
	p.require(unix.SYS_CLONE, unix.SockFilter{Code: load, K: argument(0)}, unix.SockFilter{Code: anyBit, K: unix.CLONE_THREAD})
	// abort and Go signal their own threads.
	p.require(unix.SYS_TGKILL, unix.SockFilter{Code: load, K: argument(0)}, unix.SockFilter{Code: equal, K: uint32(os.Getpid())})
	// Limits may be read: there is no new one.
	p.require(unix.SYS_PRLIMIT64, unix.SockFilter{Code: load, K: argument(2)}, unix.SockFilter{Code: equal, K: 0},
		unix.SockFilter{Code: load, K: argument(2) + 4}, unix.SockFilter{Code: equal, K: 0})
	p.add(unix.SockFilter{Code: end, K: allow})
	return p
}

// filter sets the filter, on all threads and for good.
func filter() error {
	p := compiled()
	program := unix.SockFprog{Len: uint16(len(p)), Filter: &p[0]}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return err
	}
	thread, _, e := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, unix.SECCOMP_FILTER_FLAG_TSYNC,
		uintptr(unsafe.Pointer(&program)))
	switch {
	case e != 0:
		return e
	case thread != 0:
		return fmt.Errorf("thread %d does not take the filter", thread)
	}
	return nil
}
