package programs

// desktop starts an X server that viewers of VNC may look at, a window manager, a
// terminal and a viewer, which says nothing yet. What is typed goes to the window
// under the pointer.
const desktop = `
mkfifo ready
Xtigervnc -displayfd 3 -r -localhost -SecurityTypes None -geometry 800x600 3>ready 2>log &
vnc=$!
read display <ready
export DISPLAY=:$display
title() { printf '\033]2;%s\a' $1; }
export -f title
twm 2>>log &
xterm -geometry 60x20+50+50 -title shell -e bash --norc &
windows() { echo $(xdotool search --sync --onlyvisible --name "$1" | wc -l) is called $(xdotool search --name "$1" getwindowname); }
typed() { xdotool mousemove --window $xterm 100 100 type "$1"; xdotool key Return; }
xterm=$(xdotool search --sync --onlyvisible --name '^shell$')
typed 'title ready'
xdotool search --sync --name '^ready$' >>log
exec 4<>/dev/tcp/localhost/$((5900 + display))
greeted() { head -c 12 <&4; }
screen_size() { printf 'RFB 003.008\n\1\1' >&4; head -c 6 <&4 >>log; head -c 4 <&4 | od -An -tu1; }
`

// adderJava asks for numbers and prints the sum of all so far, which another
// thread has.
const adderJava = `import java.util.Scanner;
import java.util.concurrent.SynchronousQueue;
class Adder {
	public static void main(String[] args) throws Exception {
		var numbers = new SynchronousQueue<Integer>();
		var sums = new SynchronousQueue<Integer>();
		Thread adder = new Thread(() -> {
			try { for (int sum = 0;; sums.put(sum)) sum += numbers.take(); } catch (InterruptedException e) { }
		});
		adder.setDaemon(true);
		adder.start();
		var in = new Scanner(System.in);
		for (System.out.print("sum> "); in.hasNextInt(); System.out.printf("= %d%nsum> ", sums.take())) numbers.put(in.nextInt());
	}
}
`

