package launcher

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/gompirun/gompirun/launcher/flags"
	"github.com/gompirun/gompirun/launcher/hosts"
	"github.com/gompirun/gompirun/launcher/wire"
)

func pods(ranks ...int) []PodRecord {
	var out []PodRecord
	for i, n := range ranks {
		out = append(out, PodRecord{ID: i, Ranks: n, Host: hosts.Host{Name: fmt.Sprintf("old%d", i)}})
	}
	return out
}

func TestPodsSpreadOverHosts(t *testing.T) {
	host := func(name string, slots int, given bool) hosts.Host {
		return hosts.Host{Name: name, Slots: slots, SlotsGiven: given}
	}
	for _, tt := range []struct {
		name  string
		pods  []PodRecord
		hosts []hosts.Host
		over  bool
		want  []int
	}{
		{"each its own", pods(2, 2), []hosts.Host{host("a", 1, false), host("b", 1, false), host("c", 1, false)}, false, []int{0, 1}},
		{"all on one", pods(2, 2, 1), []hosts.Host{host("a", 1, false)}, false, []int{0, 0, 0}},
		{"the bigger host gets more", pods(1, 1, 1), []hosts.Host{host("a", 1, true), host("b", 2, true)}, false, []int{1, 0, 1}},
		{"in turn where hosts are equal", pods(1, 1, 1, 1), []hosts.Host{host("a", 2, true), host("b", 2, true)}, false, []int{0, 1, 0, 1}},
		{"too many with leave", pods(4, 4), []hosts.Host{host("a", 2, true)}, true, []int{0, 0}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := spread(tt.pods, tt.hosts, tt.over)
			if err != nil || !cmp.Equal(got, tt.want) {
				t.Errorf("spread = %v, %v, want %v", got, err, tt.want)
			}
		})
	}
	_, err := spread(pods(4, 4), []hosts.Host{host("a", 2, true)}, false)
	if StatusOf(err) != StatusSlots {
		t.Errorf("spread of 8 ranks on 2 slots = %v with status %d, want status %d", err, StatusOf(err), StatusSlots)
	}
}

func TestRestartWithoutHostsGoesWhereTheJobWas(t *testing.T) {
	p := pods(1, 1, 1)
	p[2].Host = p[0].Host
	list, hostOf := recordedPlaces(p)
	if want := []hosts.Host{{Name: "old0"}, {Name: "old1"}}; !cmp.Equal(list, want) || !cmp.Equal(hostOf, []int{0, 1, 0}) {
		t.Errorf("recordedPlaces = %v %v, want %v [0 1 0]", list, hostOf, want)
	}
}

func TestUsedDropsHostsWithoutPods(t *testing.T) {
	list, order := used([]hosts.Host{{Name: "a"}, {Name: "b"}, {Name: "c"}}, []int{2, 0, 2})
	if want := []hosts.Host{{Name: "c"}, {Name: "a"}}; !cmp.Equal(list, want) || !cmp.Equal(order, []int{0, 1, 0}) {
		t.Errorf("used = %v %v, want %v [0 1 0]", list, order, want)
	}
}

func TestOnlyErrorsThatAllPassAreTriedAgain(t *testing.T) {
	retry := &PhaseError{Snapshot, "n1", &wire.Error{Kind: wire.KindRetry, Text: "in vfork"}}
	full := &PhaseError{Snapshot, "n2", &wire.Error{Text: "no space left on device"}}
	for _, tt := range []struct {
		err  error
		want bool
	}{
		{retry, true},
		{fmt.Errorf("once more: %w", retry), true},
		{errors.Join(retry, retry), true},
		{errors.Join(retry, full), false},
		{full, false},
		{errors.New("something"), false},
	} {
		if got := passes(tt.err); got != tt.want {
			t.Errorf("passes(%v) = %v, want %v", tt.err, got, tt.want)
		}
	}
}

func TestAddressesOfSeveralPodsAreNobodys(t *testing.T) {
	a, b, bridge := netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("10.0.0.2"), netip.MustParseAddr("172.17.0.1")
	got := jobAddrs([]PodRecord{{ID: 0, Addresses: []netip.Addr{a, bridge}}, {ID: 1, Addresses: []netip.Addr{b, bridge}}})
	if want := map[netip.Addr]int{a: 0, b: 1}; !cmp.Equal(got, want, cmp.Comparer(func(x, y netip.Addr) bool { return x == y })) {
		t.Errorf("jobAddrs = %v, want %v", got, want)
	}
}

