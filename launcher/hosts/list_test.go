package hosts

import (
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func one(name string) Host          { return Host{Name: name, Slots: 1} }
func given(name string, n int) Host { return Host{Name: name, Slots: n, SlotsGiven: true} }

func TestListsOfBothFamiliesAreRead(t *testing.T) {
	for _, c := range []struct {
		in   string
		want []Host
	}{
		{"a", []Host{one("a")}},
		{"a:2,b", []Host{given("a", 2), one("b")}},
		{"a,a,b", []Host{{Name: "a", Slots: 2}, one("b")}},
		{"a:2,b:1,a:3", []Host{given("a", 5), given("b", 1)}},
		{"a:2,a", []Host{given("a", 3)}},
		{"bob@a:2", []Host{{Name: "a", User: "bob", Slots: 2, SlotsGiven: true}}},
		{"10.0.0.1:4", []Host{given("10.0.0.1", 4)}},
		{"[fe80::1]:4", []Host{given("fe80::1", 4)}},
		{"bob@[::1]", []Host{{Name: "::1", User: "bob", Slots: 1}}},
		{"12", []Host{one("12")}},
		{"n[08-10,3]:2", []Host{given("n08", 2), given("n09", 2), given("n10", 2), given("n3", 2)}},
		{"r[1-2]n[1-2]x", []Host{one("r1n1x"), one("r1n2x"), one("r2n1x"), one("r2n2x")}},
		{"a , b", []Host{one("a"), one("b")}},
	} {
		got, err := ParseList("-host", c.in)
		if err != nil {
			t.Errorf("ParseList(%q) = %v, want %v", c.in, err, c.want)
			continue
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("ParseList(%q) (-want +got):\n%s", c.in, diff)
		}
	}
}

func TestWrongListsAreRefusedWithTheWordAndTheReason(t *testing.T) {
	for in, want := range map[string]string{
		"":               "empty entry",
		"a,,b":           "empty entry",
		"a:0":            "whole number from 1",
		"a:x":            "whole number from 1",
		"a:+2":           "whole number from 1",
		"a:":             "whole number from 1",
		":3":             "name of the host is missing",
		"@a":             "name of the user before @ is missing",
		"fe80::1":        "IPv6 address in brackets",
		"[fe80::g]":      "no IPv6 address",
		"-oProxyCommand": "does not start with a dash",
		"-x@a":           "does not start with a dash",
		"a b":            `not " "`,
		"a;reboot":       `not ";"`,
		"n[1-":           "without a closing one",
		"n]1":            "closing bracket without",
		"n[3-1]":         "runs backwards",
		"n[x]":           "neither a number nor a range",
		"n[]":            "neither a number nor a range",
		"n[1-99999999]":  "more than 65536 hosts",
		"bob@a,al@a":     "has one user",
	} {
		_, err := ParseList("-host", in)
		var pe *ParseError
		if !errors.As(err, &pe) {
			t.Errorf("ParseList(%q) = %v, want a *ParseError", in, err)
			continue
		}
		if !strings.Contains(err.Error(), want) || !strings.HasPrefix(err.Error(), "-host") {
			t.Errorf("ParseList(%q) = %q, want -host...%q", in, err, want)
		}
	}
}

func FuzzListsAreReadBackAsTheyWerePrinted(f *testing.F) {
	for _, s := range []string{"a:2,b", "bob@[::1]:3,c", "n[01-08,12],x", "[[1]]", "a:,", "]["} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if len(s) > 64 {
			return
		}
		list, err := ParseList("-host", s)
		if err != nil {
			return
		}
		var words []string
		for i := range list {
			// A host that was named twice without a count is printed
			// once, so its slots have to be written out.
			list[i].SlotsGiven = list[i].SlotsGiven || list[i].Slots > 1
			words = append(words, list[i].String())
		}
		again, err := ParseList("-host", words...)
		if err != nil {
			t.Fatalf("ParseList(%q) = %v, though %q was read", words, err, s)
		}
		if !reflect.DeepEqual(again, list) {
			t.Fatalf("ParseList(%q) = %v, want %v", words, again, list)
		}
	})
}
