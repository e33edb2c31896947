package jobs

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// mpichHangs tells whether the ranks of a job that does not end are where MPICH
// hangs without our help; if not, where they are.
func (s *site) mpichHangs() (bool, string) {
	args := []string{}
	for host := 1; host <= s.hosts; host++ {
		for _, pid := range s.Procs(host) {
			exe, err := os.Readlink(filepath.Join("/proc", itoa(pid), "exe"))
			if err == nil && strings.Contains(exe, "/mpich/") {
				args = append(args, itoa(pid))
			}
		}
	}
	out, err := exec.Command("../mpich-hang", args...).CombinedOutput()
	return err == nil, string(out)
}

// Stacks of gdb, from a hang without gompirun; the arguments of frames are cut.
const (
	spins = `#0  0x00007f035eb26f36 in epoll_wait (epfd=18, timeout=0) at ../sysdeps/unix/sysv/linux/epoll_wait.c:30
#1  0x00007f035e9f3959 in ucs_event_set_wait () from target:/lib/x86_64-linux-gnu/libucs.so.0
#2  0x00007f035e9a429b in uct_tcp_iface_progress () from target:/lib/x86_64-linux-gnu/libuct.so.0
#3  0x00007f0361487ef2 in ucp_worker_progress () from target:/lib/x86_64-linux-gnu/libucp.so.0
#4  0x00007f035eef8f6d in ?? () from target:/lib/x86_64-linux-gnu/libmpich.so.12
#5  0x00007f035ed386e3 in PMPI_Finalize () from target:/lib/x86_64-linux-gnu/libmpich.so.12
#6  0x0000556ea327df8c in nas_main ()
`
	waits = `#0  __GI___libc_read (nbytes=1023, buf=0x7f69acdd1280, fd=5) at ../sysdeps/unix/sysv/linux/read.c:26
#1  __GI___libc_read (fd=5, buf=0x7f69acdd1280, nbytes=1023) at ../sysdeps/unix/sysv/linux/read.c:24
#2  0x00007f69aa909f5a in ?? () from target:/lib/x86_64-linux-gnu/libmpich.so.12
#3  0x00007f69aa7386e3 in PMPI_Finalize () from target:/lib/x86_64-linux-gnu/libmpich.so.12
#4  0x00005652c4fbbf8c in nas_main ()
`
	// Rank 0 has not come to MPI_Finalize: it waits for a message that was lost.
	receives = `#0  0x00007f035eb26f36 in epoll_wait (epfd=18, timeout=0) at ../sysdeps/unix/sysv/linux/epoll_wait.c:30
#1  0x00007f0361487ef2 in ucp_worker_progress () from target:/lib/x86_64-linux-gnu/libucp.so.0
#2  0x00007f035ed386e3 in PMPI_Recv () from target:/lib/x86_64-linux-gnu/libmpich.so.12
#3  0x0000556ea327df8c in nas_main ()
`
	futex = `#0  0x00007f035eb26f36 in __futex_abstimed_wait_common (private=0) at ./nptl/futex-internal.c:57
#1  0x00007f035ed386e3 in PMPI_Finalize () from target:/lib/x86_64-linux-gnu/libmpich.so.12
`
)

func TestOnlyMPICHsOwnHangIsForgiven(t *testing.T) {
	for _, tt := range []struct {
		name  string
		ranks []string
		want  bool
	}{
		{"flush and barrier", []string{spins, waits, waits, spins}, true},
		{"all flush", []string{spins, spins}, true},
		{"all in the barrier", []string{waits, waits, waits, waits}, false},
		{"one still receives", []string{spins, receives, waits, waits}, false},
		{"one is elsewhere in MPI_Finalize", []string{spins, futex}, false},
		{"one cannot be seen", []string{spins, ""}, false},
		{"nobody", nil, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			cmd := exec.Command("../mpich-hang", "-")
			var in strings.Builder
			for i, r := range tt.ranks {
				in.WriteString("rank " + itoa(i) + "\n" + r)
			}
			cmd.Stdin = strings.NewReader(in.String())
			out, err := cmd.CombinedOutput()
			if got := err == nil; got != tt.want || len(out) > 0 {
				t.Errorf("mpich-hang = %v (%v, %q), want %v", got, err, out, tt.want)
			}
		})
	}
}
