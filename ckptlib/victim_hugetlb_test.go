package ckptlib_test

import (
	"os"
	"strconv"
	"strings"
	"testing"
)

// hugePages adds to the huge pages of this host while the test runs. It comes
// before asUser: only root can.
func hugePages(t *testing.T, more int) (set func(int)) {
	t.Helper()
	const file = "/proc/sys/vm/nr_hugepages"
	set = func(n int) {
		t.Helper()
		if err := os.WriteFile(file, []byte(strconv.Itoa(n)), 0); err != nil {
			t.Skipf("the number of huge pages cannot be set: %v", err)
		}
	}
	have := func() int {
		t.Helper()
		b, err := os.ReadFile(file)
		if err != nil {
			t.Skipf("needs CONFIG_HUGETLBFS: %v", err)
		}
		n, err := strconv.Atoi(strings.TrimSpace(string(b)))
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	old := have()
	if os.Geteuid() != 0 {
		return nil
	}
	t.Cleanup(func() { set(old) })
	set(old + more)
	if n := have(); n < old+more {
		t.Skipf("this host has room for %d huge pages, not for %d", n, old+more)
	}
	return set
}

func hugeVictim(t *testing.T) *job {
	t.Helper()
	j := launch(t, compile(t, "hugetlb"))
	if got := j.line(); strings.HasPrefix(got, "none: ") {
		t.Skipf("this host has too few huge pages reserved: %s", got)
	} else if got != "ready" {
		t.Fatalf("the victim said %q, want ready", got)
	}
	return j
}

func TestHugePagesAreHugePagesAgain(t *testing.T) {
	const each = 10 // more than the victim has, and its child
	hugePages(t, 2*each)
	asUser(t)
	j := hugeVictim(t)
	same := j.same("memory", "pages")
	j.want("pages", "2048 2048 2048 2048")
	before := j.unharmed()
	same("after the checkpoint")
	j.reborn(before)
	same("after the restart")
	if n := len(j.warn); n > 0 {
		t.Errorf("the restart warned %q", j.warn)
	}
	written := j.same("write")
	j.checkpoint()
	j.restart()
	written("after another restart")
	j.want("pages", "2048 2048 2048 2048")
}

func TestHugePagesAreOrdinaryMemoryOnAHostWithoutThem(t *testing.T) {
	set := hugePages(t, 10)
	if set == nil {
		t.Skip("needs root, who takes the huge pages away")
	}
	j := hugeVictim(t)
	same := j.same("memory")
	j.checkpoint()
	j.pod.Kill()
	set(0)
	j.restart()
	same("after the restart")
	j.want("pages", "4 4 4 4")
	if len(j.warn) != 5 { // one for each kind, and for the child's
		t.Errorf("the restart warned %q", j.warn)
	}
	for _, w := range j.warn {
		if !strings.Contains(w, "ordinary memory instead of") {
			t.Errorf("the restart warned %q", w)
		}
	}
	written := j.same("write")
	j.checkpoint()
	j.restart()
	written("after another restart")
}
