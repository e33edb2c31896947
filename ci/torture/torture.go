// Package torture has a program that uses everything at once (threads, processes, pipes, unix and TCP sockets,
// shared memory, System V objects, timers, signals, epoll, files, private memory) and notices if anything of
// it is lost or done twice. Only tests import it.
//
// The program takes a seed and, if not all of them are wanted, the names of activities. It runs as one process tree, or as
// two ranks of any MPI's launcher with TCP connections between them, and prints a line "ready". Of rank 0 it answers
// "check" with a line of Counts, and ends after "stop" when all that was on its way has arrived, each rank with
// a line "end". Where something is not as it must be it prints a line "broken" and ends with status 1.
package torture

import (
	"embed"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

//go:embed src
var source embed.FS

// Compile makes the program.
func Compile(t testing.TB, to string) {
	t.Helper()
	dir := t.TempDir()
	if err := os.CopyFS(dir, source); err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(dir, "src", "*.c"))
	if err != nil {
		t.Fatal(err)
	}
	args := append([]string{"-O1", "-g", "-Wall", "-Wextra", "-Werror", "-pthread", "-o", to}, files...)
	if b, err := exec.Command("gcc", args...).CombinedOutput(); err != nil {
		t.Fatalf("gcc %s: %v\n%s", strings.Join(args, " "), err, b)
	}
}

// Counts is what a line of the program tells: "mono" is its monotonic clock in nanoseconds, and of each
// activity and rank, such as "pipes.0", how many steps it has done.
type Counts map[string]int64

// Parse reads a line.
func Parse(t testing.TB, line string) Counts {
	t.Helper()
	c := Counts{}
	for _, w := range strings.Fields(line)[1:] {
		key, val, ok := strings.Cut(w, "=")
		n, err := strconv.ParseInt(val, 10, 64)
		if !ok || err != nil {
			t.Fatalf("the torture program said %q", line)
		}
		if key != "seed" {
			c[key] = n
		}
	}
	return c
}

// Behind lists what has not gone on since before, and what is missing.
func (c Counts) Behind(before Counts) (list []string) {
	for key, n := range before {
		if c[key] <= n {
			list = append(list, key)
		}
	}
	return list
}

var logLine = regexp.MustCompile(`^(\d+) (\d+) \d+ \.*$`)

// CheckLog looks at the log of a rank whose program has ended: every writer's lines must be there once and in
// order.
func CheckLog(path string) error {
	b, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	next := map[string]int{}
	for line := range strings.Lines(string(b)) {
		m := logLine.FindStringSubmatch(strings.TrimSuffix(line, "\n"))
		if m == nil || m[2] != strconv.Itoa(next[m[1]]) {
			return fmt.Errorf("%s has the line %q, and it was the turn of number %v", path, line, next)
		}
		next[m[1]]++
	}
	if len(next) != 2 || next["0"] == 0 || next["1"] == 0 {
		return fmt.Errorf("%s has the lines of writers %v, want some of both", path, next)
	}
	return nil
}
