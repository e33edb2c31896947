package kobj

import "golang.org/x/sys/unix"

// sockopts are the options that are restored. What is missing has no value that
// could be read (group memberships, filters) or is about one moment
// (TCP_QUICKACK).
var sockopts = []sockopt{
	{level: unix.SOL_SOCKET, name: unix.SO_REUSEADDR, size: 4, when: beforeBind},
	{level: unix.SOL_SOCKET, name: unix.SO_REUSEPORT, size: 4, when: beforeBind},
	{level: unix.SOL_SOCKET, name: unix.SO_BROADCAST, size: 4, when: onceMade},
	{level: unix.SOL_SOCKET, name: unix.SO_KEEPALIVE, size: 4, when: onceMade},
	{level: unix.SOL_SOCKET, name: unix.SO_OOBINLINE, size: 4, when: onceMade},
	{level: unix.SOL_SOCKET, name: unix.SO_DONTROUTE, size: 4, when: atLast},
	{level: unix.SOL_SOCKET, name: unix.SO_LINGER, size: 8, when: atLast},
	{level: unix.SOL_SOCKET, name: unix.SO_PRIORITY, size: 4, when: onceMade},
	{level: unix.SOL_SOCKET, name: unix.SO_RCVTIMEO, size: 16, when: atLast},
	{level: unix.SOL_SOCKET, name: unix.SO_SNDTIMEO, size: 16, when: atLast},
	{level: unix.SOL_SOCKET, name: unix.SO_RCVLOWAT, size: 4, when: atLast},
	{level: unix.SOL_SOCKET, name: unix.SO_PASSCRED, size: 4, when: onceMade},
	{level: unix.SOL_SOCKET, name: unix.SO_PASSSEC, size: 4, when: onceMade},
	{level: unix.SOL_SOCKET, name: soPassPIDF, size: 4, when: onceMade},
	{level: unix.SOL_SOCKET, name: unix.SO_TIMESTAMP, size: 4, when: onceMade},
	{level: unix.SOL_SOCKET, name: unix.SO_TIMESTAMPNS, size: 4, when: onceMade},
	{level: unix.SOL_SOCKET, name: unix.SO_BUSY_POLL, size: 4, when: onceMade},
	{level: unix.SOL_SOCKET, name: unix.SO_PEEK_OFF, size: 4, when: atLast},
	{level: unix.SOL_SOCKET, name: unix.SO_MARK, size: 4, when: onceMade},
	{level: unix.SOL_SOCKET, name: unix.SO_SNDBUF, size: 4, when: onceMade, set: half},
	{level: unix.SOL_SOCKET, name: unix.SO_RCVBUF, size: 4, when: atLast, set: half},

	{level: unix.IPPROTO_TCP, name: unix.TCP_NODELAY, size: 4, when: onceMade},
	{level: unix.IPPROTO_TCP, name: unix.TCP_KEEPIDLE, size: 4, when: onceMade},
	{level: unix.IPPROTO_TCP, name: unix.TCP_KEEPINTVL, size: 4, when: onceMade},
	{level: unix.IPPROTO_TCP, name: unix.TCP_KEEPCNT, size: 4, when: onceMade},
	{level: unix.IPPROTO_TCP, name: unix.TCP_SYNCNT, size: 4, when: onceMade},
	{level: unix.IPPROTO_TCP, name: unix.TCP_LINGER2, size: 4, when: onceMade},
	{level: unix.IPPROTO_TCP, name: unix.TCP_DEFER_ACCEPT, size: 4, when: onceMade},
	{level: unix.IPPROTO_TCP, name: unix.TCP_USER_TIMEOUT, size: 4, when: onceMade},
	{level: unix.IPPROTO_TCP, name: unix.TCP_THIN_LINEAR_TIMEOUTS, size: 4, when: onceMade},
	{level: unix.IPPROTO_TCP, name: unix.TCP_NOTSENT_LOWAT, size: 4, when: atLast},
	{level: unix.IPPROTO_TCP, name: unix.TCP_CORK, size: 4, when: atLast},
	{level: unix.IPPROTO_TCP, name: unix.TCP_CONGESTION, size: 16, when: onceMade, same: sameText},
	{level: unix.IPPROTO_TCP, name: unix.TCP_FASTOPEN, size: 4, when: onceMade},
	{level: unix.IPPROTO_TCP, name: unix.TCP_INQ, size: 4, when: onceMade},

	{level: unix.IPPROTO_IP, name: unix.IP_TOS, size: 4, when: onceMade},
	{level: unix.IPPROTO_IP, name: unix.IP_TTL, size: 4, when: onceMade},
	{level: unix.IPPROTO_IP, name: unix.IP_MTU_DISCOVER, size: 4, when: onceMade},
	{level: unix.IPPROTO_IP, name: unix.IP_RECVERR, size: 4, when: onceMade},
	{level: unix.IPPROTO_IP, name: unix.IP_PKTINFO, size: 4, when: onceMade},
	{level: unix.IPPROTO_IP, name: unix.IP_FREEBIND, size: 4, when: beforeBind},
	{level: unix.IPPROTO_IP, name: unix.IP_BIND_ADDRESS_NO_PORT, size: 4, when: beforeBind},
	{level: unix.IPPROTO_IP, name: unix.IP_MULTICAST_TTL, size: 4, when: onceMade, datagram: true},
	{level: unix.IPPROTO_IP, name: unix.IP_MULTICAST_LOOP, size: 4, when: onceMade, datagram: true},

	{level: unix.IPPROTO_IPV6, name: unix.IPV6_V6ONLY, size: 4, when: beforeBind},
	{level: unix.IPPROTO_IPV6, name: unix.IPV6_TCLASS, size: 4, when: onceMade},
	{level: unix.IPPROTO_IPV6, name: unix.IPV6_UNICAST_HOPS, size: 4, when: onceMade},
	{level: unix.IPPROTO_IPV6, name: unix.IPV6_MTU_DISCOVER, size: 4, when: onceMade},
	{level: unix.IPPROTO_IPV6, name: unix.IPV6_RECVERR, size: 4, when: onceMade},
	{level: unix.IPPROTO_IPV6, name: unix.IPV6_RECVPKTINFO, size: 4, when: onceMade},
	{level: unix.IPPROTO_IPV6, name: unix.IPV6_MULTICAST_HOPS, size: 4, when: onceMade, datagram: true},
	{level: unix.IPPROTO_IPV6, name: unix.IPV6_MULTICAST_LOOP, size: 4, when: onceMade, datagram: true},
}
