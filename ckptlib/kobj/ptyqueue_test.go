package kobj

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// readings lists what each read of a terminal gives, until there is no more.
func readings(fd int) string {
	var all []string
	buf := make([]byte, 100000)
	for len(all) < 100 {
		n, err := unix.Read(fd, buf)
		if err != nil {
			all = append(all, err.Error())
			break
		}
		all = append(all, strconv.Quote(string(buf[:n])))
	}
	return strings.Join(all, " ")
}

var victimTerminal = victimProgram("terminal", func(v *victimSide) {
	v.terminalAt(90, 91, nil)
	var change func(*termios2)
	switch os.Args[1] {
	case "raw":
		change = rawTerminal
	case "silent":
		change = silentTerminal
	}
	v.terminalAt(100, 101, change)
	v.must(unix.IoctlSetWinsize(101, unix.TIOCSWINSZ, &unix.Winsize{Row: 33, Col: 99, Xpixel: 1, Ypixel: 2}))
	typed, err := strconv.Unquote(os.Args[2])
	v.must(err)
	output, err := strconv.Unquote(os.Args[3])
	v.must(err)
	v.must(writeAll(101, []byte(output)))
	v.must(writeAll(100, []byte(typed)))
	v.must(unix.Close(90)) // the number of the other one is free at a restore
	v.must(unix.Close(91))
	v.say("ready")
	for {
		num, err := strconv.Atoi(v.hear())
		v.must(err)
		v.say("%s", readings(num))
	}
})

const again = " resource temporarily unavailable"

// queueTests are what is in the queues of a terminal and what reads of its
// ends give.
var queueTests = []struct {
	mode, typed, output string
	master, slave       string
}{
	{"silent", "", "", again, again},
	{"silent", "", "out\nput", `"out\r\nput"` + again, again},
	{"silent", "one\ntwo\n", "", again, `"one\n" "two\n"` + again},
	{"silent", "one\nparti", "out", `"out"` + again, `"one\n"` + again},
	{"silent", "one\ntwo\x04\x04three\n", "", again, `"one\n" "two" "" "three\n"` + again},
	{"silent", "a\x16\x04b\x16\x7f\rx", "", again, `"a\x04b\x7f\n"` + again},
	{"echo", "one\nparti", "out", `"outone\r\nparti"` + again, `"one\n"` + again},
	{"raw", "one\n\x00\x03\x04\x11\x13\xff\r", "out\r\n\x00", `"out\r\n\x00"` + again, `"one\n\x00\x03\x04\x11\x13\xff\r"` + again},
	{"raw", strings.Repeat("typed ahead", 300), strings.Repeat("0123456789abcdef", 500), "", ""},
}

func TestTerminalKeepsWhatIsInItsQueues(t *testing.T) {
	if !inOwnDevpts(t) {
		return
	}
	for _, test := range queueTests {
		t.Run(fmt.Sprintf("%s %.20q %.20q", test.mode, test.typed, test.output), func(t *testing.T) {
			v := startVictim(t, victimTerminal, test.mode, strconv.Quote(test.typed), strconv.Quote(test.output))
			v.stop()
			p := newTestPod(t)
			p.add(v.pid, 101, 100)
			img := p.capture()
			if len(p.warned) != 0 {
				t.Errorf("capture warns: %q", p.warned)
			}
			v.cont()
			check := func(who, master, slave string) {
				t.Helper()
				if test.mode == "raw" && test.master == "" {
					// How much a read gives depends on the kernel's buffers.
					master, slave = joined(master), joined(slave)
					if master != test.output || slave != test.typed {
						t.Errorf("%s reads %d and %d bytes, want %d and %d", who, len(master), len(slave), len(test.output), len(test.typed))
					}
					return
				}
				if strings.TrimSpace(master) != strings.TrimSpace(test.master) {
					t.Errorf("%s reads %s from the master, want %s", who, master, test.master)
				}
				if strings.TrimSpace(slave) != strings.TrimSpace(test.slave) {
					t.Errorf("%s reads %s from the slave, want %s", who, slave, test.slave)
				}
			}
			check("after the capture the victim", v.ask("100"), v.ask("101"))
			v.kill()
			p.forget()

			a := p.restore(img)
			check("the restored terminal", readings(a.fd(100)), readings(a.fd(101)))
			finishLine(t, a, test.mode, test.typed)
		})
	}
}

// joined puts together what readings lists.
func joined(readings string) string {
	var all strings.Builder
	for _, word := range strings.Fields(strings.ReplaceAll(readings, "typed ahead", "typed\\x20ahead")) {
		if s, err := strconv.Unquote(word); err == nil {
			all.WriteString(s)
		}
	}
	return all.String()
}

// finishLine ends a line that had been begun before the checkpoint.
func finishLine(t *testing.T, a *restored, mode, typed string) {
	t.Helper()
	if mode == "raw" || !strings.HasSuffix(typed, "parti") {
		return
	}
	if err := writeAll(a.fd(100), []byte("al\n")); err != nil {
		t.Fatal(err)
	}
	if polled(a.fd(101), unix.POLLIN, 5000) == 0 {
		t.Error("the line does not come")
	}
	if got := readings(a.fd(101)); got != `"partial\n"`+again {
		t.Errorf("the line that was begun before ends as %s, want \"partial\\n\"", got)
	}
}
