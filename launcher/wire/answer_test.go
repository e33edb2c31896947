package wire

import (
	"context"
	"encoding/json"
	"net/netip"
	"testing"
)

func TestAnswersThatHaveABinaryFormComeInItAndArePassedOnAsTheyAre(t *testing.T) {
	want := netip.MustParseAddrPort("10.0.0.1:22")
	x, y := newSide(), newSide()
	x.request = func(_ context.Context, method string, _ json.RawMessage) (any, error) {
		if method == "name" {
			return "n1", nil
		}
		return want, nil
	}
	_, behind, _ := connect(t, x, newSide())
	y.request = func(ctx context.Context, method string, params json.RawMessage) (any, error) {
		var a Answer
		err := behind.Call(ctx, method, params, &a)
		return a, err
	}
	_, c, _ := connect(t, y, newSide())
	var name string
	if err := c.Call(context.Background(), "name", nil, &name); err != nil || name != "n1" {
		t.Errorf("Call(name) = %q, %v, want n1", name, err)
	}
	var got netip.AddrPort
	if err := c.Call(context.Background(), "address", nil, &got); err != nil || got != want {
		t.Errorf("Call(address) = %v, %v, want %v", got, err, want)
	}
	a, err := c.Ask(context.Background(), "address", json.RawMessage("{}"))
	if b, _ := want.MarshalBinary(); err != nil || string(a) != string(b) {
		t.Errorf("Ask(address) = %x, %v, want %x", []byte(a), err, b)
	}
}
