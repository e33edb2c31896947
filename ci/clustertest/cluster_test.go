package clustertest

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

func TestHosts(t *testing.T) {
	c := Up(t, 2)
	for name, test := range map[string]func(*testing.T, *Cluster){
		"UserReachesOtherHostsBySSHWithoutQuestions":   testSSH,
		"CommandRunsAsInALogin":                        testLogin,
		"CommandKeepsTheExitStatus":                    testExitStatus,
		"OrdinaryUserMayMakeAPod":                      testPod,
		"EachHasNamespacesOfItsOwn":                    testNamespaces,
		"TheyShareTheHomeAndNothingElseThatIsTheirOwn": testPrivate,
	} {
		t.Run(name, func(t *testing.T) { test(t, c) })
	}
}

func testSSH(t *testing.T, c *Cluster) {
	for _, tt := range []struct{ from, to int }{{1, 2}, {2, 1}, {1, 1}} {
		for _, name := range []string{Name(tt.to), c.Addr(tt.to)} {
			cmd := c.Command(tt.from, "ssh", "-o", "BatchMode=yes", name, "echo $(hostname) $(whoami) $PWD")
			got := output(t, cmd)
			if want := Name(tt.to) + " mpi /home/mpi"; got != want {
				t.Errorf("ssh from %s to %s = %q, want %q", Name(tt.from), name, got, want)
			}
		}
	}
}

func testLogin(t *testing.T, c *Cluster) {
	t.Setenv("LEAK", "yes")
	got := output(t, c.Command(1, "sh", "-c", `echo "$(id -un) $HOME $USER $PWD$LEAK"`))
	if want := "mpi /home/mpi mpi /home/mpi"; got != want {
		t.Errorf("a command on the host sees %q, want %q", got, want)
	}
	if got, want := output(t, c.RootCommand(1, "id", "-un")), "root"; got != want {
		t.Errorf("RootCommand runs as %q, want %q", got, want)
	}
	cat := c.Command(1, "cat")
	cat.Stdin = strings.NewReader("over there")
	if got, want := output(t, cat), "over there"; got != want {
		t.Errorf("cat on the host answers %q, want %q", got, want)
	}
	// A session that began outside would have the number 0 on the host.
	session, process, _ := strings.Cut(output(t, c.Command(1, "sh", "-c", `ps -o sid= -p $$ | tr -d " "; echo $$`)), "\n")
	if session != process {
		t.Errorf("process %s is in session %s, want one of its own", process, session)
	}
}

func testExitStatus(t *testing.T, c *Cluster) {
	for _, tt := range []struct {
		cmd  *exec.Cmd
		want int
	}{
		{c.Command(1, "sh", "-c", "exit 7"), 7},
		{c.Command(1, "no-such-program"), 127},
		{c.Command(3, "true"), 125},
		{c.Command(1, "true"), 0},
	} {
		if err := tt.cmd.Run(); err != nil && tt.cmd.ProcessState == nil {
			t.Fatal(err)
		}
		if got := tt.cmd.ProcessState.ExitCode(); got != tt.want {
			t.Errorf("exit status of %q = %d, want %d", tt.cmd.Args[2:], got, tt.want)
		}
	}
}

// A pod is made by an ordinary user: a proc of its own, and a devpts of its own, in a user namespace.
func testPod(t *testing.T, c *Cluster) {
	for name, args := range map[string][]string{
		"proc":   {"unshare", "-Urmpf", "--mount-proc", "true"},
		"devpts": {"unshare", "-Urm", "mount", "-t", "devpts", "-o", "newinstance,ptmxmode=0666", "devpts", "/dev/pts"},
		"tmpfs":  {"unshare", "-Urm", "mount", "-t", "tmpfs", "shm", "/dev/shm"},
	} {
		t.Run(name, func(t *testing.T) {
			if err := run(c.Command(1, args...)); err != nil {
				t.Error(err)
			}
		})
	}
}

func testNamespaces(t *testing.T, c *Cluster) {
	for _, ns := range []string{"net", "uts", "mnt", "ipc", "pid"} {
		link := "/proc/self/ns/" + ns
		machine, err := os.Readlink(link)
		if err != nil {
			t.Fatal(err)
		}
		one, two := output(t, c.Command(1, "readlink", link)), output(t, c.Command(2, "readlink", link))
		if one == two || one == machine || two == machine {
			t.Errorf("%s namespaces of h1, h2 and the machine are %s, %s and %s, want three", ns, one, two, machine)
		}
	}
}

func testPrivate(t *testing.T, c *Cluster) {
	for _, dir := range []string{"/tmp", "/dev/shm", "/run", "/etc", "/var/log"} {
		path := filepath.Join(dir, c.instance)
		if err := run(c.RootCommand(1, "touch", path)); err != nil {
			t.Fatal(err)
		}
		if err := c.RootCommand(2, "test", "-e", path).Run(); err == nil {
			t.Errorf("%s was made on h1 and is there on h2", path)
		}
		if _, err := os.Stat(path); err == nil {
			t.Errorf("%s was made on h1 and is there on the machine", path)
		}
	}
	if err := run(c.Command(1, "touch", "shared")); err != nil {
		t.Fatal(err)
	}
	if err := run(c.Command(2, "test", "-O", HomeOnHosts+"/shared")); err != nil {
		t.Errorf("a file that h1 made at home is not there, or not the user's, on h2: %v", err)
	}
	if _, err := os.Stat(filepath.Join(c.Home(), "shared")); err != nil {
		t.Errorf("a file that h1 made at home is not there on the machine: %v", err)
	}
}

func TestClustersWithTheSameAddressesDoNotMeet(t *testing.T) {
	one, two := Up(t, 1), Up(t, 2)
	if err := os.WriteFile(filepath.Join(two.Home(), "two"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := run(two.Command(1, "ssh", two.Addr(2), "test", "-e", "two")); err != nil {
		t.Errorf("h1 does not reach h2 of its own cluster: %v", err)
	}
	// Both clusters have a 10.88.0.1, but host keys and homes tell whose it is.
	if err := run(one.Command(1, "ssh", one.Addr(1), "test", "!", "-e", "two")); err != nil {
		t.Errorf("h1 of the first cluster does not reach itself: %v", err)
	}
	if err := one.Command(1, "ssh", "-o", "ConnectTimeout=1", two.Addr(2), "true").Run(); err == nil {
		t.Errorf("h1 of one cluster reaches %s of the other", two.Addr(2))
	}
}

// output runs cmd and returns what it prints, without the last newline.
func output(t *testing.T, cmd *exec.Cmd) string {
	t.Helper()
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("running %q: %v: %s", cmd.Args, err, stderr.Bytes())
	}
	return strings.TrimRight(string(out), "\n")
}