// table is what is run. Answers that are asked for are computed, so that the echo
// of a question is not taken for one. "\r" is the Enter key.
var table = []program{
	{
		name: "bc", small: true, argv: []string{"bc", "-q"},
		before: []step{{"x=6*7\r", `x=6\*7`}, {"x*10\r", `\n420\r\n`}},
		after:  []step{{"x*100\r", `\n4200\r\n`}},
	},
	{
		name: "perl", small: true, argv: []string{"perl", "-de0"},
		before: []step{{"", `DB<1> `}, {"$x = 6*7\r", `DB<2> `}},
		after:  []step{{"p $x*100\r", `4200\r?\n`}},
	},
	{
		name: "python3", small: true, argv: []string{"/usr/bin/python3", "-q"},
		before: []step{{"", `>>> $`}, {"import threading; x = [6*7]; e = threading.Event(); t = threading.Thread(target=e.wait); t.start()\r", `>>> $`}, {"print(x[0]*1", `x\[0\]\*1$`}},
		after:  []step{{"00)\r", `\n4200\r\n>>> $`}, {"e.set(); t.join(); print(t.is_alive())\r", `\nFalse\r\n`}},
	},
	{
		name: "bash with history, a running and a stopped job", small: true, argv: []string{"bash", "--norc"},
		before: []step{
			{"", `\$ $`},
			{"f() { echo v is $v; }; v=$((6*7)); sleep 3000 &\r", `\[1\] \d+`},
			{`perl -e '$|=1; $SIG{CONT}=sub{print "back\n"}; print "in front\n"; sleep 1 while 1'` + "\r", `\nin front\r\n`},
			{"\x1a", `\[2\]\+\s+Stopped`},
		},
		after: []step{
			{"\rf\r", `\nv is 42\r\n`},
			{"jobs\r", `(?s)\[1\]-\s+Running\s+sleep 3000.*\[2\]\+\s+Stopped`},
			{"history\r", `\s1\s+f\(\) \{ echo`},
			{"\x10\x10\x10\r", `\nv is 42\r\n`}, // three lines up: f
			{"fg\r", `\nback\r\n`},
			{"\x03", `\$ $`},
			{"kill %1; wait; exit\r", `exit`},
		},
	},
	{
		name: "sqlite3 with a lock in an open transaction", small: true, argv: []string{"sqlite3", "data.db"},
		before: []step{
			{"", `sqlite> $`},
			{"create table t(x); insert into t values(6*7); begin immediate; insert into t values(7*7);\r", `sqlite> $`},
			{"select sum(x) from t;\r", `\n91\r\n`},
		},
		after: []step{
			{"select sum(x)*100 from t;\r", `\n9100\r\n`},
			{".shell sqlite3 data.db 'insert into t values(1);'\r", `database is locked`},
			{"rollback; select sum(x)*100 from t;\r", `\n4200\r\n`},
		},
	},
	{
		name: "tmux with two windows", small: true, argv: []string{"tmux", "-f", "tmux.conf", "new", "bash --norc"},
		// Else keys that are typed as fast as here are text and no commands.
		files: map[string]string{"tmux.conf": "set -g assume-paste-time 0\n"},
		before: []step{
			{"", `\$`},
			{"v=$((6*7)); echo $v\r", `42`},
			{"\x02c", `1:bash\*`},
			{"w=$((7*7)); echo $w\r", `49`},
		},
		after: []step{
			{"echo w$((w*100))\r", `w4900`},
			{"\x020", `\$`},
			{"echo v$((v*100))\r", `v4200`},
		},
	},
	{
		name: "vim", argv: []string{"vim", "-u", "NONE", "-N", "notes"},
		before: []step{{"", `notes`}, {"iforty\rtwo\x1b", `two`}, {":let x=6*7\r", `:let x=6\*7`}, {"ithe end", `the end`}},
		// The insertion goes on, and the screen is drawn anew at its new size.
		after: []step{{"", `forty`}, {" indeed\x1b:echo x*100 'of' &lines\r", `4200 of 24`}, {"u:%d\r:echo 'left' line('$')\r", `left 1`}, {"u:wq\r", `written`}},
	},
	{
		name: "vim with cscope", argv: []string{"sh", "-c", "cscope -b answer.c && exec vim -u NONE -N notes"},
		files:  map[string]string{"answer.c": "int six, seven;\n\nint answer(void)\n{\n\treturn six * seven;\n}\n"},
		before: []step{{"", `notes`}, {":cs add cscope.out\r:cs find c nobody\r", `No matches found for cscope query c`}},
		// The same cscope answers at the other end of its pipes.
		after: []step{
			{":cs show\r", `\n 0 \d+ +\S+/cscope\.out`},
			{"\r:cs find g answer\r", `answer\.c`},
			{":echo expand('%') 'at' line('.')*100\r", `answer\.c at 300`},
			{":qa!\r", ``},
		},
	},
	{
		name: "less", argv: []string{"less", "text"},
		files:  map[string]string{"text": lines(1, 500)},
		before: []step{{"", `line 1\D`}, {"300g", `line 300`}, {"/line 4..\r", `line 400`}},
		after:  []step{{"", `line 400`}, {"n", `line 401`}, {"300g", `line 300`}},
	},
	{
		name: "top", argv: []string{"top", "-d", "100"},
		before: []step{{"", `PID USER`}, {"u", `Which user`}},
		after:  []step{{"\r", `PID USER`}, {"q", ``}},
	},
	{
		name: "script", argv: []string{"script", "-q", "-c", "bash --norc", "log"},
		before: []step{{"", `\$ $`}, {"v=$((6*7)); tty\r", `\n/dev/pts/1\r\n`}},
		after:  []step{{"echo v$((v*100)); tty; stty size\r", `\nv4200\r\n/dev/pts/1\r\n24 80\r\n`}, {"exit\r", `exit`}},
	},
	{
		name: "screen with two windows", argv: []string{"screen", "-c", "/dev/null", "bash", "--norc"},
		before: []step{
			{"", `\$`},
			{"v=$((6*7)); echo $v\r", `42`},
			{"\x01c", `\$`},
			{"w=$((7*7)); echo $w\r", `49`},
		},
		after: []step{{"echo w$((w*100))\r", `w4900`}, {"\x010", `\$`}, {"echo v$((v*100))\r", `v4200`}},
	},
	{
		name: "ruby", argv: []string{"irb", "-f", "--nomultiline", "--nocolorize"},
		before: []step{{"", `> $`}, {"x = 6*7\r", `=> 42`}},
		after:  []step{{"x*100\r", `=> 4200`}},
	},
	{
		name: "php", argv: []string{"php", "-a"},
		before: []step{{"", `php > $`}, {"$x = 6*7; echo $x;\r", `\n42`}},
		after:  []step{{"echo $x*100;\r", `4200`}},
	},
	{
		name: "tclsh", argv: []string{"tclsh"},
		before: []step{{"", `% $`}, {"set x [expr 6*7]\r", `\n42\r+\n`}},
		after:  []step{{"expr $x*100\r", `\n4200\r+\n`}},
	},
	{
		name: "slsh", argv: []string{"slsh", "-n"},
		before: []step{{"", `slsh>`}, {"variable x = 6*7;\r", `slsh>`}},
		after:  []step{{"x*100;\r", `4200`}},
	},
	{
		name: "ocaml", argv: []string{"ocaml", "-noinit"},
		before: []step{{"", `# $`}, {"let x = 6*7;;\r", `int = 42`}},
		after:  []step{{"x*100;;\r", `int = 4200`}},
	},
	{
		// Keys that come at the moment of a SIGWINCH are lost, without us too: haskeline
		// then ends the thread that reads them.
		name: "ghci", argv: []string{"ghci", "-ignore-dot-ghci"},
		before:  []step{{"", `ghci> $`}, {"let x = 6*7\r", `ghci> $`}},
		redraws: `ghci> $`,
		after:   []step{{"x*100\r", `4200`}},
	},
	{
		name: "racket", argv: []string{"racket"},
		before: []step{{"", `> `}, {"(define x (* 6 7))\r", `> `}},
		after:  []step{{"(* x 100)\r", `4200`}},
	},
	{
		name: "octave", argv: []string{"octave-cli", "--no-init-file", "--quiet"},
		before: []step{{"", `> `}, {"x = 6*7\r", `x = 42`}},
		after:  []step{{"y = x*100\r", `y = 4200`}},
	},
	{
		name: "macaulay2", argv: []string{"M2", "-q"},
		before: []step{{"", `i1 : $`}, {"R = QQ[x,y]; I = ideal(x^2-y, x*y-6*7);\r", `i3 : $`}},
		after:  []step{{"(first entries gens gb I)#0 * 100\r", `4200`}},
	},
	{
		name: "gnuplot", argv: []string{"gnuplot"},
		before: []step{{"", `gnuplot> `}, {"x = 6*7; print x\r", `\n42\r?\n`}},
		after:  []step{{"print x*100\r", `\n4200\r?\n`}},
	},
	{
		name: "ghostscript", argv: []string{"gs", "-dNODISPLAY", "-q"},
		before: []step{{"", `GS>$`}, {"/x 6 7 mul def x =\r", `\n42\r?\n`}},
		after:  []step{{"x 100 mul =\r", `\n4200\r?\n`}},
	},
	{
		name: "emacs", argv: []string{"emacs", "-nw", "-Q", "notes"},
		before: []step{{"", `notes`}, {"forty two", `two`}, {"\x1b:(setq x (* 6 7))\r", `42 `}},
		after:  []step{{"\x0c", `forty two`}, {"\x1b:(* x 100)\r", `4200`}, {"\x18\x13", `Wrote`}},
	},
	{
		name: "VNC server with twm, an xterm and a viewer", argv: []string{"bash", "--norc"},
		files: map[string]string{"desktop": desktop},
		before: []step{
			{"", `\$ $`},
			{". ./desktop; greeted\r", `\nRFB 003\.\d+\r?\n`},
			{"typed 'v=$((6*7)); title v$v'; windows '^v42$'\r", `\n1 is called v42\r\n`},
		},
		after: []step{
			{"typed 'title w$((v*100))'; windows '^w4200$'\r", `\n1 is called w4200\r\n`},
			{"xwininfo -id $xterm -stats | grep 'Map State'\r", `\n *Map State: IsViewable\r\n`},
			{"xlsclients\r", `\n\S+ +\S*xterm .*--norc\r\n`},
			{"screen_size\r", `\n +3 +32 +2 +88\r\n`}, // 800 and 600
			{"exec 4>&-; kill $vnc; wait; ls /tmp/.X11-unix/X$display; exit\r", `No such file`},
		},
	},
	{
		name: "lynx", argv: []string{"lynx", "-nopause", "one.html"},
		files: map[string]string{
			"one.html": "<title>one</title><p>first page <a href=two.html>next</a>",
			"two.html": "<title>two</title><p>second page <a href=three.html>further</a>", "three.html": "<title>three</title><p>third page",
		},
		before: []step{{"", `first page`}, {"\x1b[C", `second page`}},
		after:  []step{{"\x1b[C", `third page`}, {"\x1b[D", `second page`}, {"\x1b[D", `first page`}},
	},
	{
		name: "node", argv: []string{"node"},
		before: []step{{"", `> `}, {"x = 6*7\r", `42`}},
		after:  []step{{"x*100\r", `4200`}},
	},
	{
		name: "java", argv: []string{"java", "-XX:-UsePerfData", "Adder.java"},
		files:  map[string]string{"Adder.java": adderJava},
		before: []step{{"", `sum> $`}, {"40\r", `= 40\r\n`}, {"2\r", `= 42\r\n`}},
		after:  []step{{"4158\r", `= 4200\r\n`}},
	},
	{
		name: "jshell", argv: []string{"jshell", "-s"},
		before: []step{{"", `> $`}, {"int x = 6*7\r", `> $`}, {"System.out.println(x*10)\r", `420`}},
		after:  []step{{"System.out.println(x*100)\r", `4200`}},
	},
	{
		name: "R", argv: []string{"R", "-q", "--no-save"},
		before: []step{{"", `> $`}, {"x <- 6*7; x\r", `\[1\] 42`}},
		after:  []step{{"x*100\r", `\[1\] 4200`}},
	},
	{
		name: "ipython", argv: []string{"/usr/bin/ipython3", "--simple-prompt", "--no-banner"},
		before: []step{{"", `In \[1\]: $`}, {"x = 6*7\r", `In \[2\]: $`}},
		after:  []step{{"x*100\r", `Out\[2\]: 4200`}},
	},
	{
		name: "ipyparallel with four engines", argv: []string{"/usr/bin/ipython3", "--simple-prompt", "--no-banner"},
		before: []step{
			{"", `In \[1\]: $`},
			{"import ipyparallel\r", `In \[2\]: $`},
			{"engines = ipyparallel.Cluster(n=4).start_and_connect_sync()[:]\r", `In \[3\]: $`},
			{"engines.scatter('x', range(1, 85)).get(); len(engines)\r", `Out\[3\]: 4`},
			{"engines.execute('mine = sum(x)').get(); sum(engines['mine'])\r", `Out\[4\]: 3570`},
		},
		after: []step{
			{"sum(engines['mine']) - 3528\r", `Out\[5\]: 42`},
			{"engines.map_sync(lambda n: n * mine, [100] * 4)\r", `Out\[6\]: \[23100, 67200, 111300, 155400\]`},
			{"exit\r", ``},
		},
	},
}
