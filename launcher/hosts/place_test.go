package hosts

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

func ranks(as []Assignment) string {
	var parts []string
	for _, a := range as {
		parts = append(parts, fmt.Sprintf("%s%v", a.Host.Name, a.Ranks))
	}
	return strings.Join(parts, " ")
}

func TestRanksAreFilledInBySlot(t *testing.T) {
	ab := []Host{given("a", 2), given("b", 2)}
	named := []Host{one("a"), one("b")}
	capped := []Host{{Name: "a", Slots: 1, Max: 2, SlotsGiven: true}, given("b", 1)}
	for _, c := range []struct {
		list        []Host
		np, perNode int
		over        bool
		want        string
	}{
		{ab, 4, 0, false, "a[0 1] b[2 3]"},
		{ab, 3, 0, false, "a[0 1] b[2]"},
		{ab, 1, 0, false, "a[0]"},
		{ab, 0, 0, false, "a[0 1] b[2 3]"},
		{ab, 6, 0, true, "a[0 1 4 5] b[2 3]"},
		{ab, 2, 1, false, "a[0] b[1]"},
		{ab, 0, 1, false, "a[0] b[1]"},
		{named, 4, 2, false, "a[0 1] b[2 3]"},
		{ab, 6, 3, true, "a[0 1 2] b[3 4 5]"},
		{capped, 5, 0, true, "a[0 2] b[1 3 4]"},
		{nil, 3, 0, false, "localhost[0 1 2]"},
		{nil, 0, 0, false, "localhost[0]"},
		{[]Host{given("localhost", 1)}, 2, 0, false, "localhost[0 1]"},
		{[]Host{given("127.0.0.1", 1)}, 2, 0, false, "127.0.0.1[0 1]"},
	} {
		got, err := Place(c.list, c.np, c.perNode, c.over)
		if err != nil || ranks(got) != c.want {
			t.Errorf("Place(%v, %d, %d, %v) = %s, %v, want %s", c.list, c.np, c.perNode, c.over, ranks(got), err, c.want)
		}
	}
}

func TestTooManyRanksAreRefusedWithARemedy(t *testing.T) {
	capped := []Host{{Name: "a", Slots: 1, Max: 2, SlotsGiven: true}, {Name: "b", Slots: 1, Max: 1, SlotsGiven: true}}
	for _, c := range []struct {
		list        []Host
		np, perNode int
		over        bool
		want        string
	}{
		{[]Host{given("a", 2), given("b", 2)}, 5, 0, false, "5 ranks asked for, but the hosts have 4 slots; give more (-host name:slots), or share them with --oversubscribe"},
		{[]Host{given("a", 1)}, 2, 0, false, "1 slot;"},
		{[]Host{one("a"), one("b")}, 5, 2, false, "2 per host make 4"},
		{[]Host{given("a", 2), given("b", 1)}, 4, 2, false, "host b has 1 slot, fewer than the 2 ranks per host"},
		{capped, 4, 0, true, "max_slots of the hosts allows no more than 3"},
	} {
		_, err := Place(c.list, c.np, c.perNode, c.over)
		var se *SlotsError
		if !errors.As(err, &se) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("Place(%v, %d, %d, %v) = %v, want ...%s...", c.list, c.np, c.perNode, c.over, err, c.want)
		}
	}
}
