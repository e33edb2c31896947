package flags

import (
	"strings"
	"testing"
	"time"
)

func TestUsageNamesEveryOptionVerbAndStatus(t *testing.T) {
	text := Usage()
	for _, o := range table {
		if !strings.Contains(text, o.spelling()) {
			t.Errorf("Usage() lacks %s", o.spelling())
		}
	}
	for _, v := range Verbs() {
		if !strings.Contains(text, "\n  "+v+" ") && !strings.Contains(text, "\n  "+v+"\n") {
			t.Errorf("Usage() lacks the verb %s", v)
		}
	}
	for _, s := range []string{"75", "76", "124", "125", "126", "127", "128+N"} {
		if !strings.Contains(text, "\n  "+s+" ") {
			t.Errorf("Usage() lacks the status %s", s)
		}
	}
	for i, line := range strings.Split(text, "\n") {
		if len(line) > 80 {
			t.Errorf("Usage() line %d has %d columns, want at most 80: %s", i+1, len(line), line)
		}
	}
}

func TestNoSpellingMeansTwoThings(t *testing.T) {
	for _, verb := range append(Verbs(), string(VerbRun)) {
		seen := map[string]string{}
		for _, o := range table {
			if !o.takenBy(Verb(verb)) {
				continue
			}
			for _, n := range append([]string{o.name}, o.aliases...) {
				if seen[n] != "" {
					t.Errorf("%s: -%s is %s and %s", verb, n, seen[n], o.name)
				}
				seen[n] = o.name
			}
		}
	}
}

func TestHelpOnAnOptionGivesItsOtherSpellings(t *testing.T) {
	text, ok := HelpOn("--ppn")
	if !ok || !strings.Contains(text, "--ppn N") || !strings.Contains(text, "-npernode") {
		t.Errorf("HelpOn(--ppn) = %q, %v", text, ok)
	}
	text, ok = HelpOn("restart")
	if !ok || !strings.Contains(text, "--dry-run") || strings.Contains(text, "--keep ") {
		t.Errorf("HelpOn(restart) = %q, %v", text, ok)
	}
	if text, ok = HelpOn("nonsense"); ok {
		t.Errorf("HelpOn(nonsense) = %q, want none", text)
	}
}

func TestTimesAreReadAsPeopleWriteThem(t *testing.T) {
	for in, want := range map[string]time.Duration{
		"10m": 10 * time.Minute, "90s": 90 * time.Second, "2": 2 * time.Second, "0.2s": 200 * time.Millisecond, "0.5": 500 * time.Millisecond,
		"1h30m": 90 * time.Minute, "2d": 48 * time.Hour, "0": 0, "100ms": 100 * time.Millisecond,
	} {
		if got, err := ParseDuration(in); got != want || err != nil {
			t.Errorf("ParseDuration(%s) = %v, %v, want %v", in, got, err, want)
		}
	}
	for _, in := range []string{"", "-1", "+1", "m", "1 m", "inf", "nan", "1e30", "400d", "0x10", "9999999h", "1_0"} {
		if got, err := ParseDuration(in); err == nil {
			t.Errorf("ParseDuration(%q) = %v, want an error", in, got)
		}
	}
}
