package hosts

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const everything = `# Hydra's and Open MPI's, in one file
a:2            // two
b slots=4 max_slots=8
bob@c slots = 2 port=2222   # spaces round the sign
d user=al binding=core /* one
   comment over
   three lines */ e cpu=3
n[01-02] max-slots=2
a            # adds up
b slots=1 max_slots=1
[::1]:2
gone slots=9
12
^gone
`

func TestHostfileOfTheUnionGrammarIsRead(t *testing.T) {
	got, err := ParseFile("hosts", everything)
	if err != nil {
		t.Fatal(err)
	}
	want := []Host{
		given("a", 3),
		{Name: "b", Slots: 5, Max: 9, SlotsGiven: true},
		{Name: "c", User: "bob", Port: 2222, Slots: 2, SlotsGiven: true},
		{Name: "d", User: "al", Slots: 1},
		given("e", 3),
		{Name: "n01", Slots: 2, Max: 2, SlotsGiven: true},
		{Name: "n02", Slots: 2, Max: 2, SlotsGiven: true},
		given("::1", 2),
		one("12"),
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("ParseFile (-want +got):\n%s", diff)
	}
}

func TestWrongHostfilesAreRefusedWithFileLineAndWord(t *testing.T) {
	for in, want := range map[string]string{
		"a\nb slots=x":          `f:2: "slots=x": the number of slots`,
		"a slots=2 slots=3":     `f:1: "slots=3": the number of slots is given twice on this line`,
		"a:2 slots=3":           `f:1: "a:2": the number of slots is given twice`,
		"\n\na colour=red":      `f:3: "colour=red": the keys of a host are`,
		"a 4":                   `f:1: "4": after the host only key=value`,
		"a slots=":              `f:1: "slots=": the value is missing`,
		"a slots=4 max_slots=2": `f:1: "a": max_slots=2 is less than its 4 slots`,
		"a port=70000":          `f:1: "port=70000": the port is a whole number from 1 to 65535`,
		"+n1":                   `f:1: "+n1": relative hosts`,
		"rank 0=a slot=0":       `f:1: "rank": this is a rankfile`,
		"a port=1\na port=2":    `f:2: "a": host a has port 1 above`,
		"u@a user=v":            `f:1: "u@a": the user is given twice`,
		"a\n/* b":               `f:2: "/*": this comment is never closed`,
		"=4":                    `f:1: "=4": a host name`,
	} {
		_, err := ParseFile("f", in)
		if err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("ParseFile(%q) = %v, want %s...", in, err, want)
		}
	}
}

func TestDirectoryAndEmptyFileAreNoHostfiles(t *testing.T) {
	dir := t.TempDir()
	empty := filepath.Join(dir, "empty")
	if err := os.WriteFile(empty, []byte("# nothing\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		dir:                       "is a directory",
		empty:                     "names no host",
		filepath.Join(dir, "nix"): "no such file",
	} {
		if _, err := ReadFile(path); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("ReadFile(%s) = %v, want ...%s...", path, err, want)
		}
	}
}

func FuzzEveryHostReadFromAFileIsUsable(f *testing.F) {
	f.Add(everything)
	f.Add("a slots")
	f.Add("/*/ */ a // b\n==")
	f.Fuzz(func(t *testing.T, s string) {
		if len(s) > 256 {
			return
		}
		list, err := ParseFile("f", s)
		if err != nil {
			return
		}
		seen := map[string]bool{}
		for _, h := range list {
			switch {
			case h.Name == "" || h.Name[0] == '-' || strings.ContainsAny(h.Name, " \t\n,;=@[]"):
				t.Errorf("ParseFile(%q) gives the name %q", s, h.Name)
			case h.Slots < 1 || h.Slots > MaxSlots || h.Max != 0 && h.Max < h.Slots:
				t.Errorf("ParseFile(%q) gives %+v", s, h)
			case seen[h.Name]:
				t.Errorf("ParseFile(%q) gives %s twice", s, h.Name)
			}
			seen[h.Name] = true
		}
	})
}
