package agent

import (
	"context"
	"net/netip"

	"github.com/gompirun/gompirun/launcher/rpc"
)

// peers asks other pods through the coordinator; it is a names.Peers.
type peers struct{ a *agent }

// Resolve implements names.Peers.
func (p peers) Resolve(ctx context.Context, virtual netip.AddrPort) (real netip.AddrPort, inJob bool, err error) {
	var r rpc.Owned
	err = p.a.conn.Call(ctx, rpc.Resolve, rpc.Name{Addr: virtual}, &r)
	return r.Addr, r.OK, err
}

// Owner implements names.Peers.
func (p peers) Owner(ctx context.Context, real netip.AddrPort) (virtual netip.AddrPort, ok bool) {
	var r rpc.Owned
	if err := p.a.conn.Call(ctx, rpc.Owner, rpc.Name{Addr: real}, &r); err != nil {
		p.a.log.Warn("an address was not found in the job", "address", real, "error", err)
		return netip.AddrPort{}, false
	}
	return r.Addr, r.OK
}

// locate and own answer what other pods ask.
func (a *agent) locate(_ context.Context, n rpc.Name) (rpc.Name, error) {
	p, err := a.running()
	if err != nil {
		return n, err
	}
	return rpc.Name{Addr: p.Locate(n.Addr)}, nil
}

func (a *agent) own(_ context.Context, n rpc.Name) (rpc.Owned, error) {
	p, err := a.running()
	if err != nil {
		return rpc.Owned{}, err
	}
	virtual, ok := p.Own(n.Addr)
	return rpc.Owned{Addr: virtual, OK: ok}, nil
}