func TestExitStatuses(t *testing.T) {
	for _, tt := range []struct {
		err  error
		want int
	}{
		{nil, 0},
		{errors.New("anything"), StatusFailed},
		{withStatus(StatusNotFound, "no such program"), StatusNotFound},
		{fmt.Errorf("h1: %w", withStatus(StatusNotExec, "not executable")), StatusNotExec},
		{&hosts.SlotsError{Ranks: 4, Slots: 2}, StatusSlots},
		{&hosts.ParseError{Source: "-host", Word: "a:b"}, StatusUsage},
		{&flags.UsageError{Reason: "no"}, StatusUsage},
	} {
		if got := StatusOf(tt.err); got != tt.want {
			t.Errorf("StatusOf(%v) = %d, want %d", tt.err, got, tt.want)
		}
	}
	for w, want := range map[unix.WaitStatus]int{0: 0, 7 << 8: 7, 11: 139, 9: 137, 255 << 8: 255} {
		if got := statusOfWait(w); got != want {
			t.Errorf("statusOfWait(%#x) = %d, want %d", w, got, want)
		}
	}
}

func TestReportIsOneLine(t *testing.T) {
	r := Report{Generation: 3, Ranks: 4, BytesLogical: 212 << 20, BytesChanged: 97 << 20, BytesWritten: 96 << 20, PauseMS: 4.12, DurationMS: 437}
	if got, want := r.String(), "checkpoint 3: 4 ranks, paused 4.1 ms, 212 MiB, 97 MiB changed, 96 MiB written, durable after 0.4 s"; got != want {
		t.Errorf("Report = %q, want %q", got, want)
	}
	for n, want := range map[int64]string{0: "0 B", 1023: "1023 B", 1024: "1.0 KiB", 1000 << 10: "1.0 MiB", 9 << 30: "9.0 GiB", 150 << 40: "150 TiB"} {
		if got := Bytes(n); got != want {
			t.Errorf("Bytes(%d) = %q, want %q", n, got, want)
		}
	}
}

func TestSecondCheckpointWhileOneRunsIsRefused(t *testing.T) {
	s := &supervisor{j: newJob(Env{Stdout: io.Discard, Stderr: io.Discard}, flags.Common{}), done: make(chan ckptDone, 1), busy: true}
	var reply controlReply
	s.request(&controlRequest{reply: func(r controlReply) { reply = r }})
	if want := "a checkpoint of this job is under way"; !strings.Contains(reply.Error, want) {
		t.Errorf("the second request was answered %+v, want an error with %q", reply, want)
	}
}

func TestHostsThatAreThisOneGetOnePod(t *testing.T) {
	here := wire.Hello{HostName: "n1.example.org", Addresses: []netip.Addr{netip.MustParseAddr("10.1.2.3")}}
	list := []hosts.Host{{Name: "n1", Slots: 2, SlotsGiven: true}, {Name: "10.9.9.9", Slots: 1}, {Name: "10.1.2.3", Slots: 1}, {Name: "localhost", Slots: 1, User: "other"}}
	got := mergeLocal(context.Background(), list, here)
	want := []hosts.Host{{Name: "n1", Slots: 3, SlotsGiven: true}, list[1], list[3]}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("mergeLocal (-want +got):\n%s", d)
	}
}

func TestErrorsOfSeveralHostsAllReachTheUser(t *testing.T) {
	err := hostErrors(errors.Join(&PhaseError{"start", "n1", errors.New("no user namespaces")}, &PhaseError{"start", "n2", errors.New("disk full")}))
	if got, want := err.Error(), "n1: no user namespaces\nn2: disk full"; got != want {
		t.Errorf("hostErrors = %q, want %q", got, want)
	}
}

func TestCheckpointFromAnotherHostSaysWhereToAsk(t *testing.T) {
	dir := t.TempDir()
	if err := writeControlFile(dir, []byte(`{"host": "n7", "boot_id": "x", "socket": "@none"}`)); err != nil {
		t.Fatal(err)
	}
	_, err := RequestCheckpoint(context.Background(), dir, false, wire.Hello{HostName: "n8", BootID: "x"})
	if want := "ssh n7 gompirun checkpoint " + dir; err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("RequestCheckpoint = %v, want a hint with %q", err, want)
	}
	_, err = RequestCheckpoint(context.Background(), dir, false, wire.Hello{HostName: "n7", BootID: "x"})
	if err == nil || !strings.Contains(err.Error(), "no running job") {
		t.Errorf("RequestCheckpoint of a stale file = %v, want that no job runs", err)
	}
}

func TestOutputThatNobodyReadsIsWaitedForUntilTheUserGivesUp(t *testing.T) {
	pr, pw := io.Pipe()
	defer pr.Close()
	signals := make(chan os.Signal, 1)
	j := newJob(Env{Stdout: pw, Stderr: io.Discard, Signals: signals}, flags.Common{})
	j.stdout.put(chunk{data: []byte("more\n"), written: func() {}})
	ended := make(chan struct{})
	go func() {
		j.end(0)
		close(ended)
	}()
	if _, err := pr.Read(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	select {
	case <-ended:
		t.Fatal("the job ended before its output was read")
	default:
	}
	signals <- unix.SIGINT
	<-ended
}
