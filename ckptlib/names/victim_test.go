package names

import (
	"bufio"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"runtime"
	"strconv"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"
)

// victimMain is the process under the filter: it does the system calls that it
// reads from its standard input, on one thread, and prints what came of them.
func victimMain() {
	runtime.LockOSThread()
	in := bufio.NewScanner(os.Stdin)
	for in.Scan() {
		words := strings.Fields(in.Text())
		out, err := victimCall(words[0], words[1:])
		if err != nil {
			var errno unix.Errno
			errors.As(err, &errno)
			fmt.Printf("errno %d %v\n", int(errno), err)
			continue
		}
		fmt.Printf("ok %s\n", out)
	}
	os.Exit(0)
}

func victimCall(verb string, args []string) (string, error) {
	n := make([]int, 5)
	for i, a := range args {
		n[i], _ = strconv.Atoi(a)
	}
	switch verb {
	case "tid":
		return strconv.Itoa(unix.Gettid()), nil
	case "install":
		fd, err := install(false, uintptr(n[0]))
		return strconv.Itoa(fd), err
	case "unprivileged":
		return victimUnprivileged()
	case "socket":
		return number(unix.Socket(n[0], n[1], n[2]))
	case "close":
		return "", unix.Close(n[0])
	case "listen":
		return "", unix.Listen(n[0], n[1])
	case "option":
		return "", unix.SetsockoptInt(n[0], n[1], n[2], n[3])
	case "nonblock":
		return "", unix.SetNonblock(n[0], true)
	case "flags":
		return number(unix.FcntlInt(uintptr(n[0]), n[1], 0))
	case "write":
		return number(unix.Write(n[0], []byte(args[1])))
	case "read":
		b := make([]byte, 100)
		c, err := unix.Read(n[0], b)
		return string(b[:max(c, 0)]), err
	case "connect", "bind":
		nr := uintptr(unix.SYS_CONNECT)
		if verb == "bind" {
			nr = unix.SYS_BIND
		}
		return "", nameCall(nr, n[0], sockaddr(args[1]))
	case "getsockname", "getpeername":
		nr := uintptr(unix.SYS_GETSOCKNAME)
		if verb == "getpeername" {
			nr = unix.SYS_GETPEERNAME
		}
		return named(nr, n[0], n[1], 0)
	case "accept4":
		return named(unix.SYS_ACCEPT4, n[0], 0, n[1])
	case "acceptnull":
		fd, _, errno := unix.Syscall(unix.SYS_ACCEPT, uintptr(n[0]), 0, 0)
		return number(int(fd), orNil(errno))
	case "connects":
		return victimConnects(n[0], args[1])
	case "accepts":
		return victimAccepts(n[0], n[1])
	}
	return "", unix.ENOSYS
}

// victimUnprivileged installs the filter without CAP_SYS_ADMIN.
func victimUnprivileged() (string, error) {
	h := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	if err := unix.Capset(&h, &(&[2]unix.CapUserData{})[0]); err != nil {
		return "", err
	}
	return number(Install(false))
}

// victimConnects makes connections, waits for the end of each, and prints how
// many nanoseconds each connect took.
func victimConnects(n int, addr string) (string, error) {
	raw := sockaddr(addr)
	times := make([]int64, n)
	for i := range times {
		fd, err := unix.Socket(int(raw[0]), unix.SOCK_STREAM, 0)
		if err != nil {
			return "", err
		}
		var a, b unix.Timespec
		_ = unix.ClockGettime(unix.CLOCK_MONOTONIC, &a)
		if err := nameCall(unix.SYS_CONNECT, fd, raw); err != nil {
			return "", err
		}
		_ = unix.ClockGettime(unix.CLOCK_MONOTONIC, &b)
		times[i] = b.Nano() - a.Nano()
		_, _ = unix.Read(fd, make([]byte, 1))
		unix.Close(fd)
	}
	return strings.Trim(fmt.Sprint(times), "[]"), nil
}

// victimAccepts accepts n connections and prints the addresses they came from,
// each once.
func victimAccepts(n, listener int) (string, error) {
	seen := map[string]bool{}
	for range n {
		out, err := named(unix.SYS_ACCEPT4, listener, 0, unix.SOCK_CLOEXEC)
		if err != nil {
			return "", err
		}
		f := strings.Fields(out)
		fd, _ := strconv.Atoi(f[0])
		peer, err := named(unix.SYS_GETPEERNAME, fd, 0, 0)
		if err != nil || strings.Fields(peer)[1] != f[1] {
			return "", fmt.Errorf("accept says %s, getpeername %s, %w", out, peer, err)
		}
		seen[f[1][:strings.LastIndexByte(f[1], ':')]] = true
		unix.Close(fd)
	}
	return fmt.Sprint(seen), nil
}

// named does a call that returns a name, with room for it (0: enough), and prints
// the result, the name, the length that came back and the bytes of a short one.
func named(nr uintptr, fd, room, flags int) (string, error) {
	var buf [unix.SizeofSockaddrAny]byte
	if room == 0 {
		room = len(buf)
	}
	length := uint32(room)
	r, _, errno := unix.Syscall6(nr, uintptr(fd), uintptr(unsafe.Pointer(&buf[0])), uintptr(unsafe.Pointer(&length)), uintptr(flags), 0, 0)
	if errno != 0 {
		return "", errno
	}
	if int(length) > room {
		return fmt.Sprintf("%d %s %d", r, hex.EncodeToString(buf[:room+1]), length), nil
	}
	return fmt.Sprintf("%d %s %d", r, printed(buf[:length]), length), nil
}

func printed(raw []byte) string {
	port := uint16(0)
	if len(raw) >= 4 {
		port = binary.BigEndian.Uint16(raw[2:])
	}
	switch {
	case len(raw) >= 16 && raw[0] == unix.AF_INET:
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte(raw[4:8])), port).String()
	case len(raw) >= 28 && raw[0] == unix.AF_INET6:
		return netip.AddrPortFrom(netip.AddrFrom16([16]byte(raw[8:24])), port).String()
	}
	return "family" + strconv.Itoa(int(raw[0]))
}

// sockaddr makes the bytes of an address: sockaddr_un of "@name", sockaddr_in of
// an IPv4 one, sockaddr_in6 of others, mapped IPv4 ones among them.
func sockaddr(s string) []byte {
	if strings.HasPrefix(s, "@") {
		return append([]byte{unix.AF_UNIX, 0, 0}, s[1:]...)
	}
	if s == "unspec" {
		return make([]byte, 16)
	}
	a := netip.MustParseAddrPort(s)
	if a.Addr().Is4() {
		raw := make([]byte, unix.SizeofSockaddrInet4)
		raw[0] = unix.AF_INET
		raw, _ = encode(raw, a)
		return raw
	}
	raw := make([]byte, unix.SizeofSockaddrInet6)
	raw[0] = unix.AF_INET6
	binary.BigEndian.PutUint16(raw[2:], a.Port())
	v6 := a.Addr().As16()
	copy(raw[8:], v6[:])
	return raw
}

func number(n int, err error) (string, error) { return strconv.Itoa(n), err }

func orNil(errno unix.Errno) error {
	if errno != 0 {
		return errno
	}
	return nil
}
