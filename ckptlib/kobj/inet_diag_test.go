package kobj

import (
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/gompirun/gompirun/ckptlib/conn"
)

// TestBytesOfAProgramThatHasEndedAreNotForgotten fills a connection, closes the
// sender and looks for what nobody but the reader can get any more.
func TestBytesOfAProgramThatHasEndedAreNotForgotten(t *testing.T) {
	sender, reader, err := loopback(v4, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(reader)
	for err == nil {
		_, err = unix.SendmsgN(sender, make([]byte, 1<<16), nil, nil, unix.MSG_DONTWAIT)
	}
	if err := unix.Close(sender); err != nil {
		t.Fatal(err)
	}
	end, err := conn.Describe(reader)
	if err != nil {
		t.Fatal(err)
	}
	orphans := func() []conn.End {
		t.Helper()
		all, err := DumpOrphans()
		if err != nil {
			t.Fatal(err)
		}
		return slices.DeleteFunc(all, func(e conn.End) bool { return e.Local != end.Remote || e.Remote != end.Local })
	}
	all := []conn.Ends{orphans(), {end}}
	if len(all[0]) != 1 {
		t.Fatalf("%d orphans have the reader's addresses, want 1", len(all[0]))
	}
	partners := conn.Match(all)
	if half := conn.HalfOpen(all, partners); len(half) != 1 || half[0].Inode != end.Inode {
		t.Errorf("Match = %v, HalfOpen = %v, want the reader as one that should read first", partners, half)
	}
	for {
		b := make([]byte, 1<<20)
		n, err := unix.Read(reader, b)
		if err != nil {
			t.Fatal(err)
		}
		if n == 0 {
			break
		}
	}
	for deadline := time.Now().Add(10 * time.Second); len(orphans()) > 0; {
		if time.Now().After(deadline) {
			t.Fatalf("ten seconds after all was read the orphans are still %v", orphans())
		}
	}
}
